//! Both spaces against `geo` and against their own definitions.

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

/// There the key tells the distance badly.
#[test]
fn windows_hold_what_is_almost_at_the_antipodes() {
    for exponent in 0..400 {
        let off = 10f64.powf(-12.0 + f64::from(exponent) * 0.03);
        let (from, to) = (Coord { x: 0.0, y: off - 90.0 }, Coord { x: 0.0, y: 90.0 });
        let probe = Sphere::probe(from);
        let key = Sphere::key(&probe, to);
        assert!(Sphere::window(&probe, key).contains(to), "{off}");
    }
}

/// Whatever its longitude; and seen from it only the latitude counts.
#[test]
fn a_pole_is_one_point() {
    let at = |x: f64, y: f64| Coord { x, y };
    for pole in [90.0, -90.0] {
        for (a, b) in [(0.0, 90.0), (-180.0, 12.5), (179.0, -1.0)] {
            let probe = Sphere::probe(at(a, pole));
            assert_eq!(Sphere::key(&probe, at(b, pole)), 0.0);
            assert!(Sphere::window(&probe, 0.0).contains(at(b, pole)));
            for y in [80.0, 12.25, -33.1] {
                assert_eq!(Sphere::key(&probe, at(b, y)), Sphere::key(&probe, at(a, y)));
            }
        }
    }
}
