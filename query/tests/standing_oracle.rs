//! Every standing answer against brute force, after every epoch, on both spaces.
//!
//! A scenario is a list of queries and a list of epochs. After each epoch the index must keep its
//! invariants, every answer must equal the one found by looking at all objects, and every delta
//! must lead from the previous answer to it. Scenarios come from fixed seeds and shrink.

use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_index::{
    Coord, ObjectNames, Occupancy, Plane, Slot, Space, SpaceKind, Sphere, StripIndex,
};
use dunlin_query::{AnswerChange, Area, Focus, Member, Query, Question, Searcher, StandingQueries};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How positions are spread.
#[derive(Clone, Copy, Debug)]
enum Spread {
    Wide,
    City,
    Lattice,
    OneX,
    OnePoint,
    Antimeridian,
    Poles,
}

/// A position of a spread from two random numbers.
fn place(kind: SpaceKind, spread: Spread, u: f64, v: f64) -> Coord {
    let centered = |value: f64, width: f64| (value - 0.5) * width;
    let (x, y) = match (kind, spread) {
        (_, Spread::OnePoint) => (12.5, 41.25),
        (_, Spread::OneX) => (12.5, centered(v, 80.0)),
        (_, Spread::Lattice) => ((u * 5.0).floor(), (v * 5.0).floor()),
        (_, Spread::City) => (12.5 + centered(u, 0.1), 41.25 + centered(v, 0.1)),
        (SpaceKind::Sphere, Spread::Antimeridian) => {
            let lon = 180.0 + centered(u, 2.0);
            (if lon > 180.0 { lon - 360.0 } else { lon }, centered(v, 2.0))
        }
        (SpaceKind::Sphere, Spread::Poles) => {
            let lat = 90.0 - v * v * 1.5;
            (centered(u, 360.0), if u < 0.3 { -lat } else { lat })
        }
        (SpaceKind::Sphere, _) => (centered(u, 360.0), centered(v, 180.0)),
        (SpaceKind::Plane, _) => (centered(u, 1e4), centered(v, 1e4)),
    };
    Coord { x, y }
}

#[derive(Clone, Debug)]
struct Epoch {
    movers: Vec<(u32, f64, f64)>,
    gone: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Scenario {
    spread: Spread,
    occupancy: Option<Occupancy>,
    /// Strips up to which the screen finds the questions: never, now and then, always.
    screened_strips_max: usize,
    start: Vec<(f64, f64)>,
    queries: Vec<(u8, f64, f64, f64)>,
    epochs: Vec<Epoch>,
}

const OBJECTS: u32 = 90;

fn scenarios() -> impl Strategy<Value = Scenario> {
    let spread = prop_oneof![
        3 => Just(Spread::Wide), 3 => Just(Spread::City), 2 => Just(Spread::Lattice),
        1 => Just(Spread::OneX), 1 => Just(Spread::OnePoint),
        2 => Just(Spread::Antimeridian), 2 => Just(Spread::Poles),
    ];
    let fixed = (1usize..8).prop_flat_map(|min| (Just(min), min * 2..min * 5));
    let occupancy = prop_oneof![Just(None), fixed.prop_map(|(min, max)| Occupancy::new(min, max))];
    let unit = || 0.0..1.0f64;
    let mover = (0..OBJECTS, unit(), unit());
    let movers = prop_oneof![
        6 => prop::collection::vec(mover.clone(), 0..8),
        1 => prop::collection::vec(mover, 60..120),
    ];
    let gone = prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(0..OBJECTS, 0..20)];
    let epoch = (movers, gone).prop_map(|(movers, gone)| Epoch { movers, gone });
    (
        spread,
        occupancy,
        prop::sample::select(vec![0, 4, usize::MAX]),
        prop::collection::vec((unit(), unit()), 0..OBJECTS as usize),
        prop::collection::vec((any::<u8>(), unit(), unit(), unit()), 1..40),
        prop::collection::vec(epoch, 1..30),
    )
        .prop_map(|(spread, occupancy, screened_strips_max, start, queries, epochs)| {
            Scenario { spread, occupancy, screened_strips_max, start, queries, epochs }
        })
}

/// Names whose order is not that of the slots.
fn name(slot: u32) -> String {
    let scrambled = slot * 7919 % 1009;
    if slot % 10 == 3 { format!("é {scrambled}") } else { format!("{scrambled}") }
}

