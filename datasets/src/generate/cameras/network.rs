//! Ways to hubs over a network, and where its cameras stand.
//!
//! ```text
//! hops   tree of hub 0      tree of hub 1     …      one byte a node: which of its roads to take
//!        |n0 n1 n2 … |      |n0 n1 n2 … |
//! ```
//!
//! A tree of fastest ways per hub (Dijkstra's algorithm from the hub, roads being passable both
//! ways). How many nodes lie behind a node in all trees says how busy it will be; cameras are drawn
//! with that as weight (Efraimidis and Spirakis, "Weighted random sampling with a
//! reservoir", 2006).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{CameraError, CameraOptionsError};
use crate::generate::noise::{Draw, mix};
use crate::generate::roads::{HalfRoad, RoadError, RoadGraph};

/// A network with ways and cameras.
pub(super) struct Network<'a> {
    graph: &'a RoadGraph,
    /// The nodes that have a road.
    junctions: Vec<u32>,
    hub_count: usize,
    hops: Vec<u8>,
    /// The camera of each node.
    cameras: Vec<u32>,
}

/// How much less or more than its time a road costs.
const TASTE_MIN: f64 = 0.5;
const TASTE_MAX: f64 = 2.0;
const NO_HOP: u8 = u8::MAX;
const NO_CAMERA: u32 = u32::MAX;
const HUBS_MAX: usize = 300;
const HUBS_MIN: usize = 16;
/// Bounds time and memory of the trees where a network is huge.
const HOPS_MAX: usize = 30_000_000;

/// One trip: who, from where, towards which hub.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trip {
    pub(super) from: u32,
    pub(super) hub: usize,
    pub(super) depart_ms: i64,
    /// The trip ends at the first node that is reached after this time, or at the hub.
    pub(super) limit_ms: i64,
    /// In metres per second, where the pace is 1.
    pub(super) speed: f64,
}

/// Where and when a trip ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Arrival {
    pub(super) node: u32,
    pub(super) ms: i64,
}

impl<'a> Network<'a> {
    pub(super) fn new(
        graph: &'a RoadGraph,
        cameras: u32,
        draw: &mut Draw,
    ) -> Result<Self, CameraError> {
        let nodes = 0..graph.node_count() as u32;
        let junctions: Vec<u32> = nodes.filter(|&node| !graph.roads_of(node).is_empty()).collect();
        if junctions.is_empty() {
            return Err(RoadError::NoRoads.into());
        }
        if cameras as usize > junctions.len() {
            let junctions = junctions.len();
            return Err(CameraOptionsError::TooManyCameras { cameras, junctions }.into());
        }
        let hub_count = (HOPS_MAX / graph.node_count()).clamp(HUBS_MIN, HUBS_MAX);
        let mut network =
            Self { graph, junctions, hub_count, hops: Vec::new(), cameras: Vec::new() };
        let behind = network.grow_trees(draw);
        network.place_cameras(cameras as usize, &behind, draw);
        Ok(network)
    }

    /// Any junction.
    pub(super) fn draw_junction(&self, draw: &mut Draw) -> u32 {
        self.junctions[draw.below(self.junctions.len())]
    }

    /// A hub to which there is a way; the first ones are the most popular.
    pub(super) fn draw_hub(&self, from: u32, draw: &mut Draw) -> Option<usize> {
        const TRIES: usize = 16;
        for _ in 0..TRIES {
            let last = draw.below(self.hub_count);
            let hub = draw.below(last + 1);
            if self.hop(hub, from) != NO_HOP {
                return Some(hub);
            }
        }
        None
    }

