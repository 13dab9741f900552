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

use geo::Coord;

/// Mean radius of the Earth in metres, as the `geo` crate's haversine has it.
pub const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Largest magnitude of a coordinate in the plane; squares of differences stay finite.
pub const PLANE_COORDINATE_MAX: f64 = 1e150;

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
    fn of_ellipse(window: &Window, center: Coord, weight_x: f64, reach: f64) -> Self {
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

    /// How far `x` is from the vertical line at `border`, in units of x; a border at infinity stands
    /// for the end of the space.
    fn gap_x(x: f64, border: f64) -> f64;

    /// Whether x wraps around, so that the last strip is a neighbour of the first.
    const WRAPS: bool;
}

/// The Euclidean plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plane;

/// Relative slack of windows and bounds: far above rounding, far below anything measurable.
const SLACK: f64 = 1e-9;

impl Space for Plane {
    type Probe = Coord;

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
    fn gap_x(x: f64, border: f64) -> f64 {
        (x - border).abs()
    }
}

/// The greatest difference from `center` of a coordinate that rounds to `rounded`.
#[inline]
fn gap_above(rounded: f32, center: f64) -> f64 {
    let rounded = f64::from(rounded);
    (rounded - center).abs()
        + rounded.abs() * f64::from(f32::EPSILON)
        + f64::from(f32::MIN_POSITIVE)
}

/// Half width in degrees up to which a window on the sphere is flat enough for an ellipse.
const SIEVE_DEGREES_MAX: f64 = 30.0;
/// More than rounding to 32 bits moves a longitude.
const ROUNDED_DEGREES: f64 = 180.0 * f32::EPSILON as f64;

/// The sphere of the mean Earth radius, positions in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sphere;

/// A position on the sphere with its cosine of latitude.
#[derive(Clone, Copy, Debug)]
pub struct SphereProbe {
    at: Coord,
    cos_lat: f64,
}

/// Degrees that two longitudes are apart, the short way round.
#[inline]
fn longitude_gap(a: f64, b: f64) -> f64 {
    let gap = (a - b).abs();
    gap.min(360.0 - gap)
}

impl Space for Sphere {
    type Probe = SphereProbe;

    const WRAPS: bool = true;

    fn check(at: Coord) -> Result<Coord, PositionError> {
        if !(at.x.is_finite() && at.y.is_finite()) {
            return Err(PositionError::NotFinite);
        }
        if at.x.abs() > 180.0 {
            return Err(PositionError::Longitude);
        }
        if at.y.abs() > 90.0 {
            return Err(PositionError::Latitude);
        }
        Ok(without_negative_zero(at))
    }

    #[inline]
    fn probe(at: Coord) -> SphereProbe {
        SphereProbe { at, cos_lat: libm::cos(at.y.to_radians()) }
    }

    #[inline]
    fn key(probe: &SphereProbe, to: Coord) -> f64 {
        Self::key_between(probe, &Self::probe(to))
    }

    #[inline]
    fn key_between(a: &SphereProbe, b: &SphereProbe) -> f64 {
        let half_lat = libm::sin(((b.at.y - a.at.y) * 0.5).to_radians());
        let half_lon = libm::sin((longitude_gap(b.at.x, a.at.x) * 0.5).to_radians());
        half_lat * half_lat + (a.cos_lat * b.cos_lat) * (half_lon * half_lon)
    }

    fn window(probe: &SphereProbe, key: f64) -> Window {
        if key >= 1.0 {
            return Window::ALL;
        }
        // 1e-12 rad are six micrometres: more than any rounding here, nothing to pay for.
        let angle = 2.0 * libm::asin(key.max(0.0).sqrt()) * (1.0 + SLACK) + 1e-12;
        let reach = angle.to_degrees();
        let y = Interval { min: probe.at.y - reach, max: probe.at.y + reach };
        if y.min <= -90.0 || y.max >= 90.0 {
            return Window { x: [Interval::ALL, Interval::EMPTY], y };
        }
        // The disc's easternmost point lies where a meridian touches it: Δλ = asin(sin r / cos φ).
        let ratio = libm::sin(angle) / probe.cos_lat;
        if ratio >= 1.0 {
            return Window { x: [Interval::ALL, Interval::EMPTY], y };
        }
        let reach = libm::asin(ratio).to_degrees();
        let (west, east) = (probe.at.x - reach, probe.at.x + reach);
        let wrapped = if west < -180.0 {
            Interval { min: west + 360.0, max: 180.0 }
        } else if east > 180.0 {
            Interval { min: -180.0, max: east - 360.0 }
        } else {
            Interval::EMPTY
        };
        Window { x: [Interval { min: west, max: east }, wrapped], y }
    }

