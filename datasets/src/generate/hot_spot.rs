//! One dense crowd whose centre wanders in a figure of eight; the other objects roam everywhere.
//!
//! The load of any fixed part of the area rises and falls as the crowd comes and goes, which is
//! what strips must split and merge for.

use std::f64::consts::TAU;

use dunlin_index::Coord;

use super::area::Area;
use super::noise::Draw;
use super::uniform::Roaming;
use super::wander::{Stray, Wander};
use super::{Movement, Population, assert_share};

/// The crowd and the way of its centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HotSpot {
    /// The share of the objects that is in the crowd, 0 to 1.
    pub share: f64,
    /// The standard deviation of the crowd, as a share of the area's extent.
    pub spread: f64,
    /// How long the centre takes to come back, in seconds.
    pub period_s: f64,
}

impl Default for HotSpot {
    /// Four fifths of the objects, a thirtieth of the extent, an hour.
    fn default() -> Self {
        Self { share: 0.8, spread: 1.0 / 30.0, period_s: 3_600.0 }
    }
}

/// A crowd that drifts, among objects that roam. Objects of the crowd come first; they move with
/// its centre, so their speed is its speed and up to [`Population::speed`] of their own.
#[derive(Clone, Debug)]
pub struct DriftingHotSpot {
    area: Area,
    hot_spot: HotSpot,
    seconds: f64,
    /// Where each object of the crowd is, relative to the centre.
    offsets: Vec<Coord>,
    wander: Wander,
    roaming: Roaming,
    at: Vec<Coord>,
}

/// How far the centre goes from the middle of the area, as a share of the extent.
const AMPLITUDE: f64 = 0.35;

impl DriftingHotSpot {
    /// Places the crowd in the middle of the area and the others anywhere.
    ///
    /// # Panics
    /// If the population's speed is out of bounds, share or spread are not in 0 to 1, or the
    /// period is not above 0.
    #[must_use]
    pub fn new(area: Area, population: Population, hot_spot: HotSpot) -> Self {
        assert_share(hot_spot.share, "share");
        assert_share(hot_spot.spread, "spread");
        assert!(hot_spot.period_s > 0.0, "a period of {} seconds", hot_spot.period_s);
        let mut draw = Draw::new(population.seed);
        let crowd = (population.objects as f64 * hot_spot.share).round() as usize;
        let extent = area.extent();
        let scale = Coord { x: hot_spot.spread * extent.x, y: hot_spot.spread * extent.y };
        let offsets: Vec<Coord> = (0..crowd)
            .map(|_| draw.normal())
            .map(|Coord { x, y }| Coord { x: x * scale.x, y: y * scale.y })
            .collect();
        let mut at = vec![area.min(); crowd];
        at.extend((crowd..population.objects).map(|_| area.at(draw.shares())));
        let stray = Stray { range: hot_spot.spread, speed: population.speed };
        let wander = Wander::new(area, offsets.clone(), stray, &mut draw);
        let roaming = Roaming::new(area, population.speed, at.len() - crowd, &mut draw);
        let mut movement = Self { area, hot_spot, seconds: 0.0, offsets, wander, roaming, at };
        movement.place_crowd();
        movement
    }

    /// The centre of the crowd now.
    #[must_use]
    pub fn centre(&self) -> Coord {
        let angle = TAU * (self.seconds / self.hot_spot.period_s).fract();
        self.area.at(Coord {
            x: 0.5 + AMPLITUDE * libm::sin(angle),
            y: 0.5 + AMPLITUDE * libm::sin(2.0 * angle),
        })
    }

    fn place_crowd(&mut self) {
        let (area, centre) = (self.area, self.centre());
        for (at, offset) in self.at.iter_mut().zip(&self.offsets) {
            *at = area.clamp(Coord { x: centre.x + offset.x, y: centre.y + offset.y });
        }
    }
}

impl Movement for DriftingHotSpot {
    fn positions(&self) -> &[Coord] {
        &self.at
    }

    fn step(&mut self, seconds: f64) {
        self.seconds += seconds;
        self.wander.step(&mut self.offsets, seconds, |offset| offset);
        self.place_crowd();
        let crowd = self.offsets.len();
        self.roaming.step(&mut self.at[crowd..], seconds);
    }
}
