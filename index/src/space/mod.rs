//! The two spaces and their distances.
//!
//! | space | position | distance | key that is compared |
//! |---|---|---|---|
//! | [`Plane`] | x, y in any unit | Euclidean | squared distance |
//! | [`Sphere`] | longitude, latitude in degrees (WGS 84) | haversine, metres | squared chord / 4 |
//!
//! Distances are compared by a *key* that grows with the distance and costs no root; the distance
//! itself is computed for output only. Pruning goes through [`Space::window`]: a box in x and y
//! that certainly holds every position within a key, also across the antimeridian and the poles.
//! Trigonometry comes from `libm`, so the same input gives the same bits on every machine.

mod plane;
mod sieve;
mod sphere;

use geo::Coord;

pub use self::plane::{PLANE_COORDINATE_MAX, Plane};
pub use self::sieve::Sieve;
pub use self::sphere::{EARTH_RADIUS_M, Sphere, SphereProbe};

/// Why a position cannot enter the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PositionError {
    /// A coordinate is NaN or infinite.
    #[error("coordinate is not a finite number")]
    NotFinite,
    /// The longitude is outside ±180 degrees.
    #[error("longitude outside -180 to 180 degrees")]
    Longitude,
    /// The latitude is outside ±90 degrees.
    #[error("latitude outside -90 to 90 degrees")]
    Latitude,
    /// A coordinate of the plane is larger than [`PLANE_COORDINATE_MAX`].
    #[error("coordinate beyond 1e150")]
    TooLarge,
}

/// Which space a run works in, where it is chosen at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SpaceKind {
    /// [`Sphere`]
    #[default]
    Sphere,
    /// [`Plane`]
    Plane,
}

impl SpaceKind {
    /// The position as it may enter the state.
    ///
    /// # Errors
    /// What makes it unfit; see [`Space::check`].
    pub fn check(self, at: Coord) -> Result<Coord, PositionError> {
        match self {
            Self::Sphere => Sphere::check(at),
            Self::Plane => Plane::check(at),
        }
    }
}

/// A closed interval; empty when `min > max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
}

impl Interval {
    /// No value at all.
    pub const EMPTY: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY };
    /// Every value.
    pub const ALL: Self = Self { min: f64::NEG_INFINITY, max: f64::INFINITY };

    /// Whether the interval holds `value`.
    #[inline]
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.min <= value) & (value <= self.max)
    }

    /// Whether the interval holds nothing.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.min > self.max
    }
}

/// A closed box in x and y; in x it may be two intervals, where it crosses the antimeridian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// The intervals of x; the second is empty unless the window wraps around.
    pub x: [Interval; 2],
    /// The interval of y.
    pub y: Interval,
}

impl Window {
    /// The window that holds every position.
    pub const ALL: Self = Self { x: [Interval::ALL, Interval::EMPTY], y: Interval::ALL };

    /// The window that holds no position.
    pub const EMPTY: Self = Self { x: [Interval::EMPTY; 2], y: Interval::EMPTY };

    /// Whether the window holds `at`. NaN is nowhere.
    #[inline]
    #[must_use]
    pub fn contains(&self, at: Coord) -> bool {
        (self.x[0].contains(at.x) | self.x[1].contains(at.x)) & self.y.contains(at.y)
    }
}

/// A space: which positions it has, how far apart they are, where to look for near ones.
pub trait Space: Copy + Default + std::fmt::Debug + Send + Sync + 'static {
    /// A position to measure from, with what is worth computing once.
    type Probe: Copy + std::fmt::Debug + Send + Sync;

    /// The position as it may enter the state (negative zero becomes zero).
    ///
    /// # Errors
    /// What makes it unfit.
    fn check(at: Coord) -> Result<Coord, PositionError>;

    /// Prepares to measure from `at`.
    fn probe(at: Coord) -> Self::Probe;

    /// The key of the distance from the probe to `to`. A pure, symmetric function of the two
    /// positions; NaN if `to` is.
    fn key(probe: &Self::Probe, to: Coord) -> f64;

    /// The key between two probes: bit for bit that of [`Space::key`], with less to compute.
    fn key_between(a: &Self::Probe, b: &Self::Probe) -> f64;

    /// A window that holds every position whose key is at most `key`.
    fn window(probe: &Self::Probe, key: f64) -> Window;

    /// A sieve for positions within `key` of the probe, all of which lie in `window`.
    fn sieve(probe: &Self::Probe, window: &Window, key: f64) -> Sieve;

    /// A key no less than that of any position that rounds to (`x`, `y`); cheaper than
    /// [`Space::key`], and not much greater.
    fn key_above(probe: &Self::Probe, x: f32, y: f32) -> f64;

    /// The distance that `key` stands for: units of the plane, or metres.
    fn distance(key: f64) -> f64;

    /// A key that no position within `distance` exceeds. It may admit a little more: compare
    /// [`Space::distance`] where the bound itself matters.
    fn key_within(distance: f64) -> f64;

    /// Roughly the key within which lies a disc about the probe of this `area`, in square units of x
    /// and y. For estimates: it takes the space to be flat.
    fn key_of_area(probe: &Self::Probe, area: f64) -> f64;

    /// How far `x` is from the vertical line at `border`, in units of x; a border at infinity stands
    /// for the end of the space.
    fn gap_x(x: f64, border: f64) -> f64;

    /// Which space it is.
    const KIND: SpaceKind;

    /// Whether x wraps around, so that the last strip is a neighbour of the first.
    const WRAPS: bool;
}

/// Relative slack of windows and bounds: far above rounding, far below anything measurable.
const SLACK: f64 = 1e-9;

/// The greatest difference from `center` of a coordinate that rounds to `rounded`.
#[inline]
fn gap_above(rounded: f32, center: f64) -> f64 {
    let rounded = f64::from(rounded);
    (rounded - center).abs()
        + rounded.abs() * f64::from(f32::EPSILON)
        + f64::from(f32::MIN_POSITIVE)
}

fn without_negative_zero(at: Coord) -> Coord {
    Coord { x: at.x + 0.0, y: at.y + 0.0 }
}

#[cfg(test)]
#[path = "space_tests.rs"]
mod tests;
