//! Sieves: which rounded positions are worth an exact look.

use geo::Coord;

use super::{Interval, Window};

/// A cheap test for positions rounded to 32 bits: whether they may lie within a key of a probe.
///
/// It passes every rounded position whose exact one lies within the key, and few others. So exact
/// keys are computed for hardly more objects than there are in the disc.
#[derive(Clone, Copy, Debug)]
pub enum Sieve {
    /// Passes what lies in a box, as rounded as what it tests; rounding never reorders.
    Box {
        /// Intervals of x.
        x: [(f32, f32); 2],
        /// Interval of y.
        y: (f32, f32),
    },
    /// Passes what lies in the ellipse `weight_x · dx² + dy² ≤ limit` about a center: where the
    /// space is flat, a disc a little enlarged for what rounding loses.
    Ellipse {
        /// Center.
        center: (f32, f32),
        /// Weight of dx².
        weight_x: f32,
        /// Square of the half axis in y.
        limit: f32,
    },
}

/// Extent of a window up to which the squares of an ellipse stay finite.
const ELLIPSE_EXTENT_MAX: f64 = 1e18;

impl Sieve {
    /// The sieve of `window` alone.
    #[must_use]
    pub fn of_window(window: &Window) -> Self {
        let round = |interval: Interval| (interval.min as f32, interval.max as f32);
        Self::Box { x: window.x.map(round), y: round(window.y) }
    }

    /// The sieve of the ellipse `weight_x · dx² + dy² ≤ reach²` about `center`, inside `window`.
    pub(super) fn of_ellipse(window: &Window, center: Coord, weight_x: f64, reach: f64) -> Self {
        let extent = |interval: Interval| interval.min.abs().max(interval.max.abs());
        let extent = extent(window.x[0]) + extent(window.y);
        if extent > ELLIPSE_EXTENT_MAX {
            return Self::of_window(window);
        }
        // A rounded coordinate is off by 2^-24 of it; differences and sums add a few more.
        let reach = reach + extent * 4.0 * f64::from(f32::EPSILON) + f64::from(f32::MIN_POSITIVE);
        Self::Ellipse {
            center: (center.x as f32, center.y as f32),
            weight_x: weight_x as f32,
            limit: (reach * reach * (1.0 + 1e-6)) as f32 + f32::MIN_POSITIVE,
        }
    }

    /// Whether a position that rounds to (`x`, `y`) may be near. NaN is not.
    #[inline]
    #[must_use]
    pub fn passes(&self, x: f32, y: f32) -> bool {
        match *self {
            Self::Box { x: [first, second], y: rows } => {
                let inside = |(min, max): (f32, f32), value| (min <= value) & (value <= max);
                (inside(first, x) | inside(second, x)) & inside(rows, y)
            }
            Self::Ellipse { center, weight_x, limit } => {
                let (dx, dy) = (x - center.0, y - center.1);
                weight_x * dx * dx + dy * dy <= limit
            }
        }
    }
}