    /// Drives a trip and tells `pass` each camera on the way, not counting the node where it
    /// begins, with the time. Every road is a little faster or slower than usual.
    pub(super) fn drive(
        &self,
        trip: Trip,
        draw: &mut Draw,
        mut pass: impl FnMut(u32, i64),
    ) -> Arrival {
        let (mut node, mut elapsed_ms) = (trip.from, 0.0);
        while elapsed_ms < trip.limit_ms as f64 {
            let hop = self.hop(trip.hub, node);
            if hop == NO_HOP {
                break;
            }
            let by = self.graph.roads_of(node)[usize::from(hop)];
            let usual_ms = 1000.0 * by.length / (by.pace * trip.speed);
            elapsed_ms += usual_ms * (0.85 + 0.4 * draw.share());
            node = by.to;
            let camera = self.cameras[node as usize];
            if camera != NO_CAMERA {
                pass(camera, trip.depart_ms + elapsed_ms as i64);
            }
        }
        Arrival { node, ms: trip.depart_ms + elapsed_ms as i64 }
    }

    fn hop(&self, hub: usize, node: u32) -> u8 {
        self.hops[hub * self.graph.node_count() + node as usize]
    }

    /// Draws the hubs and finds the ways to them. Returns for each node how many nodes have it on
    /// their way, over all hubs.
    fn grow_trees(&mut self, draw: &mut Draw) -> Vec<u64> {
        let nodes = self.graph.node_count();
        self.hops = vec![NO_HOP; self.hub_count * nodes];
        let (mut search, mut behind) = (Search::new(nodes), vec![0; nodes]);
        let mut of_hub = vec![0u64; nodes];
        for hops in self.hops.chunks_exact_mut(nodes) {
            let hub = self.junctions[draw.below(self.junctions.len())];
            search.run(self.graph, hub, Taste(draw.bits()));
            of_hub.fill(1);
            for &node in search.order.iter().rev() {
                behind[node as usize] += of_hub[node as usize];
                let Some((hop, next)) = search.hop(self.graph, node) else { continue };
                hops[node as usize] = hop;
                of_hub[next as usize] += of_hub[node as usize];
            }
        }
        behind
    }

    fn place_cameras(&mut self, count: usize, behind: &[u64], draw: &mut Draw) {
        let mut keys: Vec<(f64, u32)> = self
            .junctions
            .iter()
            .map(|&node| {
                let weight = behind[node as usize] as f64;
                (-libm::log(1.0 - draw.share()) / weight, node)
            })
            .collect();
        keys.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut chosen: Vec<u32> = keys[..count].iter().map(|&(_, node)| node).collect();
        chosen.sort_unstable();
        self.cameras = vec![NO_CAMERA; self.graph.node_count()];
        (0..).zip(chosen).for_each(|(camera, node)| self.cameras[node as usize] = camera);
    }
}

/// What roads cost on the way to one hub. Every hub's drivers like other streets, and speed is not
/// all they look for; if all took the quickest, they would take the same few.
#[derive(Clone, Copy)]
struct Taste(u64);

impl Taste {
    /// The cost of a road, the same in both directions.
    fn cost(self, from: u32, by: &HalfRoad) -> f64 {
        let ends = (u64::from(from.min(by.to)) << 32) | u64::from(from.max(by.to));
        let share = mix(self.0 ^ ends) as f64 / u64::MAX as f64;
        by.length / by.pace.sqrt() * (TASTE_MIN + (TASTE_MAX - TASTE_MIN) * share)
    }
}