    fn sieve(probe: &SphereProbe, window: &Window, key: f64) -> Sieve {
        let whole_x = !window.x[1].is_empty() || window.x[0].min.is_infinite();
        let high_lat = window.y.min.abs().max(window.y.max.abs()).to_radians();
        let wide = (window.x[0].max - window.x[0].min).max(window.y.max - window.y.min) * 0.5;
        if whole_x || wide > SIEVE_DEGREES_MAX {
            return Sieve::of_window(window);
        }
        // sin² z ≥ z² (1 - z² / 3), and cos φ falls towards the poles: key ≥ flatness · ((Δφ/2)² +
        // cos φ₁ · cos φ_high · (Δλ/2)²) in the window.
        let z = (wide * 0.5).to_radians();
        let flatness = 1.0 - z * z / 3.0;
        let reach = (2.0 * (key / flatness).sqrt()).to_degrees();
        // A little less weight only lets more pass.
        let weight_x = probe.cos_lat * libm::cos(high_lat) * (1.0 - 1e-6);
        Sieve::of_ellipse(window, probe.at, weight_x, reach)
    }

    #[inline]
    fn key_above(probe: &SphereProbe, x: f32, y: f32) -> f64 {
        // sin z ≤ z, and cos φ₂ ≤ cos φ₁ + |Δφ|.
        let lat = gap_above(y, probe.at.y).to_radians();
        let lon = (longitude_gap(f64::from(x), probe.at.x) + ROUNDED_DEGREES).to_radians();
        let cos_lat = (probe.cos_lat + lat).min(1.0);
        (lat * lat + probe.cos_lat * cos_lat * lon * lon) * (0.25 * (1.0 + SLACK)) + 1e-30
    }

    #[inline]
    fn distance(key: f64) -> f64 {
        2.0 * EARTH_RADIUS_M * libm::asin(key.sqrt().min(1.0))
    }

    fn key_within(distance: f64) -> f64 {
        let half = distance * (1.0 + SLACK) / (2.0 * EARTH_RADIUS_M) + 1e-12;
        if half >= std::f64::consts::FRAC_PI_2 {
            return f64::INFINITY;
        }
        let chord = libm::sin(half);
        chord * chord
    }

    #[inline]
    fn gap_x(x: f64, border: f64) -> f64 {
        longitude_gap(x, border.clamp(-180.0, 180.0))
    }
}

