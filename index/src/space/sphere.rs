//! The sphere: longitude and latitude in degrees, keys are squared chords / 4, which is the
//! haversine of the central angle. Windows and sieves take care of the antimeridian and the poles.

use geo::Coord;

use super::{
    Interval, PositionError, SLACK, Sieve, Space, Window, gap_above, without_negative_zero,
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