/// Scratch for a search from a hub over the whole network.
struct Search {
    taste: Taste,
    costs: Vec<f64>,
    /// When each node was settled; `u32::MAX` is not yet.
    ranks: Vec<u32>,
    order: Vec<u32>,
    /// Open nodes by cost; the bits of numbers that are not negative order as the numbers do.
    open: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Search {
    fn new(nodes: usize) -> Self {
        let (costs, ranks) = (vec![0.0; nodes], vec![0; nodes]);
        Self {
            taste: Taste(0),
            costs,
            ranks,
            order: Vec::with_capacity(nodes),
            open: BinaryHeap::new(),
        }
    }

    fn run(&mut self, graph: &RoadGraph, hub: u32, taste: Taste) {
        self.taste = taste;
        self.costs.fill(f64::INFINITY);
        self.ranks.fill(u32::MAX);
        self.order.clear();
        self.costs[hub as usize] = 0.0;
        self.open.push(Reverse((0, hub)));
        while let Some(Reverse((bits, node))) = self.open.pop() {
            if self.ranks[node as usize] != u32::MAX {
                continue;
            }
            self.ranks[node as usize] = self.order.len() as u32;
            self.order.push(node);
            for by in graph.roads_of(node) {
                let cost = f64::from_bits(bits) + taste.cost(node, by);
                if cost < self.costs[by.to as usize] {
                    self.costs[by.to as usize] = cost;
                    self.open.push(Reverse((cost.to_bits(), by.to)));
                }
            }
        }
    }

    /// The first road of the fastest way from a node to the hub, and where it leads: always to a
    /// node settled earlier, so that no roads of no length make a circle. Roads that do not fit
    /// into a byte are not taken.
    fn hop(&self, graph: &RoadGraph, node: u32) -> Option<(u8, u32)> {
        let rank = self.ranks[node as usize];
        let roads = (0..NO_HOP).zip(graph.roads_of(node));
        let nearer = roads.filter(|(_, by)| self.ranks[by.to as usize] < rank);
        let costs = nearer
            .map(|(hop, by)| (self.costs[by.to as usize] + self.taste.cost(node, by), hop, by.to));
        let best = costs.min_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(_, hop, to)| (hop, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{City, Road};
    use dunlin_index::{Coord, SpaceKind};

    fn city() -> RoadGraph {
        City { side: 8, seed: 3, ..City::default() }.build().unwrap()
    }

    /// Floyd and Warshall: the cost between any two nodes.
    fn costs(graph: &RoadGraph, taste: Taste) -> Vec<Vec<f64>> {
        let nodes = graph.node_count();
        let mut costs = vec![vec![f64::INFINITY; nodes]; nodes];
        for (node, costs) in costs.iter_mut().enumerate() {
            costs[node] = 0.0;
            for by in graph.roads_of(node as u32) {
                let cost = &mut costs[by.to as usize];
                *cost = cost.min(taste.cost(node as u32, by));
            }
        }
        for over in 0..nodes {
            for from in 0..nodes {
                for to in 0..nodes {
                    let cost = costs[from][over] + costs[over][to];
                    costs[from][to] = costs[from][to].min(cost);
                }
            }
        }
        costs
    }

    #[test]
    fn trees_are_cheapest_ways() {
        let graph = city();
        let mut search = Search::new(graph.node_count());
        for (hub, taste) in [(0, Taste(1)), (20, Taste(2)), (63, Taste(u64::MAX))] {
            let costs = costs(&graph, taste);
            search.run(&graph, hub, taste);
            for start in 0..graph.node_count() as u32 {
                let (mut node, mut cost) = (start, 0.0);
                while let Some((hop, to)) = search.hop(&graph, node) {
                    let by = graph.roads_of(node)[usize::from(hop)];
                    assert_eq!(by.to, to);
                    (node, cost) = (to, cost + taste.cost(node, &by));
                }
                assert_eq!(node, hub);
                assert!((cost - costs[start as usize][hub as usize]).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn trips_follow_the_trees_in_time() {
        let graph = city();
        let mut draw = Draw::new(5);
        let network = Network::new(&graph, 64, &mut draw).unwrap();
        for _ in 0..100 {
            let from = network.draw_junction(&mut draw);
            let hub = network.draw_hub(from, &mut draw).unwrap();
            let trip = Trip { from, hub, depart_ms: 1_000, limit_ms: 120_000, speed: 10.0 };
            let mut passed = vec![(network.cameras[from as usize], trip.depart_ms)];
            let arrival = network.drive(trip, &mut draw, |camera, ms| passed.push((camera, ms)));
            let node = |camera| network.cameras.iter().position(|&at| at == camera).unwrap() as u32;
            for pair in passed.windows(2) {
                let [(from, start), (to, end)] = [pair[0], pair[1]];
                let hop = network.hop(hub, node(from));
                let by = graph.roads_of(node(from))[usize::from(hop)];
                let usual = 1000.0 * by.length / (by.pace * trip.speed);
                let (least, most) = ((0.85 * usual) as i64 - 1, (1.25 * usual) as i64 + 1);
                assert!(by.to == node(to) && (least..=most).contains(&(end - start)));
            }
            let &(last, ms) = passed.last().unwrap();
            assert_eq!(arrival, Arrival { node: node(last), ms });
            let at_hub = network.hop(hub, arrival.node) == NO_HOP;
            assert!(at_hub || ms - trip.depart_ms >= trip.limit_ms);
        }
    }

    #[test]
    fn what_lies_behind_a_node_is_counted() {
        let nodes = [0.0, 1.0, 2.0, 3.0].map(|x| Coord { x, y: 0.0 });
        let roads = [[0, 1], [1, 2], [2, 3]].map(|ends| Road { ends, pace: 1.0 });
        let graph = RoadGraph::new(SpaceKind::Plane, &nodes, &roads).unwrap();
        let mut network = Network::new(&graph, 0, &mut Draw::new(0)).unwrap();
        let behind = network.grow_trees(&mut Draw::new(0));
        let hub_count = network.hub_count as u64;
        // Every hub has all four nodes behind it; an end has itself alone unless it is the hub.
        let ends = [behind[0], behind[3]].map(|count| (count - hub_count) / 3);
        assert_eq!([behind[0], behind[3]], ends.map(|hubs| hub_count + 3 * hubs));
        assert!(ends[0] + ends[1] < hub_count && behind[1] > 2 * hub_count);
    }

    #[test]
    fn cameras_stand_apart_where_much_passes() {
        let graph = City::default().build().unwrap();
        let network = Network::new(&graph, 400, &mut Draw::new(9)).unwrap();
        let mut seen: Vec<u32> =
            network.cameras.iter().copied().filter(|&camera| camera != NO_CAMERA).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..400));
        let fast = |node: u32| graph.roads_of(node).iter().any(|by| by.pace > 0.6);
        let nodes = 0..graph.node_count() as u32;
        let all = nodes.clone().filter(|&node| fast(node)).count() as f64 / 3_600.0;
        let with = nodes.filter(|&node| fast(node) && network.cameras[node as usize] != NO_CAMERA);
        let chosen = with.count() as f64 / 400.0;
        assert!(chosen > 1.3 * all, "{chosen} at fast roads, {all} of all junctions");
    }

    #[test]
    fn roads_of_no_length_and_separate_parts_are_no_trap() {
        let at = |x| Coord { x, y: 0.0 };
        let nodes = [at(1.0), at(1.0), at(1.0), at(50.0), at(60.0), at(90.0)];
        let roads = [[0, 1], [1, 2], [2, 0], [3, 4]].map(|ends| Road { ends, pace: 1.0 });
        let graph = RoadGraph::new(SpaceKind::Plane, &nodes, &roads).unwrap();
        let mut draw = Draw::new(2);
        let network = Network::new(&graph, 5, &mut draw).unwrap();
        assert!(matches!(
            Network::new(&graph, 6, &mut draw),
            Err(CameraError::Options(CameraOptionsError::TooManyCameras {
                cameras: 6,
                junctions: 5
            }))
        ));
        for _ in 0..200 {
            let from = network.draw_junction(&mut draw);
            let Some(hub) = network.draw_hub(from, &mut draw) else { continue };
            let trip = Trip { from, hub, depart_ms: 0, limit_ms: 1_000_000, speed: 1.0 };
            let arrival = network.drive(trip, &mut draw, |_, _| ());
            assert_eq!(arrival.node < 3, from < 3);
        }
    }
}
