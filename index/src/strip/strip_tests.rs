//! The strip index against a plain table of positions, its invariants after every operation.

use proptest::prelude::*;

use super::*;

/// How the x and y of a case are spread.
#[derive(Clone, Copy, Debug)]
enum Spread {
    Wide,
    Lattice,
    OneX,
    OnePoint,
    Outliers,
}

fn place(spread: Spread, x: u32, y: u32) -> Coord {
    let (fine_x, fine_y) = (f64::from(x % 1000) / 10.0, f64::from(y % 1000) / 10.0);
    match spread {
        Spread::Wide => Coord { x: fine_x, y: fine_y },
        Spread::Lattice => Coord { x: f64::from(x % 4), y: f64::from(y % 4) },
        Spread::OneX => Coord { x: 7.0, y: fine_y },
        Spread::OnePoint => Coord { x: 7.0, y: 7.0 },
        Spread::Outliers if x.is_multiple_of(10) => Coord { x: -1e9 * fine_x, y: 1e9 * fine_y },
        Spread::Outliers => Coord { x: fine_x, y: fine_y * 1e-6 },
    }
}

fn spread() -> impl Strategy<Value = Spread> {
    prop_oneof![
        Just(Spread::Wide),
        Just(Spread::Lattice),
        Just(Spread::OneX),
        Just(Spread::OnePoint),
        Just(Spread::Outliers)
    ]
}

fn occupancy() -> impl Strategy<Value = Option<Occupancy>> {
    let fixed = (1usize..20).prop_flat_map(|min| (Just(min), min * 2..min * 6));
    prop_oneof![Just(None), fixed.prop_map(|(min, max)| Occupancy::new(min, max))]
}

