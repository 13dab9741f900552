//! Objects everywhere alike, on straight ways that turn now and then.
//!
//! The random direction model: an object keeps its velocity until it draws a new one, on average
//! after [`TURN_SECONDS`], and is mirrored at the borders. Positions stay uniform for ever.

use dunlin_index::Coord;

use super::area::{Area, reflect};
use super::noise::{Draw, Noise, mix, signed};
use super::{Movement, Population, assert_seconds, assert_speed};

/// How long an object goes straight on, on average.
const TURN_SECONDS: f64 = 120.0;

/// Objects uniform in an area.
#[derive(Clone, Debug)]
pub struct Uniform {
    at: Vec<Coord>,
    roaming: Roaming,
}

impl Uniform {
    /// Places the objects and gives them their first velocities.
    ///
    /// # Panics
    /// If the population's speed is out of bounds.
    #[must_use]
    pub fn new(area: Area, population: Population) -> Self {
        let mut draw = Draw::new(population.seed);
        let at: Vec<Coord> = (0..population.objects).map(|_| area.at(draw.shares())).collect();
        let roaming = Roaming::new(area, population.speed, at.len(), &mut draw);
        Self { at, roaming }
    }
}

impl Movement for Uniform {
    fn positions(&self) -> &[Coord] {
        &self.at
    }

    fn step(&mut self, seconds: f64) {
        self.roaming.step(&mut self.at, seconds);
    }
}

/// The velocities of objects that roam an area.
#[derive(Clone, Debug)]
pub(crate) struct Roaming {
    area: Area,
    /// Greatest velocity, in units per second.
    velocity_max: Coord,
    velocities: Vec<Coord>,
    noise: Noise,
}

impl Roaming {
    pub(crate) fn new(area: Area, speed: f64, objects: usize, draw: &mut Draw) -> Self {
        assert_speed(speed);
        let extent = area.extent();
        let velocity_max = Coord { x: speed * extent.x, y: speed * extent.y };
        let velocities = (0..objects).map(|_| scaled(draw.signed(), velocity_max)).collect();
        Self { area, velocity_max, velocities, noise: Noise::new(draw.bits()) }
    }

    /// Moves every object of `at`.
    pub(crate) fn step(&mut self, at: &mut [Coord], seconds: f64) {
        assert_seconds(seconds);
        let noise = self.noise.advance();
        let turns = turn_threshold(seconds);
        let (min, max) = (self.area.min(), self.area.max());
        for (index, (at, velocity)) in at.iter_mut().zip(&mut self.velocities).enumerate() {
            let bits = noise.bits(index);
            if bits < turns {
                *velocity = scaled(signed(mix(bits)), self.velocity_max);
            }
            let (x, turned_x) = reflect(at.x + velocity.x * seconds, min.x, max.x);
            let (y, turned_y) = reflect(at.y + velocity.y * seconds, min.y, max.y);
            velocity.x = if turned_x { -velocity.x } else { velocity.x };
            velocity.y = if turned_y { -velocity.y } else { velocity.y };
            *at = Coord { x, y };
        }
    }
}

/// Noise below this number turns an object.
fn turn_threshold(seconds: f64) -> u64 {
    (seconds / (seconds + TURN_SECONDS) * u64::MAX as f64) as u64
}

fn scaled(share: Coord, by: Coord) -> Coord {
    Coord { x: share.x * by.x, y: share.y * by.y }
}
