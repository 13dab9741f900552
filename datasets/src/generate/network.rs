//! Objects that travel the fastest ways through a network of roads (after Brinkhoff, "A Framework
//! for Generating Network-Based Moving Objects", 2002).
//!
//! Every object belongs to a class of speed. It goes from node to node, rests at its destination
//! until the step ends, and leaves for another one with the next step: so a step finds at most one
//! route per object, whatever its length and the shape of the network. Destinations are among the
//! 2 000 nodes nearest to where an object stands, which bounds the cost of a route.

use dunlin_index::{Coord, SpaceKind};

use super::noise::Draw;
use super::roads::{HalfRoad, RoadError, RoadGraph};
use super::routes::{Router, SETTLED_MAX};
use super::{Movement, assert_seconds};

/// Who travels a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Travellers {
    /// How many objects there are.
    pub objects: usize,
    /// What decides everything that looks random.
    pub seed: u64,
    /// The greatest speed of each class, slow, medium and fast, in metres (or units of the plane)
    /// per second. Classes are about equally large.
    pub speeds: [f64; 3],
}

impl Default for Travellers {
    /// A thousand on foot, in town and on the highway: 1.5, 8 and 25 m/s.
    fn default() -> Self {
        Self { objects: 1_000, seed: 0, speeds: [1.5, 8.0, 25.0] }
    }
}

/// Objects on a network of roads.
#[derive(Clone, Debug)]
pub struct NetworkMovement {
    graph: RoadGraph,
    router: Router,
    draw: Draw,
    travellers: Vec<Traveller>,
    at: Vec<Coord>,
}

/// One object on its way.
#[derive(Clone, Debug)]
struct Traveller {
    speed: f64,
    /// The node where the current road begins.
    from: u32,
    /// The current road, and how far along it the object is.
    by: HalfRoad,
    done: f64,
    /// The roads to come, the last one first.
    route: Vec<HalfRoad>,
    arrived: bool,
}

impl NetworkMovement {
    /// Places the objects at random nodes that have a road, each on its way somewhere.
    ///
    /// # Errors
    /// A network without any road, a speed that is not above 0.
    pub fn new(graph: RoadGraph, travellers: Travellers) -> Result<Self, RoadError> {
        let nodes = 0..graph.node_count() as u32;
        let starts: Vec<u32> = nodes.filter(|&node| !graph.roads_of(node).is_empty()).collect();
        if starts.is_empty() {
            return Err(RoadError::NoRoads);
        }
        let unfit = |speed: &&f64| !(speed.is_finite() && **speed > 0.0);
        if let Some(&speed) = travellers.speeds.iter().find(unfit) {
            return Err(RoadError::Speed { speed });
        }
        let (mut draw, mut router) = (Draw::new(travellers.seed), Router::new(&graph));
        let travellers: Vec<Traveller> = (0..travellers.objects)
            .map(|_| {
                let from = starts[draw.below(starts.len())];
                let speed = travellers.speeds[draw.below(travellers.speeds.len())];
                let by = graph.roads_of(from)[0];
                let route = Vec::new();
                let mut traveller = Traveller { speed, from, by, done: 0.0, route, arrived: false };
                traveller.leave(from, &graph, &mut router, &mut draw);
                traveller
            })
            .collect();
        let at = travellers.iter().map(|traveller| traveller.at(&graph)).collect();
        Ok(Self { graph, router, draw, travellers, at })
    }

    /// The network.
    #[must_use]
    pub fn graph(&self) -> &RoadGraph {
        &self.graph
    }
}

impl Movement for NetworkMovement {
    fn positions(&self) -> &[Coord] {
        &self.at
    }

    fn step(&mut self, seconds: f64) {
        assert_seconds(seconds);
        for (traveller, at) in self.travellers.iter_mut().zip(&mut self.at) {
            if traveller.arrived {
                traveller.leave(traveller.by.to, &self.graph, &mut self.router, &mut self.draw);
            }
            traveller.travel(seconds);
            *at = traveller.at(&self.graph);
        }
    }
}

impl Traveller {
    /// Sets out from a node that has a road.
    fn leave(&mut self, from: u32, graph: &RoadGraph, router: &mut Router, draw: &mut Draw) {
        let count = 1 + draw.below(SETTLED_MAX);
        router.route(graph, from, count, &mut self.route);
        self.from = from;
        self.by = self.route.pop().expect("a node with a road has a neighbour");
        (self.done, self.arrived) = (0.0, false);
    }

    /// Goes on for `seconds`, or until the destination.
    fn travel(&mut self, mut seconds: f64) {
        loop {
            let speed = self.speed * self.by.pace;
            let seconds_left = (self.by.length - self.done) / speed;
            if seconds < seconds_left {
                self.done += seconds * speed;
                return;
            }
            seconds -= seconds_left;
            let Some(next) = self.route.pop() else {
                (self.done, self.arrived) = (self.by.length, true);
                return;
            };
            (self.from, self.by, self.done) = (self.by.to, next, 0.0);
        }
    }