#[derive(Clone, Debug)]
enum Step {
    Move(Vec<(u32, u32, u32)>),
    Remove(Vec<u32>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mover = (0u32..300, any::<u32>(), any::<u32>());
    let few = prop::collection::vec(mover.clone(), 0..12).prop_map(Step::Move);
    let many = prop::collection::vec(mover, 100..400).prop_map(Step::Move);
    let gone = prop::collection::vec(0u32..320, 0..60).prop_map(Step::Remove);
    prop::collection::vec(prop_oneof![4 => few, 1 => many, 2 => gone], 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_object_is_in_its_strip_after_every_operation(
        spread in spread(), occupancy in occupancy(), steps in steps(),
    ) {
        let mut index = occupancy.map_or_else(StripIndex::default, StripIndex::with_occupancy);
        let mut table = vec![None; 320];
        for step in steps {
            match step {
                Step::Move(movers) => {
                    let slots: Vec<_> = movers.iter().map(|&(slot, ..)| Slot(slot)).collect();
                    let to: Vec<_> = movers.iter().map(|&(_, x, y)| place(spread, x, y)).collect();
                    index.apply(&slots, &to);
                    for (slot, at) in slots.iter().zip(&to) {
                        table[slot.index()] = Some(*at);
                    }
                }
                Step::Remove(slots) => {
                    index.remove(&slots.iter().map(|&slot| Slot(slot)).collect::<Vec<_>>());
                    slots.iter().for_each(|&slot| table[slot as usize] = None);
                }
            }
            index.assert_valid();
            for (slot, &at) in table.iter().enumerate() {
                prop_assert_eq!(index.position(Slot(slot as u32)), at);
            }
        }
    }
}

fn grid(index: &mut StripIndex, count: u32, at: impl Fn(u32) -> Coord) {
    let slots: Vec<_> = (0..count).map(Slot).collect();
    let to: Vec<_> = (0..count).map(at).collect();
    index.apply(&slots, &to);
}

#[test]
fn strips_follow_the_objects() {
    let mut index = StripIndex::with_occupancy(Occupancy::new(25, 100).expect("legal"));
    grid(&mut index, 10_000, |i| Coord { x: f64::from(i), y: 0.0 });
    index.assert_valid();
    let spread_out = index.strip_count();
    assert!((100..=400).contains(&spread_out), "{spread_out} strips");
    // All crowd into one strip's worth of x, one by one, through the in-place path.
    for i in 0..10_000 {
        index.apply(&[Slot(i)], &[Coord { x: 50.0 + f64::from(i) * 1e-6, y: 0.0 }]);
    }
    index.assert_valid();
    assert!(index.strip_count() >= 100);
    index.remove(&(0..9_990).map(Slot).collect::<Vec<_>>());
    index.assert_valid();
    assert_eq!(index.strip_count(), 1);
}

#[test]
fn one_crowded_x_does_not_loop() {
    let mut index = StripIndex::with_occupancy(Occupancy::new(10, 40).expect("legal"));
    grid(&mut index, 1_000, |i| Coord { x: if i < 5 { -1.0 } else { 3.0 }, y: f64::from(i) });
    index.assert_valid();
    assert_eq!(index.strip_count(), 1, "five objects beside a crowd are no legal strip");
    grid(&mut index, 50, |i| Coord { x: -f64::from(i), y: 0.0 });
    index.assert_valid();
    assert!(index.strip_count() > 1);
}

/// What is beyond 32 bits rounds to infinity, and so does a border between it and the rest.
#[test]
fn objects_beyond_single_precision_have_a_strip() {
    for far in [1e100, -1e100] {
        let mut index = StripIndex::with_occupancy(Occupancy::new(2, 4).expect("legal"));
        grid(&mut index, 10, |i| Coord { x: if i < 5 { 0.0 } else { far }, y: f64::from(i) });
        index.assert_valid();
        for i in 0..4 {
            index.apply(&[Slot(i)], &[Coord { x: far, y: far }]);
            index.assert_valid();
        }
        index.remove(&(2..7).map(Slot).collect::<Vec<_>>());
        index.assert_valid();
    }
}

#[test]
fn the_layout_version_tells_of_new_borders() {
    let mut index = StripIndex::with_occupancy(Occupancy::new(2, 4).expect("legal"));
    grid(&mut index, 4, |i| Coord { x: f64::from(i), y: 0.0 });
    let before = index.layout_version();
    index.apply(&[Slot(0)], &[Coord { x: 0.5, y: 0.0 }]);
    assert_eq!(index.layout_version(), before);
    grid(&mut index, 5, |i| Coord { x: f64::from(i), y: 0.0 });
    assert_ne!(index.layout_version(), before);
}

#[test]
fn threads_that_share_the_strips_do_the_same_as_one() {
    let objects = 40_000u32;
    let at = |slot: u32, turn: u32| {
        let random = (slot ^ turn.wrapping_mul(7_919)).wrapping_mul(2_654_435_761);
        // Some turns crowd everything into one corner, so that strips are built anew.
        let spread = if turn % 3 == 2 { 50.0 } else { 5_000.0 };
        let (x, y) = (random >> 16, random & 0xffff);
        Coord { x: f64::from(x) / 65_536.0 * spread, y: f64::from(y) / 65_536.0 * spread }
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let mut indexes =
        [1, 2, 3].map(|threads| (pool(threads).expect("a pool"), StripIndex::default()));
    for turn in 0..12 {
        let movers = if turn == 0 { objects - 9_000 } else { 6_000 };
        // From the second turn on, some are new, and some move twice.
        let slots = (0..movers).map(|i| Slot(i.wrapping_mul(2_531).wrapping_add(turn) % objects));
        let mut slots: Vec<_> = slots.collect();
        slots.extend_from_within(..movers as usize / 50);
        let to: Vec<_> = (0..).zip(&slots).map(|(i, slot)| at(slot.0 ^ i, turn)).collect();
        for (pool, index) in &mut indexes {
            pool.install(|| index.apply(&slots, &to));
            index.assert_valid();
        }
        let [(_, one), others @ ..] = &indexes;
        for (_, other) in others {
            assert_eq!(other.directory.lowers(), one.directory.lowers());
            for strip in 0..one.strip_count() {
                let rows = |index: &StripIndex| {
                    let rows = index.rows(strip, Interval::ALL).iter();
                    rows.filter(|row| !row.x.is_nan()).copied().collect::<Vec<_>>()
                };
                assert_eq!(rows(other), rows(one), "strip {strip} in turn {turn}");
            }
        }
    }
}

/// An index that grows in place is laid out anew whenever it has doubled, however calm it was.
#[test]
fn working_memory_is_given_back_after_each_rebuild() {
    let mut index = StripIndex::default();
    let mut rebuilds = 0;
    for object in 0..4_000 {
        let at = Coord { x: f64::from(object * 7 % 101), y: f64::from(object) };
        index.apply(&[Slot(object)], &[at]);
        rebuilds += usize::from(index.calm_epochs == 0);
    }
    assert!(rebuilds > 4, "{rebuilds}");
    (0..STAGING_EPOCHS).for_each(|_| index.apply(&[], &[]));
    assert!(index.staging.is_empty());
}
