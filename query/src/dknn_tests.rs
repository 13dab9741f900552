//! Snapshots against brute force, and what they cost.

use super::*;

/// A strip of 2 000 objects, and of the same with most gone one by one.
#[test]
fn few_objects_are_looked_at_and_a_strip_that_was_thinned_out_is_searched_well() {
    use dunlin_index::{Occupancy, Plane};
    let mut names = ObjectNames::default();
    let slots: Vec<_> = (0..2_000).map(|object| names.intern(&object.to_string())).collect();
    let mut index = StripIndex::with_occupancy(Occupancy::new(2, 4_000).expect("legal"));
    let at = |slot: usize| Coord { x: (slot * 7 % 20) as f64 * 0.01, y: slot as f64 };
    index.apply(&slots, &(0..2_000).map(at).collect::<Vec<_>>());
    let mut searcher = Searcher::<dunlin_index::Plane>::default();
    let cost = searcher.knn(&index, &names, at(1_000), 10, None);
    assert!(cost.evaluations <= 80, "{cost:?}");
    let gone: Vec<_> = slots.iter().copied().filter(|slot| slot.0 % 40 != 0).collect();
    gone.chunks(100).for_each(|gone| index.remove(gone));
    for place in [0, 1_000, 1_999] {
        let cost = searcher.knn(&index, &names, at(place), 10, None);
        assert!(cost.rounds <= 2 && cost.evaluations <= 300, "{cost:?}");
        let mut all: Vec<f64> =
            (0..2_000).step_by(40).map(|it| Plane::key(&at(place), at(it))).collect();
        all.sort_by(f64::total_cmp);
        let found: Vec<f64> = searcher.found().iter().map(|member| member.key).collect();
        assert_eq!(found, all[..10]);
    }
}

/// What is found about `at`, which must be right, and what it cost.
fn found<S: Space>(index: &StripIndex, names: &ObjectNames, at: Coord) -> SearchCost {
    let mut searcher = Searcher::<S>::default();
    let probe = S::probe(at);
    let slots = (0..).map(Slot);
    let keys = index.positions().iter().map(|&at| S::key(&probe, at));
    let mut all: Vec<_> = keys.zip(slots).map(|(key, slot)| Member { key, slot }).collect();
    all.sort_by(|a, b| a.compare(b, names));
    for k in 1..20 {
        let cost = searcher.knn(index, names, at, k, Some(all[0].slot));
        assert_eq!(searcher.found(), &all[1..=k], "{k} about {at:?}, but one");
        assert!(cost.rounds <= 2, "{cost:?}");
    }
    let cost = searcher.knn(index, names, at, 10, None);
    assert_eq!(searcher.found(), &all[..10], "about {at:?}");
    cost
}

fn one_round_where_objects_lie_evenly<S: Space>() {
    let mut names = ObjectNames::default();
    let slots: Vec<_> = (0..10_000).map(|object| names.intern(&object.to_string())).collect();
    let mut index = StripIndex::default();
    // Three of four lie evenly on 30 by 30, one of four in a crowd in the middle of that.
    let place = |number: u64| Coord { x: scattered(2 * number), y: scattered(2 * number + 1) };
    let at = |slot: &Slot| match place(slot.0.into()) {
        Coord { x, y } if slot.0.is_multiple_of(4) => (15.0 + 0.3 * x, 55.0 + 0.3 * y).into(),
        Coord { x, y } => (30.0 * x, 40.0 + 30.0 * y).into(),
    };
    index.apply(&slots, &slots.iter().map(at).collect::<Vec<_>>());
    let places = (20_000..20_400).map(place);
    let places = places.map(|Coord { x, y }| (4.0 + 22.0 * x, 44.0 + 22.0 * y).into());
    let costs: Vec<_> = places.map(|place| found::<S>(&index, &names, place)).collect();
    let in_one = costs.iter().filter(|cost| cost.rounds == 1).count();
    assert!((340..400).contains(&in_one), "{in_one} of 400 in one round");
    assert!(costs.iter().all(|cost| cost.rounds <= 2), "{costs:?}");
    let in_one = costs.iter().filter(|cost| cost.rounds == 1).map(|cost| cost.evaluations);
    let (sum, count) = in_one.fold((0, 0), |(sum, count), it| (sum + it, count + 1));
    assert!(sum <= 26 * count, "{sum} distances in {count} discs of about 20 objects");
    // In a strip without end nothing is known of the density.
    assert_eq!(found::<S>(&index, &names, (60.0, 55.1).into()).rounds, 2);
}