fn without_negative_zero(at: Coord) -> Coord {
    Coord { x: at.x + 0.0, y: at.y + 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::line_measures::{Distance, Haversine};
    use proptest::prelude::*;

    fn degrees() -> impl Strategy<Value = Coord> {
        let lon =
            prop_oneof![-180.0..=180.0, Just(180.0), Just(-180.0), 179.9..=180.0, -180.0..=-179.9];
        let lat = prop_oneof![-90.0..=90.0, Just(90.0), Just(-90.0), 89.9..=90.0, -90.0..=-89.9];
        (lon, lat).prop_map(|(x, y)| Coord { x, y })
    }

    #[test]
    fn the_radius_is_that_of_geo() {
        let quarter = Haversine.distance(geo::Point::new(0.0, 0.0), geo::Point::new(90.0, 0.0));
        assert!((quarter - EARTH_RADIUS_M * std::f64::consts::FRAC_PI_2).abs() < 1e-6);
    }

    #[test]
    fn unfit_positions_are_refused_with_their_reason() {
        let at = |x, y| Coord { x, y };
        assert_eq!(Sphere::check(at(f64::NAN, 0.0)), Err(PositionError::NotFinite));
        assert_eq!(Sphere::check(at(0.0, f64::INFINITY)), Err(PositionError::NotFinite));
        assert_eq!(Sphere::check(at(180.1, 0.0)), Err(PositionError::Longitude));
        assert_eq!(Sphere::check(at(0.0, -90.1)), Err(PositionError::Latitude));
        assert_eq!(Plane::check(at(1e151, 0.0)), Err(PositionError::TooLarge));
        assert_eq!(Plane::check(at(0.0, f64::NAN)), Err(PositionError::NotFinite));
        let zero = Plane::check(at(-0.0, -0.0)).expect("zero is fit");
        assert!(zero.x.is_sign_positive() && zero.y.is_sign_positive());
        assert!(Sphere::check(at(-180.0, 90.0)).is_ok());
    }

    #[test]
    fn both_names_of_the_antimeridian_are_one_place() {
        let probe = Sphere::probe(Coord { x: 180.0, y: 10.0 });
        assert_eq!(Sphere::key(&probe, Coord { x: -180.0, y: 10.0 }), 0.0);
    }

    /// A sieve passes what is near, and the cheap key is no less than the exact one.
    fn check_rounded<S: Space>(a: Coord, to: Coord) -> Result<(), TestCaseError> {
        let probe = S::probe(a);
        let key = S::key(&probe, to);
        let sieve = S::sieve(&probe, &S::window(&probe, key), key);
        let (x, y) = (to.x as f32, to.y as f32);
        prop_assert!(sieve.passes(x, y), "{a:?} {to:?} {sieve:?}");
        prop_assert!(key <= S::key_above(&probe, x, y), "{a:?} {to:?}");
        Ok(())
    }

    #[test]
    fn a_sieve_stops_the_corners_of_its_window() {
        let probe = Sphere::probe(Coord { x: 116.4, y: 39.9 });
        let key = Sphere::key_within(1_000.0);
        let window = Sphere::window(&probe, key);
        let sieve = Sphere::sieve(&probe, &window, key);
        let corner = (window.x[0].max as f32, window.y.max as f32);
        assert!(!sieve.passes(corner.0, corner.1));
        assert!(!sieve.passes(f32::NAN, f32::NAN));
        assert!(Sieve::of_window(&window).passes(corner.0, corner.1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn sphere_distance_is_the_haversine_of_geo(a in degrees(), b in degrees()) {
            let ours = Sphere::distance(Sphere::key(&Sphere::probe(a), b));
            let theirs = Haversine.distance(geo::Point(a), geo::Point(b));
            // Near the antipode the haversine itself loses half its digits.
            prop_assert!((ours - theirs).abs() <= 1e-9 * theirs.max(1.0) || theirs > 1.99e7,
                "{ours} {theirs}");
        }

        #[test]
        fn keys_are_symmetric(a in degrees(), b in degrees()) {
            prop_assert_eq!(Sphere::key(&Sphere::probe(a), b), Sphere::key(&Sphere::probe(b), a));
            prop_assert_eq!(Plane::key(&a, b), Plane::key(&b, a));
            let (a, b) = (Sphere::probe(a), Sphere::probe(b));
            prop_assert_eq!(Sphere::key_between(&a, &b), Sphere::key_between(&b, &a));
        }

        #[test]
        fn windows_hold_all_that_is_near(a in degrees(), b in degrees(), near in degrees(), scale in 0.0f64..1.0) {
            // Half of the cases look close by: a point pulled towards the centre.
            let pulled = Coord { x: a.x + (near.x - a.x) * scale * 1e-3, y: a.y + (near.y - a.y) * scale * 1e-3 };
            for to in [b, pulled] {
                let probe = Sphere::probe(a);
                let key = Sphere::key(&probe, to);
                prop_assert!(Sphere::window(&probe, key).contains(to), "{a:?} {to:?}");
                prop_assert!(key <= Sphere::key_within(Sphere::distance(key)));
                let key = Plane::key(&a, to);
                prop_assert!(Plane::window(&a, key).contains(to));
                prop_assert!(key <= Plane::key_within(Plane::distance(key)));
                check_rounded::<Sphere>(a, to)?;
                check_rounded::<Plane>(a, to)?;
            }
        }
    }
}
