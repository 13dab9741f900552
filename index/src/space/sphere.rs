//! The sphere: longitude and latitude in degrees, keys are squared chords / 4, which is the
//! haversine of the central angle. Windows and sieves take care of the antimeridian and the poles.

use geo::Coord;

use super::{
    Interval, PositionError, SLACK, Sieve, Space, SpaceKind, Window, gap_above,
    without_negative_zero,
};

/// Mean radius of the Earth in metres, as the `geo` crate's haversine has it.
pub const EARTH_RADIUS_M: f64 = 6_371_008.8;

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

/// How far a disc reaches from its centre, in radians.
#[derive(Clone, Copy, Debug)]
struct Reach {
    lat: f64,
    /// Infinite if a pole is inside.
    lon: f64,
}

/// The sine up to which an arcsine is bounded by arithmetic.
const FLAT_SINE_MAX: f64 = 0.1;

/// No less than the arcsine of `sine`, which is in 0 to [`FLAT_SINE_MAX`], and less than 1 ‰ more:
/// asin z = z + z³ / 6 + 3 z⁵ / 40 + … ≤ z + z³ / 5.
#[inline]
fn asin_above(sine: f64) -> f64 {
    sine * (1.0 + 0.2 * sine * sine)
}

/// The central angle of a disc, given at least half of it: 1e-12 rad are six micrometres, more than
/// any rounding here, and nothing to pay for.
#[inline]
fn angle_above(half_angle: f64) -> f64 {
    2.0 * half_angle * (1.0 + SLACK) + 1e-12
}

/// No less than the reach of the disc half of whose central angle has the sine `half_sine`, without
/// trigonometry; `None` if the disc is large or near a pole.
#[inline]
fn flat_reach(probe: &SphereProbe, half_sine: f64) -> Option<Reach> {
    // As in `round_reach`, but sin r ≤ r. Where the ratio is so small, half the sine is smaller.
    let lat = angle_above(asin_above(half_sine));
    let ratio = lat / probe.cos_lat;
    (ratio <= FLAT_SINE_MAX).then(|| Reach { lat, lon: asin_above(ratio) })
}

/// The reach of the disc half of whose central angle has the sine `half_sine`.
fn round_reach(probe: &SphereProbe, half_sine: f64) -> Reach {
    let lat = angle_above(libm::asin(half_sine));
    // The disc's easternmost point lies where a meridian touches it: Δλ = asin(sin r / cos φ).
    let ratio = libm::sin(lat) / probe.cos_lat;
    Reach { lat, lon: if ratio < 1.0 { libm::asin(ratio) } else { f64::INFINITY } }
}

/// No more than the cosine of a latitude no nearer the equator than the probe, by less than 2 %.
#[inline]
fn cos_below(probe: &SphereProbe, high_lat: f64) -> f64 {
    // The cosine falls by no more than its argument grows. At a pole rounding is all there is of it.
    let fall = (high_lat - probe.at.y.abs()).max(0.0).to_radians();
    if fall < 0.01 * probe.cos_lat && probe.cos_lat > 1e-3 {
        probe.cos_lat - fall
    } else {
        libm::cos(high_lat.to_radians())
    }
}

/// From here on a window is the whole sphere: so near the antipodes, the arcsine of a rounded key is
/// off by more than [`SLACK`] makes up for.
const KEY_OF_ALL: f64 = 1.0 - 1e-10;

impl Space for Sphere {
    type Probe = SphereProbe;

    const KIND: SpaceKind = SpaceKind::Sphere;
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
        // A pole is one point, whatever its longitude: 90 degrees round to less than π / 2.
        let is_pole = at.y.abs() == 90.0;
        SphereProbe { at, cos_lat: if is_pole { 0.0 } else { libm::cos(at.y.to_radians()) } }
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

