//! The Euclidean plane: x and y in any unit, keys are squared distances.

use geo::Coord;

use super::{
    Interval, PositionError, SLACK, Sieve, Space, SpaceKind, Window, gap_above,
    without_negative_zero,
};

/// Largest magnitude of a coordinate in the plane; squares of differences stay finite.
pub const PLANE_COORDINATE_MAX: f64 = 1e150;

/// The Euclidean plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plane;

impl Space for Plane {
    type Probe = Coord;

    const KIND: SpaceKind = SpaceKind::Plane;
    const WRAPS: bool = false;

    fn check(at: Coord) -> Result<Coord, PositionError> {
        if !(at.x.is_finite() && at.y.is_finite()) {
            return Err(PositionError::NotFinite);
        }
        if at.x.abs().max(at.y.abs()) > PLANE_COORDINATE_MAX {
            return Err(PositionError::TooLarge);
        }
        Ok(without_negative_zero(at))
    }

    #[inline]
    fn probe(at: Coord) -> Coord {
        at
    }

    #[inline]
    fn key(probe: &Coord, to: Coord) -> f64 {
        let (dx, dy) = (to.x - probe.x, to.y - probe.y);
        dx * dx + dy * dy
    }

    #[inline]
    fn key_between(a: &Coord, b: &Coord) -> f64 {
        Self::key(a, *b)
    }

    #[inline]
    fn window(probe: &Coord, key: f64) -> Window {
        // The tiny addend covers squares that underflow to zero.
        let reach = key.sqrt() * (1.0 + SLACK) + 1e-150;
        Window {
            x: [Interval { min: probe.x - reach, max: probe.x + reach }, Interval::EMPTY],
            y: Interval { min: probe.y - reach, max: probe.y + reach },
        }
    }

    #[inline]
    fn sieve(probe: &Coord, window: &Window, key: f64) -> Sieve {
        Sieve::of_ellipse(window, *probe, 1.0, key.sqrt())
    }

    #[inline]
    fn key_above(probe: &Coord, x: f32, y: f32) -> f64 {
        let (dx, dy) = (gap_above(x, probe.x), gap_above(y, probe.y));
        dx * dx + dy * dy
    }

    #[inline]
    fn distance(key: f64) -> f64 {
        key.sqrt()
    }

    fn key_within(distance: f64) -> f64 {
        let reach = distance * (1.0 + SLACK);
        reach * reach
    }

    #[inline]
    fn key_of_area(_: &Coord, area: f64) -> f64 {
        area * std::f64::consts::FRAC_1_PI
    }

    #[inline]
    fn gap_x(x: f64, border: f64) -> f64 {
        (x - border).abs()
    }
}