fn question(scenario: &Scenario, kind: SpaceKind, query: (u8, f64, f64, f64)) -> Question {
    let (choice, u, v, w) = query;
    let at = place(kind, scenario.spread, u, v);
    let object = (w * f64::from(OBJECTS + 5)) as u32;
    let focus = if choice % 2 == 0 { Focus::Point(at) } else { Focus::Object(name(object)) };
    let k = [1, 2, 3, 10, 40, 200][usize::from(choice / 8) % 6];
    let radius = match scenario.spread {
        Spread::Lattice if matches!(kind, SpaceKind::Plane) => (w * 4.0).floor(),
        Spread::City if matches!(kind, SpaceKind::Plane) => w * 0.05,
        Spread::City => w * 5_000.0,
        _ if matches!(kind, SpaceKind::Plane) => w * 4_000.0,
        _ => w * w * 6_000_000.0,
    };
    match choice % 8 {
        0..=4 => Question::Knn { k, focus },
        5 | 6 => Question::Within { radius, focus },
        _ => Question::Inside(square(kind, at, w)),
    }
}

/// A square with a hole around a point, cut off at the ends of the space.
fn square(kind: SpaceKind, at: Coord, w: f64) -> Area {
    let ring = |half: f64| {
        let cut = |value: f64, end: f64| {
            if matches!(kind, SpaceKind::Sphere) { value.clamp(-end, end) } else { value }
        };
        let corner = |dx: f64, dy: f64| [cut(at.x + dx, 180.0), cut(at.y + dy, 90.0)];
        [
            corner(-half, -half),
            corner(half, -half),
            corner(half, half),
            corner(-half, half),
            corner(-half, -half),
        ]
    };
    let value = serde_json::json!({"type": "Polygon", "coordinates": [ring(w * 3.0), ring(w)]});
    Area::from_geojson(value, kind).expect("a square is an area")
}

/// All objects, to be looked at one by one.
struct Table {
    at: Vec<Option<Coord>>,
}

impl Table {
    fn answer<S: Space>(&self, question: &Question, names: &ObjectNames) -> Vec<Member> {
        let (focus, radius, k) = match question {
            Question::Inside(area) => {
                let inside = self.present().filter(|(_, at)| area.contains(*at));
                let members = inside.map(|(slot, _)| Member { key: 0.0, slot }).collect();
                return in_order(members, names);
            }
            Question::Knn { k, focus } => (focus, f64::INFINITY, *k),
            Question::Within { radius, focus } => (focus, *radius, usize::MAX),
        };
        let (center, except) = match focus {
            Focus::Point(at) => (Some(*at), None),
            Focus::Object(name) => {
                let slot = names.slot(name);
                (slot.and_then(|slot| *self.at.get(slot.index())?), slot)
            }
        };
        let Some(center) = center else { return Vec::new() };
        let probe = S::probe(center);
        let others = self.present().filter(|(slot, _)| Some(*slot) != except);
        let members = others.map(|(slot, at)| Member { key: S::key(&probe, at), slot });
        let near = members.filter(|member| S::distance(member.key) <= radius).collect();
        let mut answer = in_order(near, names);
        answer.truncate(k);
        answer
    }

    fn present(&self) -> impl Iterator<Item = (Slot, Coord)> + '_ {
        let slots = (0..).map(Slot).zip(&self.at);
        slots.filter_map(|(slot, at)| Some((slot, (*at)?)))
    }
}

fn in_order(mut members: Vec<Member>, names: &ObjectNames) -> Vec<Member> {
    members.sort_by(|a, b| {
        a.key
            .total_cmp(&b.key)
            .then_with(|| names.name(a.slot).as_bytes().cmp(names.name(b.slot).as_bytes()))
    });
    members
}