    #[inline]
    fn window(probe: &SphereProbe, key: f64) -> Window {
        if key >= KEY_OF_ALL {
            return Window::ALL;
        }
        let sine = key.max(0.0).sqrt();
        let reach = flat_reach(probe, sine).unwrap_or_else(|| round_reach(probe, sine));
        let (reach_y, reach_x) = (reach.lat.to_degrees(), reach.lon.to_degrees());
        let y = Interval { min: probe.at.y - reach_y, max: probe.at.y + reach_y };
        if y.min <= -90.0 || y.max >= 90.0 || reach_x.is_infinite() {
            return Window { x: [Interval::ALL, Interval::EMPTY], y };
        }
        let (west, east) = (probe.at.x - reach_x, probe.at.x + reach_x);
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
        let high_lat = window.y.min.abs().max(window.y.max.abs());
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
        let weight_x = probe.cos_lat * cos_below(probe, high_lat) * (1.0 - 1e-6);
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
    fn key_of_area(probe: &SphereProbe, area: f64) -> f64 {
        // A degree of longitude is cos φ degrees long; the key is a quarter of the squared angle.
        let square = area * std::f64::consts::FRAC_1_PI * probe.cos_lat;
        square * (1f64.to_radians() * 0.5).powi(2)
    }

    #[inline]
    fn gap_x(x: f64, border: f64) -> f64 {
        longitude_gap(x, border.clamp(-180.0, 180.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn probes() -> impl Strategy<Value = SphereProbe> {
        let lat = prop_oneof![-90.0..=90.0, -5.0..=5.0, 89.0..=90.0, -90.0..=-89.0];
        (-180.0..=180.0, lat).prop_map(|(x, y)| Sphere::probe(Coord { x, y }))
    }

    /// Central angles from a tenth of a millimetre to a quarter of the way round.
    fn angles() -> impl Strategy<Value = f64> {
        (-10.8..0.19).prop_map(|power| 10f64.powf(power))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_flat_reach_is_hardly_above_the_round_one(probe in probes(), angle in angles()) {
            let half_sine = (angle * 0.5).sin();
            // Rounding is for `SLACK` to make up for.
            let above = |flat: f64, round: f64| flat / round - 1.0;
            let round = round_reach(&probe, half_sine);
            if let Some(flat) = flat_reach(&probe, half_sine) {
                prop_assert!((-1e-14..1e-3).contains(&above(flat.lat, round.lat)));
                prop_assert!((-1e-14..3e-3).contains(&above(flat.lon, round.lon)));
            } else {
                prop_assert!(angle > 0.09 * probe.cos_lat);
            }
        }

        #[test]
        fn windows_hold_the_outermost_points_of_their_disc(probe in probes(), angle in angles()) {
            let (lat, key) = (probe.at.y.to_radians(), (angle * 0.5).sin().powi(2));
            let window = Sphere::window(&probe, key);
            for y in [lat - angle, lat + angle].map(f64::to_degrees) {
                let to = Coord { x: probe.at.x, y };
                prop_assert!(y.abs() > 90.0 || window.contains(to), "{to:?} {window:?}");
            }
            let sine = angle.sin() / lat.cos();
            if sine < 1.0 {
                let y = (lat.sin() / angle.cos()).asin().to_degrees();
                let reach = sine.asin().to_degrees();
                for x in [probe.at.x - reach, probe.at.x + reach] {
                    let x = if x.abs() > 180.0 { x - 360f64.copysign(x) } else { x };
                    prop_assert!(window.contains(Coord { x, y }), "{x} {y} {window:?}");
                }
            }
        }

        #[test]
        fn the_cheap_cosine_is_hardly_below_the_exact_one(
            probe in probes(), angle in angles(),
        ) {
            let high = (probe.at.y.abs() + angle.to_degrees()).min(90.0);
            let (below, exact) = (cos_below(&probe, high), libm::cos(high.to_radians()));
            prop_assert!(below <= exact * (1.0 + 1e-12), "{below} {exact}");
            prop_assert!(exact * 0.98 <= below, "{below} {exact}");
        }
    }
}
