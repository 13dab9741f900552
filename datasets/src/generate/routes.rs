//! Fastest ways through a network of roads: Dijkstra's algorithm, cut off by count.
//!
//! A destination is not drawn and then searched for: the search goes outwards from the start and
//! the n-th node it settles *is* the destination. So a route costs n settled nodes, never a walk
//! over the whole network, and every destination can be reached.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::roads::{HalfRoad, RoadGraph};

/// The most nodes that one search settles.
pub(crate) const SETTLED_MAX: usize = 2_000;

/// Scratch for searches over one network; a search costs only what it touches.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    /// What is known of each node, valid when its `search` is the current one.
    nodes: Vec<Reached>,
    search: u32,
    /// Open nodes by cost; the bits of numbers that are not negative order as the numbers do.
    open: BinaryHeap<Reverse<(u64, u32)>>,
}

#[derive(Clone, Copy, Debug)]
struct Reached {
    search: u32,
    cost: f64,
    from: u32,
    by: HalfRoad,
}

impl Router {
    pub(crate) fn new(graph: &RoadGraph) -> Self {
        let by = HalfRoad { to: 0, length: 0.0, pace: 1.0 };
        let none = Reached { search: 0, cost: 0.0, from: 0, by };
        Self { nodes: vec![none; graph.node_count()], search: 0, open: BinaryHeap::new() }
    }

    /// Writes the fastest way from `start` to the `count`-th nearest node, or to the farthest if
    /// there are fewer, into `route`, the last road first.
    pub(crate) fn route(
        &mut self,
        graph: &RoadGraph,
        start: u32,
        count: usize,
        route: &mut Vec<HalfRoad>,
    ) {
        let mut node = self.settle(graph, start, count.min(SETTLED_MAX));
        route.clear();
        while node != start {
            let reached = self.nodes[node as usize];
            route.push(reached.by);
            node = reached.from;
        }
    }

    /// Settles `count` nodes besides `start` and returns the last one.
    fn settle(&mut self, graph: &RoadGraph, start: u32, count: usize) -> u32 {
        self.begin(start);
        let (mut settled, mut last) = (0, start);
        while let Some(Reverse((bits, node))) = self.open.pop() {
            if bits != self.nodes[node as usize].cost.to_bits() {
                continue;
            }
            last = node;
            if settled == count {
                break;
            }
            settled += 1;
            let cost = f64::from_bits(bits);
            for &by in graph.roads_of(node) {
                self.reach(Reached {
                    search: self.search,
                    cost: cost + by.length / by.pace,
                    from: node,
                    by,
                });
            }
        }
        last
    }

    fn begin(&mut self, start: u32) {
        if self.search == u32::MAX {
            self.nodes.iter_mut().for_each(|node| node.search = 0);
            self.search = 0;
        }
        self.search += 1;
        self.open.clear();
        let node = &mut self.nodes[start as usize];
        (node.search, node.cost) = (self.search, 0.0);
        self.open.push(Reverse((0, start)));
    }

    /// Notes a way to a node if it is the best so far.
    fn reach(&mut self, way: Reached) {
        let node = &mut self.nodes[way.by.to as usize];
        if node.search != way.search || way.cost < node.cost {
            *node = way;
            self.open.push(Reverse((way.cost.to_bits(), way.by.to)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::City;

    fn cost(route: &[HalfRoad]) -> f64 {
        route.iter().map(|by| by.length / by.pace).sum()
    }

    /// Bellman-Ford: the cost of every node from `start`.
    fn costs(graph: &RoadGraph, start: u32) -> Vec<f64> {
        let mut costs = vec![f64::INFINITY; graph.node_count()];
        costs[start as usize] = 0.0;
        for _ in 0..graph.node_count() {
            for node in 0..graph.node_count() as u32 {
                for by in graph.roads_of(node) {
                    let cost = costs[node as usize] + by.length / by.pace;
                    costs[by.to as usize] = costs[by.to as usize].min(cost);
                }
            }
        }
        costs
    }

    #[test]
    fn routes_are_fastest_and_end_at_the_nth_nearest_node() {
        let graph = City { side: 7, seed: 5, ..City::default() }.build().unwrap();
        let mut router = Router::new(&graph);
        let mut route = Vec::new();
        for start in [0, 24, 48] {
            let costs = costs(&graph, start);
            let mut sorted = costs.clone();
            sorted.sort_by(f64::total_cmp);
            for count in [0, 1, 5, 48, 1_000] {
                router.route(&graph, start, count, &mut route);
                let end = route.first().map_or(start, |by| by.to);
                assert!((cost(&route) - costs[end as usize]).abs() < 1e-6, "{start} {count}");
                assert!((cost(&route) - sorted[count.min(48)]).abs() < 1e-6, "{start} {count}");
            }
        }
    }

    #[test]
    fn routes_are_chains_of_roads() {
        let graph = City { side: 9, seed: 6, ..City::default() }.build().unwrap();
        let mut route = Vec::new();
        Router::new(&graph).route(&graph, 40, 60, &mut route);
        let mut node = 40;
        for by in route.iter().rev() {
            assert!(graph.roads_of(node).contains(by));
            node = by.to;
        }
    }
}
