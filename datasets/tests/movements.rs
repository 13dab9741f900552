//! What every movement promises: its seed decides, nobody leaves the area, nobody is too fast.

use dunlin_datasets::generate::{
    Area, City, Clusters, CsvOptions, DriftingHotSpot, GaussianClusters, HotSpot, Movement,
    NetworkMovement, Population, Travellers, Uniform, write_csv,
};
use dunlin_datasets::{ReadOptions, read_positions};
use dunlin_index::{Coord, SpaceKind};

const OBJECTS: usize = 2_000;
const SPEED: f64 = 0.003;

fn area() -> Area {
    let (min, max) = (Coord { x: 115.5, y: 39.5 }, Coord { x: 117.5, y: 40.5 });
    Area::new(SpaceKind::Sphere, min, max).expect("corners are fit")
}

fn population(seed: u64) -> Population {
    Population { objects: OBJECTS, seed, speed: SPEED }
}

/// One movement of each kind in the area, with the share of objects whose speed is bounded.
fn movements(seed: u64) -> Vec<(&'static str, Box<dyn Movement>, bool)> {
    let clusters = GaussianClusters::new(area(), population(seed), Clusters::default());
    let hot_spot = DriftingHotSpot::new(area(), population(seed), HotSpot::default());
    let travellers = Travellers { objects: 200, seed, ..Travellers::default() };
    let city = City::default().build().expect("the city lies on the sphere");
    let network = NetworkMovement::new(city, travellers).expect("the city has roads");
    vec![
        ("uniform", Box::new(Uniform::new(area(), population(seed))), true),
        ("clusters", Box::new(clusters), true),
        ("hot spot", Box::new(hot_spot), false),
        ("network", Box::new(network), false),
    ]
}

fn bytes(movement: &mut dyn Movement, steps: u64) -> Vec<u8> {
    let start = "2024-01-01T00:00:00Z".parse().expect("a time");
    let options =
        CsvOptions { steps, step_ms: 10_000, start, space: SpaceKind::Sphere, prefix: "o" };
    let mut out = Vec::new();
    write_csv(&mut out, movement, &options, &mut |_| ()).expect("memory takes all");
    out
}

#[test]
fn the_seed_decides_every_byte() {
    let (same, other) = (movements(7), movements(8));
    for (((name, mut movement, _), mut same), mut other) in
        movements(7).into_iter().zip(same).zip(other)
    {
        let bytes_7 = bytes(&mut *movement, 5);
        assert!(bytes_7 == bytes(&mut *same.1, 5), "{name}");
        assert!(bytes_7 != bytes(&mut *other.1, 5), "{name}");
    }
}

#[test]
fn positions_are_the_same_on_every_machine() {
    // Sums of the positions' bits after some steps, noted once: another machine, another compiler
    // or another version of a dependency must give the same.
    let sums: Vec<(&str, u64)> = movements(42)
        .into_iter()
        .map(|(name, mut movement, _)| {
            (0..20).for_each(|_| movement.step(7.5));
            let bits = movement.positions().iter().flat_map(|at| [at.x.to_bits(), at.y.to_bits()]);
            (name, bits.fold(0, |sum: u64, bits| sum.rotate_left(1) ^ bits))
        })
        .collect();
    let noted = [
        ("uniform", 7_745_066_867_476_207_956),
        ("clusters", 14_195_476_612_364_293_773),
        ("hot spot", 15_778_775_064_826_958_863),
        ("network", 2_526_461_599_787_745_400),
    ];
    assert_eq!(sums, noted);
}

#[test]
fn nobody_leaves_the_area_or_is_too_fast() {
    let extent = area().extent();
    for (name, mut movement, bounded) in movements(1) {
        for seconds in [0.0, 0.02, 1.0, 10.0, 500.0, 1e5] {
            let before = movement.positions().to_vec();
            movement.step(seconds);
            assert_eq!(movement.positions().len(), before.len());
            let reach = SPEED * seconds * 1.000_001;
            for (is, was) in movement.positions().iter().zip(&before) {
                assert!(area().contains(*is), "{name}: {is:?} after {seconds} s");
                let (x, y) = ((is.x - was.x).abs() / extent.x, (is.y - was.y).abs() / extent.y);
                assert!(!bounded || x.max(y) <= reach + 1e-12, "{name}: {x} {y} in {seconds} s");
            }
        }
    }
}

