//! Crowds: objects normally distributed around a few centres, each straying near its home.

use dunlin_index::Coord;

use super::area::Area;
use super::noise::Draw;
use super::wander::{Stray, Wander};
use super::{Movement, Population, assert_share};

/// How many crowds there are and how wide they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clusters {
    /// How many centres there are; none counts as one.
    pub count: usize,
    /// The standard deviation of homes around their centre, as a share of the area's extent. An
    /// object strays as far from its home, but not over a quarter of the extent.
    pub spread: f64,
}

impl Default for Clusters {
    /// Ten crowds of a fiftieth of the extent.
    fn default() -> Self {
        Self { count: 10, spread: 0.02 }
    }
}

/// Objects in crowds.
#[derive(Clone, Debug)]
pub struct GaussianClusters {
    area: Area,
    at: Vec<Coord>,
    wander: Wander,
}

const RANGE_MAX: f64 = 0.25;
const REDRAWS_MAX: usize = 16;

impl GaussianClusters {
    /// Places the centres, in the middle four fifths of the area, and the objects around them.
    ///
    /// # Panics
    /// If the population's speed is out of bounds, or the spread is not in 0 to 1.
    #[must_use]
    pub fn new(area: Area, population: Population, clusters: Clusters) -> Self {
        assert_share(clusters.spread, "spread");
        let mut draw = Draw::new(population.seed);
        let centres: Vec<Coord> = (0..clusters.count.max(1))
            .map(|_| draw.shares())
            .map(|Coord { x, y }| Coord { x: 0.1 + 0.8 * x, y: 0.1 + 0.8 * y })
            .collect();
        let range = clusters.spread.min(RANGE_MAX);
        let homes: Vec<Coord> = (0..population.objects)
            .map(|_| {
                let centre = centres[draw.below(centres.len())];
                area.at(home(centre, clusters.spread, range, &mut draw))
            })
            .collect();
        let stray = Stray { range, speed: population.speed };
        let wander = Wander::new(area, homes.clone(), stray, &mut draw);
        Self { area, at: homes, wander }
    }
}

impl Movement for GaussianClusters {
    fn positions(&self) -> &[Coord] {
        &self.at
    }

    fn step(&mut self, seconds: f64) {
        let area = self.area;
        self.wander.step(&mut self.at, seconds, |at| area.clamp(at));
    }
}

/// A home around `centre` with its whole range in the area, all in shares of the extent.
fn home(centre: Coord, spread: f64, range: f64, draw: &mut Draw) -> Coord {
    let inside = |share: f64| (range..=1.0 - range).contains(&share);
    let mut homes = (0..REDRAWS_MAX).map(|_| {
        let Coord { x, y } = draw.normal();
        Coord { x: centre.x + x * spread, y: centre.y + y * spread }
    });
    let home = homes.find(|home| inside(home.x) && inside(home.y)).unwrap_or(centre);
    Coord { x: home.x.clamp(range, 1.0 - range), y: home.y.clamp(range, 1.0 - range) }
}