/// Runs a scenario and compares every answer of every epoch; returns how many were compared.
fn check<S: Space>(scenario: &Scenario, kind: SpaceKind) -> Result<u64, TestCaseError> {
    let index = scenario.occupancy.map_or_else(StripIndex::default, StripIndex::with_occupancy);
    let mut standing = StandingQueries::<S>::new(ObjectNames::default(), index)
        .with_screened_strips_max(scenario.screened_strips_max);
    for slot in 0..OBJECTS {
        standing.names_mut().intern(&name(slot));
    }
    let questions: Vec<_> =
        scenario.queries.iter().map(|&query| question(scenario, kind, query)).collect();
    for (number, question) in questions.iter().enumerate() {
        let query = Query { id: number.to_string(), question: question.clone() };
        standing.register(query).expect("numbers are unique");
    }
    let mut table = Table { at: vec![None; OBJECTS as usize + 10] };
    let start = Epoch {
        movers: (0..).zip(&scenario.start).map(|(slot, &(u, v))| (slot, u, v)).collect(),
        gone: Vec::new(),
    };
    let mut before: Vec<Option<Vec<Member>>> = vec![None; questions.len()];
    let mut compared = 0;
    for epoch in std::iter::once(&start).chain(&scenario.epochs) {
        let slots: Vec<_> = epoch.movers.iter().map(|&(slot, ..)| Slot(slot)).collect();
        let to: Vec<_> =
            epoch.movers.iter().map(|&(_, u, v)| place(kind, scenario.spread, u, v)).collect();
        let gone: Vec<_> = epoch.gone.iter().map(|&slot| Slot(slot)).collect();
        standing.advance(&slots, &to, &gone);
        slots.iter().zip(&to).for_each(|(slot, &at)| table.at[slot.index()] = Some(at));
        gone.iter().for_each(|slot| table.at[slot.index()] = None);
        standing.index().assert_valid();
        for (number, question) in questions.iter().enumerate() {
            let expected = table.answer::<S>(question, standing.names());
            let answer = standing.answer(number);
            prop_assert_eq!(answer, &expected[..], "query {} {:?}", number, question);
            check_change(&standing, number, before[number].as_deref())?;
            before[number] = Some(expected);
            compared += 1;
        }
        check_snapshots::<S>(&standing, scenario, kind, &table)?;
    }
    Ok(compared)
}

fn check_change<S: Space>(
    standing: &StandingQueries<S>,
    number: usize,
    before: Option<&[Member]>,
) -> Result<(), TestCaseError> {
    let slots = |members: &[Member]| members.iter().map(|member| member.slot).collect::<Vec<_>>();
    let answer = standing.answer(number);
    let other_list = before.is_none_or(|before| slots(before) != slots(answer));
    prop_assert_eq!(standing.change(number) == AnswerChange::Reordered, other_list);
    if standing.change(number) == AnswerChange::Unchanged {
        prop_assert_eq!(before.unwrap_or_default(), answer);
    }
    let mut led_to = before.unwrap_or_default().to_vec();
    standing.delta(number).apply(&mut led_to);
    prop_assert_eq!(&led_to[..], answer, "delta of query {}", number);
    Ok(())
}

/// One-off searches find the same, in at most two rounds.
fn check_snapshots<S: Space>(
    standing: &StandingQueries<S>,
    scenario: &Scenario,
    kind: SpaceKind,
    table: &Table,
) -> Result<(), TestCaseError> {
    let mut searcher = Searcher::<S>::default();
    for &(choice, u, v, w) in scenario.queries.iter().take(4) {
        let (at, k) = (place(kind, scenario.spread, v, u), 1 + usize::from(choice % 20));
        let except = (choice % 3 == 0).then_some(Slot((w * f64::from(OBJECTS)) as u32));
        let cost = searcher.knn(standing.index(), standing.names(), at, k, except);
        prop_assert!((1..=2).contains(&cost.rounds), "{:?}", cost);
        let question = Question::Knn { k: k + 1, focus: Focus::Point(at) };
        let mut expected = table.answer::<S>(&question, standing.names());
        expected.retain(|member| Some(member.slot) != except);
        expected.truncate(k);
        prop_assert_eq!(searcher.found(), &expected[..]);
    }
    Ok(())
}

/// Checks scenarios from a fixed seed until `answers` answers have been compared.
fn check_many<S: Space>(kind: SpaceKind, seed: u8, answers: u64) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let config = Config { cases: u32::MAX, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let compared = AtomicU64::new(0);
    while compared.load(Ordering::Relaxed) < answers {
        let tree = scenarios().new_tree(&mut runner).expect("scenarios are not filtered");
        let outcome = runner.run_one(tree, |scenario| {
            compared.fetch_add(check::<S>(&scenario, kind)?, Ordering::Relaxed);
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn plane_answers_equal_brute_force() {
    check_many::<Plane>(SpaceKind::Plane, 1, 600_000);
}

#[test]
fn sphere_answers_equal_brute_force() {
    check_many::<Sphere>(SpaceKind::Sphere, 2, 600_000);
}
