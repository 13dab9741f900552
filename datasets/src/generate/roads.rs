//! A network of roads: nodes with positions, roads between them.
//!
//! ```text
//! starts   0     2        5 …         roads of node n: half_roads[starts[n]..starts[n + 1]]
//! halves   b  e  a  c  d  …           every road stands twice, once at each of its ends
//! ```
//!
//! Lengths are computed from the positions: metres on the sphere, units in the plane.

use dunlin_index::{Coord, Plane, PositionError, Space, SpaceKind, Sphere};

use crate::ReadError;

/// A road between two nodes, passable both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Road {
    /// The nodes at its ends.
    pub ends: [u32; 2],
    /// How fast it is: the share of its own speed at which an object goes here, above 0 up to 1.
    pub pace: f64,
}

/// Why there is no network of roads.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoadError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A line of a file does not read.
    #[error("{}:{line}: not a {expected}; correct the line", path.display())]
    Line {
        /// The file.
        path: std::path::PathBuf,
        /// The line, from 1.
        line: u64,
        /// What the line should be.
        expected: &'static str,
    },
    /// A line of a file names a node that the file of nodes does not have.
    #[error("{}:{line}: no node {node}; check that both files belong together", path.display())]
    UnknownNode {
        /// The file of roads.
        path: std::path::PathBuf,
        /// The line, from 1.
        line: u64,
        /// The id of the node.
        node: u64,
    },
    /// A node's position does not fit the space.
    #[error("node {node} is unfit: {reason}")]
    Position {
        /// The index of the node.
        node: usize,
        /// What is wrong with it.
        reason: PositionError,
    },
    /// A road that ends at no node, or whose pace is not above 0 up to 1.
    #[error("road {road} has an end that is no node, or a pace outside 0 to 1")]
    Road {
        /// The index of the road.
        road: usize,
    },
    /// No road joins two different nodes, so nothing can move.
    #[error("the network has no road between two nodes: add roads, or use another file")]
    NoRoads,
    /// A speed at which nothing moves, or everything at once.
    #[error("speed {speed} is not above 0: give metres per second")]
    Speed {
        /// The speed.
        speed: f64,
    },
}

/// One direction of a road.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HalfRoad {
    pub(crate) to: u32,
    pub(crate) length: f64,
    pub(crate) pace: f64,
}

/// Nodes and the roads between them.
#[derive(Clone, Debug)]
pub struct RoadGraph {
    space: SpaceKind,
    nodes: Vec<Coord>,
    starts: Vec<u32>,
    halves: Vec<HalfRoad>,
}

impl RoadGraph {
    /// A network of the given nodes and roads. Roads from a node to itself lead nowhere and are
    /// left out.
    ///
    /// # Errors
    /// A node that is unfit for `space`, or a road with an unknown end or an unfit pace.
    pub fn new(space: SpaceKind, nodes: &[Coord], roads: &[Road]) -> Result<Self, RoadError> {
        let check =
            |(node, &at)| space.check(at).map_err(|reason| RoadError::Position { node, reason });
        let nodes = nodes.iter().enumerate().map(check).collect::<Result<Vec<_>, _>>()?;
        let fits = |road: &Road| {
            let known = road.ends.iter().all(|&end| (end as usize) < nodes.len());
            known && road.pace > 0.0 && road.pace <= 1.0
        };
        if let Some(road) = roads.iter().position(|road| !fits(road)) {
            return Err(RoadError::Road { road });
        }
        let mut graph = Self { space, nodes, starts: Vec::new(), halves: Vec::new() };
        graph.fill(roads);
        Ok(graph)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many roads there are, without those from a node to itself.
    #[must_use]
    pub fn road_count(&self) -> usize {
        self.halves.len() / 2
    }

    /// The positions of the nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Coord] {
        &self.nodes
    }

    /// Both ends of every road.
    pub fn segments(&self) -> impl Iterator<Item = [Coord; 2]> {
        let nodes = 0..self.nodes.len() as u32;
        let ends = nodes.flat_map(|from| self.roads_of(from).iter().map(move |it| (from, it.to)));
        // Each road stands at both of its ends.
        ends.filter(|(from, to)| from < to)
            .map(|(from, to)| [from, to].map(|node| self.nodes[node as usize]))
    }

    /// The length of all roads, in metres or units of the plane.
    #[must_use]
    pub fn length(&self) -> f64 {
        self.halves.iter().map(|half| half.length).sum::<f64>() / 2.0
    }