#[test]
fn everybody_moves() {
    for (name, mut movement, _) in movements(1) {
        let before = movement.positions().to_vec();
        movement.step(60.0);
        let still = movement.positions().iter().zip(&before).filter(|(is, was)| is == was).count();
        assert!(still <= before.len() / 100, "{name}: {still} stay");
    }
}

/// The share of positions in each of ten columns of the area.
fn columns(positions: &[Coord]) -> [f64; 10] {
    let mut shares = [0.0; 10];
    for at in positions {
        let share = (at.x - area().min().x) / area().extent().x;
        shares[((share * 10.0) as usize).min(9)] += 1.0 / positions.len() as f64;
    }
    shares
}

#[test]
fn uniform_objects_stay_uniform() {
    let mut movement = Uniform::new(area(), population(3));
    for _ in 0..300 {
        movement.step(10.0);
    }
    let shares = columns(movement.positions());
    assert!(shares.iter().all(|share| (0.07..0.13).contains(share)), "{shares:?}");
}

#[test]
fn clusters_stay_clusters() {
    let one = Clusters { count: 1, spread: 0.02 };
    let mut movement = GaussianClusters::new(area(), population(3), one);
    let middle = |positions: &[Coord]| {
        let sum = positions.iter().fold(0.0, |sum, at| sum + at.x);
        sum / positions.len() as f64
    };
    let centre = middle(movement.positions());
    for _ in 0..300 {
        movement.step(10.0);
    }
    let width = area().extent().x;
    let near = |at: &&Coord| (at.x - centre).abs() < 5.0 * 0.02 * width;
    let near = movement.positions().iter().filter(near).count();
    assert!(near > OBJECTS * 99 / 100, "{near} near the centre");
    assert!((middle(movement.positions()) - centre).abs() < 0.01 * width);
}

#[test]
fn the_hot_spot_drifts_with_its_share() {
    let mut movement = DriftingHotSpot::new(area(), population(3), HotSpot::default());
    let mut centres = Vec::new();
    for _ in 0..8 {
        movement.step(450.0);
        let (centre, extent) = (movement.centre(), area().extent());
        let near = |at: &&Coord| {
            let (x, y) = ((at.x - centre.x) / extent.x, (at.y - centre.y) / extent.y);
            x.abs() < 0.15 && y.abs() < 0.15
        };
        let near = movement.positions().iter().filter(near).count() as f64 / OBJECTS as f64;
        assert!((0.78..0.88).contains(&near), "{near} near the centre");
        centres.push(centre.x);
    }
    let (least, most) =
        centres.iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
    assert!(most - least > 0.6 * area().extent().x, "{centres:?}");
}

#[test]
fn odd_populations_are_defined() {
    let nobody = Population { objects: 0, seed: 0, speed: 1.0 };
    let none = Clusters { count: 0, spread: 0.9 };
    let all = HotSpot { share: 1.0, ..HotSpot::default() };
    for population in [nobody, population(0)] {
        let mut movements: [Box<dyn Movement>; 2] = [
            Box::new(GaussianClusters::new(area(), population, none)),
            Box::new(DriftingHotSpot::new(area(), population, all)),
        ];
        for movement in &mut movements {
            movement.step(1.0);
            assert_eq!(movement.positions().len(), population.objects);
            assert!(movement.positions().iter().all(|&at| area().contains(at)));
        }
    }
}

#[test]
#[should_panic(expected = "a step of NaN seconds")]
fn a_step_without_length_is_a_bug() {
    Uniform::new(area(), population(0)).step(f64::NAN);
}

#[test]
#[should_panic(expected = "a speed of -1")]
fn a_negative_speed_is_a_bug() {
    let _ = Uniform::new(area(), Population { speed: -1.0, ..population(0) });
}

#[test]
fn what_is_written_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.csv");
    let mut movement = Uniform::new(area(), population(3));
    std::fs::write(&path, bytes(&mut movement, 2)).unwrap();
    let (trace, rejected) = read_positions(&[path], &ReadOptions::default(), &mut |_| ()).unwrap();
    assert_eq!((trace.len(), trace.names.len(), rejected.total()), (2 * OBJECTS, OBJECTS, 0));
    assert!(trace.times.is_sorted());
    for (read, made) in trace.at[OBJECTS..].iter().zip(movement.positions()) {
        assert!((read.x - made.x).abs() <= 5.1e-8 && (read.y - made.y).abs() <= 5.1e-8);
    }
}