/// Four crowds of 10 000, looked at from all over the land between and around them.
fn crowds_from_far_away<S: Space>(scale: f64, (evaluations_max, strips_max): (u32, u32)) {
    let mut names = ObjectNames::default();
    let slots: Vec<_> = (0..40_000).map(|object| names.intern(&object.to_string())).collect();
    let centers = [(9.0, 49.0), (11.1, 49.2), (9.3, 51.1), (10.8, 50.7)];
    let scaled = |x, y| Coord { x: 10.0 + scale * (x - 10.0), y: 50.0 + scale * (y - 50.0) };
    // Denser in the middle; of ten places one has two.
    let at = |slot: &Slot| {
        let number = u64::from(slot.0 - u32::from(slot.0 % 10 == 1));
        let draw = |turn| scattered(8 * number + turn) - 0.5;
        let sum = |turns: Range<u64>| turns.map(draw).sum::<f64>();
        let (x, y) = centers[number as usize % 4];
        scaled(x + 0.1 * sum(0..4), y + 0.1 * sum(4..8))
    };
    let mut index = StripIndex::default();
    index.apply(&slots, &slots.iter().map(at).collect::<Vec<_>>());
    let places = (0..60).map(|place| {
        let [x, y] = [2 * place, 2 * place + 1].map(|number| 4.0 * scattered(number) - 2.0);
        scaled(10.0 + x, 50.0 + y)
    });
    let costs: Vec<_> = places.map(|place| found::<S>(&index, &names, place)).collect();
    let evaluations = costs.iter().map(|cost| cost.evaluations).sum::<u32>() / 60;
    let strips = costs.iter().map(|cost| cost.strips).sum::<u32>() / 60;
    assert!(evaluations <= evaluations_max, "{evaluations} distances computed");
    assert!(strips <= strips_max, "{strips} strips");
}

#[test]
fn from_far_away_crowds_are_not_all_looked_at() {
    crowds_from_far_away::<dunlin_index::Plane>(1.0, (300, 65));
    crowds_from_far_away::<dunlin_index::Sphere>(1.0, (350, 80));
    // The sieve of a disc of many degrees lets more pass than lies in it.
    crowds_from_far_away::<dunlin_index::Sphere>(8.0, (600, 80));
}

/// Many objects on one meridian, which no border can cut, and few beside it: a disc that holds few
/// of these holds many of those.
#[test]
fn a_crowd_beside_the_place_is_not_all_looked_at() {
    let mut names = ObjectNames::default();
    let slots: Vec<_> = (0..10_000).map(|object| names.intern(&object.to_string())).collect();
    let at = |slot: &Slot| match (slot.0 % 2, scattered(2 * u64::from(slot.0))) {
        (0, y) => Coord { x: 15.0, y: 50.0 + y },
        (_, x) => Coord { x: 30.0 * x, y: 100.0 * scattered(2 * u64::from(slot.0) + 1) },
    };
    let mut index = StripIndex::default();
    index.apply(&slots, &slots.iter().map(at).collect::<Vec<_>>());
    for x in [14.8, 14.9, 15.1, 15.2] {
        let cost = found::<dunlin_index::Plane>(&index, &names, Coord { x, y: 50.5 });
        assert!(cost.evaluations <= 100, "{cost:?} about {x}");
    }
}

/// Numbers in 0..1 in no order.
fn scattered(number: u64) -> f64 {
    let bits = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((bits ^ (bits >> 32)) >> 11) as f64 / (1u64 << 53) as f64
}

#[test]
fn where_objects_lie_evenly_one_round_is_enough() {
    one_round_where_objects_lie_evenly::<dunlin_index::Plane>();
    one_round_where_objects_lie_evenly::<dunlin_index::Sphere>();
}

#[test]
fn every_stretch_is_scanned_once_and_in_order() {
    let row = |slot| Row { x: 0.0, y: 0.0, slot: Slot(slot) };
    let rows: Vec<Row> = (0..200).map(row).collect();
    for stretch_count in 0..3 * STRIPS_AHEAD {
        // Lengths of 0 to 6 rows; some stretches are empty.
        let ends = (0..=stretch_count).map(|end| (0..end).map(|i| i * 5 % 7).sum::<usize>());
        let ends: Vec<usize> = ends.collect();
        let stretches: Vec<&[Row]> = ends.windows(2).map(|ends| &rows[ends[0]..ends[1]]).collect();
        let (mut seen, mut scans) = (Vec::new(), 0);
        scan_ahead(stretches.iter().copied(), |rows| {
            seen.extend_from_slice(rows);
            scans += 1;
        });
        assert_eq!(scans, stretch_count);
        assert_eq!(seen, rows[..ends[stretch_count]], "{stretch_count} stretches");
    }
}