    /// How many parts without a road between them the network has; 1 is connected.
    #[must_use]
    pub fn part_count(&self) -> usize {
        let mut seen = vec![false; self.nodes.len()];
        let mut parts = 0;
        for node in 0..self.nodes.len() {
            if !std::mem::replace(&mut seen[node], true) {
                parts += 1;
                self.mark_part(node, &mut seen);
            }
        }
        parts
    }

    pub(crate) fn space(&self) -> SpaceKind {
        self.space
    }

    /// The roads that leave a node.
    pub(crate) fn roads_of(&self, node: u32) -> &[HalfRoad] {
        let node = node as usize;
        &self.halves[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// Fills the two halves of every road in, by counting sort.
    fn fill(&mut self, roads: &[Road]) {
        let roads = || roads.iter().filter(|road| road.ends[0] != road.ends[1]);
        let mut starts = vec![0; self.nodes.len() + 1];
        for end in roads().flat_map(|road| road.ends) {
            starts[end as usize + 1] += 1;
        }
        (1..starts.len()).for_each(|node| starts[node] += starts[node - 1]);
        let mut places = starts.clone();
        let none = HalfRoad { to: 0, length: 0.0, pace: 1.0 };
        self.halves = vec![none; 2 * roads().count()];
        for &Road { ends: [a, b], pace } in roads() {
            let length = distance(self.space, self.nodes[a as usize], self.nodes[b as usize]);
            for (from, to) in [(a, b), (b, a)] {
                let place: &mut u32 = &mut places[from as usize];
                self.halves[*place as usize] = HalfRoad { to, length, pace };
                *place += 1;
            }
        }
        self.starts = starts;
    }

    fn mark_part(&self, node: usize, seen: &mut [bool]) {
        let mut open = vec![node as u32];
        while let Some(node) = open.pop() {
            for half in self.roads_of(node) {
                if !std::mem::replace(&mut seen[half.to as usize], true) {
                    open.push(half.to);
                }
            }
        }
    }
}

/// The distance of two positions, in metres or units of the plane.
pub(crate) fn distance(space: SpaceKind, a: Coord, b: Coord) -> f64 {
    match space {
        SpaceKind::Sphere => Sphere::distance(Sphere::key(&Sphere::probe(a), b)),
        SpaceKind::Plane => Plane::distance(Plane::key(&Plane::probe(a), b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(nodes: &[(f64, f64)], roads: &[[u32; 2]]) -> Result<RoadGraph, RoadError> {
        let nodes: Vec<Coord> = nodes.iter().map(|&(x, y)| Coord { x, y }).collect();
        let roads: Vec<Road> = roads.iter().map(|&ends| Road { ends, pace: 1.0 }).collect();
        RoadGraph::new(SpaceKind::Plane, &nodes, &roads)
    }

    #[test]
    fn every_road_leaves_both_its_ends() {
        let nodes = [(0.0, 0.0), (3.0, 4.0), (3.0, 0.0), (9.0, 9.0)];
        let graph = plane(&nodes, &[[0, 1], [2, 1], [2, 2]]).unwrap();
        let neighbours = |node| graph.roads_of(node).iter().map(|half| half.to).collect::<Vec<_>>();
        assert_eq!([0, 1, 2, 3].map(neighbours), [vec![1], vec![0, 2], vec![1], vec![]]);
        assert_eq!((graph.node_count(), graph.road_count(), graph.part_count()), (4, 2, 2));
        assert_eq!(graph.length(), 9.0);
    }

    #[test]
    fn lengths_on_the_sphere_are_metres() {
        let nodes = [Coord { x: 179.5, y: 0.0 }, Coord { x: -179.5, y: 0.0 }];
        let road = Road { ends: [0, 1], pace: 1.0 };
        let graph = RoadGraph::new(SpaceKind::Sphere, &nodes, &[road]).unwrap();
        assert!((graph.length() - 111_195.08).abs() < 0.01, "{}", graph.length());
    }

    #[test]
    fn networks_without_sense_are_refused() {
        assert!(matches!(plane(&[(0.0, 0.0)], &[[0, 1]]), Err(RoadError::Road { road: 0 })));
        let nan = plane(&[(0.0, 0.0), (f64::NAN, 0.0)], &[]);
        assert!(matches!(nan, Err(RoadError::Position { node: 1, .. })));
        let nodes = [Coord { x: 0.0, y: 0.0 }; 2];
        for pace in [0.0, -1.0, 1.5, f64::NAN] {
            let roads = [Road { ends: [0, 1], pace }];
            assert!(RoadGraph::new(SpaceKind::Plane, &nodes, &roads).is_err(), "{pace}");
        }
        assert_eq!(plane(&[], &[]).unwrap().part_count(), 0);
    }
}
