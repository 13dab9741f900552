//! Objects that stay near their homes: a random walk, mirrored at the edge of each one's range.

use dunlin_index::Coord;

use super::area::{Area, reflect};
use super::noise::{Draw, Noise};
use super::{assert_seconds, assert_speed};

/// The homes of objects, and how far and how fast they stray.
#[derive(Clone, Debug)]
pub(crate) struct Wander {
    homes: Vec<Coord>,
    /// Greatest distance from home, along x and along y.
    range: Coord,
    /// Greatest speed, in units per second.
    velocity_max: Coord,
    noise: Noise,
}

impl Wander {
    /// Objects at `homes` that stray up to `range`, a share of the area's extent.
    pub(crate) fn new(
        area: Area,
        homes: Vec<Coord>,
        Stray { range, speed }: Stray,
        draw: &mut Draw,
    ) -> Self {
        assert_speed(speed);
        let extent = area.extent();
        let scaled = |by: f64| Coord { x: by * extent.x, y: by * extent.y };
        let noise = Noise::new(draw.bits());
        Self { homes, range: scaled(range), velocity_max: scaled(speed), noise }
    }

    /// Moves every object of `at`; `bound` has the last word on where it ends.
    pub(crate) fn step(&mut self, at: &mut [Coord], seconds: f64, bound: impl Fn(Coord) -> Coord) {
        assert_seconds(seconds);
        let noise = self.noise.advance();
        let range = self.range;
        // A step over the whole range is as good as any longer one.
        let reach_x = (self.velocity_max.x * seconds).min(2.0 * range.x);
        let reach_y = (self.velocity_max.y * seconds).min(2.0 * range.y);
        for (index, (at, home)) in at.iter_mut().zip(&self.homes).enumerate() {
            let by = noise.signed(index);
            let (x, y) = (at.x + by.x * reach_x, at.y + by.y * reach_y);
            let (x, _) = reflect(x, home.x - range.x, home.x + range.x);
            let (y, _) = reflect(y, home.y - range.y, home.y + range.y);
            *at = bound(Coord { x, y });
        }
    }
}

/// How objects stray from home, as shares of the area's extent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stray {
    /// How far at most.
    pub(crate) range: f64,
    /// How far in a second at most.
    pub(crate) speed: f64,
}
