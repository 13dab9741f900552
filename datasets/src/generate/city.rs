//! A city that does not exist: a grid of streets, jittered, with gaps, arterials and a ring.
//!
//! ```text
//!   + - + - + - + - +
//!   |       |   |   |      -  |   street, half pace; some are missing
//!   + - # = # = # - +      every sixth line is an arterial, at four fifths
//!   |   #   |   #   |      # =    ring, full pace
//!   + - # = # = # - +
//! ```
//!
//! Gaps never cut the city apart: a street that alone joins two parts is built in any case, as in
//! Kruskal's algorithm.

use dunlin_index::space::EARTH_RADIUS_M;
use dunlin_index::{Coord, SpaceKind};

use super::noise::Draw;
use super::roads::{Road, RoadError, RoadGraph};

/// A made-up city on the sphere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct City {
    /// What decides everything that looks random.
    pub seed: u64,
    /// Its middle, in degrees.
    pub centre: Coord,
    /// How many crossings there are along each side.
    pub side: usize,
    /// How far apart crossings are, in metres.
    pub block_m: f64,
}

impl Default for City {
    /// 3 600 crossings, 250 m apart, around 116.39 E 39.91 N.
    fn default() -> Self {
        Self { seed: 0, centre: Coord { x: 116.39, y: 39.91 }, side: 60, block_m: 250.0 }
    }
}

/// How far a crossing is moved at most, in blocks.
const JITTER: f64 = 0.25;
/// The share of streets that is missing, but for those that cannot be missed.
const MISSING: f64 = 0.15;
const ARTERIAL_EVERY: usize = 6;
const RING_PACE: f64 = 1.0;
const ARTERIAL_PACE: f64 = 0.8;
const STREET_PACE: f64 = 0.5;

impl City {
    /// Builds the network, which is connected.
    ///
    /// # Errors
    /// A city that reaches over a pole or over the antimeridian.
    ///
    /// # Panics
    /// If a side has more than 4 096 crossings.
    pub fn build(&self) -> Result<RoadGraph, RoadError> {
        assert!(self.side <= 4_096, "a city of {} crossings a side", self.side);
        let mut draw = Draw::new(self.seed);
        let nodes = self.nodes(&mut draw);
        let is_gap = |street: &Road| street.pace == STREET_PACE && draw.share() < MISSING;
        let (gaps, mut streets): (Vec<Road>, Vec<Road>) =
            self.streets().into_iter().partition(is_gap);
        let mut parts = Parts::new(nodes.len());
        for street in &streets {
            parts.join(street.ends);
        }
        streets.extend(gaps.into_iter().filter(|street| parts.join(street.ends)));
        RoadGraph::new(SpaceKind::Sphere, &nodes, &streets)
    }

    fn nodes(&self, draw: &mut Draw) -> Vec<Coord> {
        let block_lat = (self.block_m / EARTH_RADIUS_M).to_degrees();
        let block_lon = block_lat / libm::cos(self.centre.y.to_radians());
        let middle = (self.side as f64 - 1.0) / 2.0;
        let crossings =
            (0..self.side).flat_map(|row| (0..self.side).map(move |column| (row, column)));
        let place = |(row, column)| {
            let jitter = draw.signed();
            Coord {
                x: self.centre.x + (column as f64 - middle + jitter.x * JITTER) * block_lon,
                y: self.centre.y + (row as f64 - middle + jitter.y * JITTER) * block_lat,
            }
        };
        crossings.map(place).collect()
    }

    /// Every road that the full grid has.
    fn streets(&self) -> Vec<Road> {
        let node = |row: usize, column: usize| (row * self.side + column) as u32;
        let mut streets = Vec::new();
        for line in 0..self.side {
            for place in 1..self.side {
                let pace = self.pace(line, place);
                streets.push(Road { ends: [node(line, place - 1), node(line, place)], pace });
                streets.push(Road { ends: [node(place - 1, line), node(place, line)], pace });
            }
        }
        streets
    }

    /// The pace of the piece of a line that ends at `place`.
    fn pace(&self, line: usize, place: usize) -> f64 {
        let ring = [self.side / 4, self.side - 1 - self.side / 4];
        if ring.contains(&line) && (ring[0] + 1..=ring[1]).contains(&place) {
            RING_PACE
        } else if line % ARTERIAL_EVERY == ARTERIAL_EVERY / 2 {
            ARTERIAL_PACE
        } else {
            STREET_PACE
        }
    }
}

/// Which nodes are joined already: a forest whose roots stand for the parts.
struct Parts(Vec<u32>);

impl Parts {
    fn new(nodes: usize) -> Self {
        Self((0..nodes as u32).collect())
    }

    fn root(&mut self, mut node: u32) -> u32 {
        while self.0[node as usize] != node {
            let above = self.0[self.0[node as usize] as usize];
            self.0[node as usize] = above;
            node = above;
        }
        node
    }

    /// Joins two nodes and says whether they were apart.
    fn join(&mut self, ends: [u32; 2]) -> bool {
        let [a, b] = ends.map(|end| self.root(end));
        self.0[a as usize] = b;
        a != b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cities_are_connected_with_gaps() {
        for seed in 0..20 {
            let graph = City { seed, side: 25, ..City::default() }.build().unwrap();
            assert_eq!((graph.node_count(), graph.part_count()), (625, 1), "seed {seed}");
            let full = 2 * 25 * 24;
            assert!(
                (full * 80 / 100..full * 95 / 100).contains(&graph.road_count()),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn the_seed_decides() {
        let nodes = |seed| City { seed, ..City::default() }.build().unwrap().nodes().to_vec();
        assert_eq!(nodes(1), nodes(1));
        assert_ne!(nodes(1), nodes(2));
    }

    #[test]
    fn blocks_are_as_long_as_asked() {
        let city = City { side: 41, block_m: 100.0, ..City::default() };
        let graph = city.build().unwrap();
        let mean = graph.length() / graph.road_count() as f64;
        assert!((95.0..110.0).contains(&mean), "{mean} m");
        let first = graph.nodes()[0];
        assert!((first.x - city.centre.x).abs() < 0.03 && (first.y - city.centre.y).abs() < 0.03);
    }

    #[test]
    fn tiny_and_impossible_cities_are_defined() {
        for side in 0..4 {
            let graph = City { side, ..City::default() }.build().unwrap();
            assert_eq!((graph.node_count(), graph.part_count()), (side * side, side.min(1)));
        }
        let pole = City { centre: Coord { x: 0.0, y: 90.0 }, ..City::default() };
        assert!(matches!(pole.build(), Err(RoadError::Position { .. })));
    }
}