    fn at(&self, graph: &RoadGraph) -> Coord {
        let (from, to) = (graph.nodes()[self.from as usize], graph.nodes()[self.by.to as usize]);
        if self.done >= self.by.length {
            return to;
        }
        between(graph.space(), from, to, self.done / self.by.length)
    }
}

/// The position at a share of the way, straight in longitude and latitude and the short way round
/// the sphere: over a road of a kilometre the pace varies by less than a thousandth.
fn between(space: SpaceKind, from: Coord, to: Coord, share: f64) -> Coord {
    let mut way = Coord { x: to.x - from.x, y: to.y - from.y };
    if space == SpaceKind::Sphere && way.x.abs() > 180.0 {
        way.x -= 360.0_f64.copysign(way.x);
    }
    let mut at = Coord { x: from.x + way.x * share, y: from.y + way.y * share };
    if space == SpaceKind::Sphere && at.x.abs() > 180.0 {
        at.x -= 360.0_f64.copysign(at.x);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::roads::distance;
    use crate::generate::{City, Road};

    fn city() -> RoadGraph {
        City { side: 20, ..City::default() }.build().unwrap()
    }

    fn plane(nodes: &[(f64, f64)], roads: &[[u32; 2]]) -> RoadGraph {
        let nodes: Vec<Coord> = nodes.iter().map(|&(x, y)| Coord { x, y }).collect();
        let roads: Vec<Road> = roads.iter().map(|&ends| Road { ends, pace: 1.0 }).collect();
        RoadGraph::new(SpaceKind::Plane, &nodes, &roads).unwrap()
    }

    fn start(graph: RoadGraph, objects: usize) -> Result<NetworkMovement, RoadError> {
        NetworkMovement::new(graph, Travellers { objects, ..Travellers::default() })
    }

    #[test]
    fn positions_lie_on_roads() {
        let mut movement = start(city(), 300).unwrap();
        for _ in 0..50 {
            movement.step(7.0);
            let graph = &movement.graph;
            for (traveller, &at) in movement.travellers.iter().zip(&movement.at) {
                assert!(graph.roads_of(traveller.from).contains(&traveller.by));
                let [from, to] =
                    [traveller.from, traveller.by.to].map(|n| graph.nodes()[n as usize]);
                let way = |a, b| distance(SpaceKind::Sphere, a, b);
                let detour = way(from, at) + way(at, to) - way(from, to);
                assert!(detour < 1e-3, "{detour} m off the road at {at:?}");
            }
        }
    }

    #[test]
    fn speeds_are_kept_and_objects_get_somewhere() {
        let mut movement = start(city(), 300).unwrap();
        let first = movement.positions().to_vec();
        for _ in 0..100 {
            let before = movement.positions().to_vec();
            movement.step(5.0);
            for ((traveller, &is), &was) in
                movement.travellers.iter().zip(&movement.at).zip(&before)
            {
                let metres = distance(SpaceKind::Sphere, was, is);
                assert!(metres <= traveller.speed * 5.0 * 1.000_1, "{metres} m in 5 s");
            }
        }
        let moved = movement.at.iter().zip(&first).filter(|(is, was)| is != was).count();
        assert!(moved > 290, "{moved} of 300 moved");
    }

    #[test]
    fn networks_that_lead_nowhere_are_refused() {
        for graph in [plane(&[], &[]), plane(&[(0.0, 0.0)], &[]), plane(&[(0.0, 0.0)], &[[0, 0]])] {
            assert!(matches!(start(graph, 5), Err(RoadError::NoRoads)));
        }
        for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let travellers = Travellers { speeds: [1.0, speed, 1.0], ..Travellers::default() };
            assert!(NetworkMovement::new(city(), travellers).is_err(), "{speed}");
        }
    }

    #[test]
    fn isolated_nodes_and_separate_parts_are_no_trap() {
        let nodes = [(0.0, 0.0), (9.0, 0.0), (500.0, 0.0), (100.0, 0.0), (109.0, 0.0)];
        let mut movement = start(plane(&nodes, &[[0, 1], [3, 4]]), 50).unwrap();
        for _ in 0..200 {
            movement.step(1.0);
            let on_road = |x| (0.0..=9.0).contains(&x) || (100.0..=109.0).contains(&x);
            assert!(movement.positions().iter().all(|at| on_road(at.x)));
        }
    }

    #[test]
    fn roads_of_no_length_end_no_step_late() {
        let mut movement = start(plane(&[(1.0, 1.0), (1.0, 1.0)], &[[0, 1]]), 3).unwrap();
        movement.step(10.0);
        assert!(movement.positions().iter().all(|&at| at == Coord { x: 1.0, y: 1.0 }));
    }

    #[test]
    fn the_antimeridian_is_crossed_the_short_way() {
        let at = |from, to, share| {
            let (from, to) = (Coord { x: from, y: 0.0 }, Coord { x: to, y: 1.0 });
            between(SpaceKind::Sphere, from, to, share)
        };
        assert_eq!(at(179.0, -179.0, 0.25), Coord { x: 179.5, y: 0.25 });
        assert_eq!(at(179.0, -179.0, 0.75), Coord { x: -179.5, y: 0.75 });
        assert_eq!(at(-179.0, 179.0, 0.75), Coord { x: 179.5, y: 0.75 });
    }
}
