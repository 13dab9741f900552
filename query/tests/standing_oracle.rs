//! Every standing answer against brute force, after every epoch, on both spaces.
//!
//! A scenario is a list of queries and a list of epochs. After each epoch the index must keep its
//! invariants, every answer must equal the one found by looking at all objects, and every delta
//! must lead from the previous answer to it. Scenarios come from fixed seeds and shrink.

mod brute;

use std::sync::atomic::{AtomicU64, Ordering};

use brute::{OBJECTS, Spread, Table, name, place, question, spreads};
use dunlin_index::{ObjectNames, Occupancy, Plane, Slot, Space, SpaceKind, Sphere, StripIndex};
use dunlin_query::{AnswerChange, Focus, Member, Query, Question, Searcher, StandingQueries};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[derive(Clone, Debug)]
struct Epoch {
    movers: Vec<(u32, f64, f64)>,
    gone: Vec<u32>,
    /// Queries, by number, that are removed before the epoch; half of them come again, last.
    removed: Vec<u8>,
    /// Objects that are gone and get another name before the epoch.
    renamed: Vec<u32>,
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

fn scenarios() -> impl Strategy<Value = Scenario> {
    let fixed = (1usize..8).prop_flat_map(|min| (Just(min), min * 2..min * 5));
    let occupancy = prop_oneof![Just(None), fixed.prop_map(|(min, max)| Occupancy::new(min, max))];
    let unit = || 0.0..1.0f64;
    let mover = (0..OBJECTS, unit(), unit());
    let movers = prop_oneof![
        6 => prop::collection::vec(mover.clone(), 0..8),
        1 => prop::collection::vec(mover, 60..120),
    ];
    let gone = prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(0..OBJECTS, 0..20)];
    let removed = prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(any::<u8>(), 1..4)];
    let renamed = prop::collection::vec(0..OBJECTS, 0..8);
    let epoch = (movers, gone, removed, renamed)
        .prop_map(|(movers, gone, removed, renamed)| Epoch { movers, gone, removed, renamed });
    (
        spreads(),
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

/// Runs a scenario and compares every answer of every epoch; returns how many were compared.
fn check<S: Space>(scenario: &Scenario, kind: SpaceKind) -> Result<u64, TestCaseError> {
    let index = scenario.occupancy.map_or_else(StripIndex::default, StripIndex::with_occupancy);
    let mut standing = StandingQueries::<S>::new(ObjectNames::default(), index)
        .with_screened_strips_max(scenario.screened_strips_max);
    for slot in 0..OBJECTS {
        standing.names_mut().intern(&name(slot));
    }
    let questions = scenario.queries.iter().map(|&query| question(scenario.spread, kind, query));
    let mut questions: Vec<_> = questions.map(Some).collect();
    for (number, question) in questions.iter().flatten().enumerate() {
        let query = Query { id: number.to_string(), question: question.clone() };
        standing.register(query).expect("numbers are unique");
    }
    let mut table = Table { at: vec![None; OBJECTS as usize + 10] };
    let start = Epoch {
        movers: (0..).zip(&scenario.start).map(|(slot, &(u, v))| (slot, u, v)).collect(),
        gone: Vec::new(),
        removed: Vec::new(),
        renamed: Vec::new(),
    };
    let mut before: Vec<Option<Vec<Member>>> = vec![None; questions.len()];
    let mut compared = 0;
    for epoch in std::iter::once(&start).chain(&scenario.epochs) {
        change_queries(&mut standing, &epoch.removed, &mut questions)?;
        before.resize(questions.len(), None);
        rename(&mut standing, &epoch.renamed, &table, &questions);
        let slots: Vec<_> = epoch.movers.iter().map(|&(slot, ..)| Slot(slot)).collect();
        let to: Vec<_> =
            epoch.movers.iter().map(|&(_, u, v)| place(kind, scenario.spread, u, v)).collect();
        let gone: Vec<_> = epoch.gone.iter().map(|&slot| Slot(slot)).collect();
        standing.advance(&slots, &to, &gone);
        slots.iter().zip(&to).for_each(|(slot, &at)| table.at[slot.index()] = Some(at));
        gone.iter().for_each(|slot| table.at[slot.index()] = None);
        standing.index().assert_valid();
        for (number, question) in questions.iter().enumerate() {
            let Some(question) = question else { continue };
            let expected = table.answer::<S>(question, standing.names());
            let answer = standing.answer(number);
            prop_assert_eq!(answer, &expected[..], "query {} {:?}", number, question);
            check_change(&standing, number, before[number].as_deref())?;
            before[number] = Some(expected);
            compared += 1;
        }
        let is_reordered = |number: &usize| {
            questions[*number].is_some() && standing.change(*number) == AnswerChange::Reordered
        };
        let reordered: Vec<_> = (0..questions.len()).filter(is_reordered).collect();
        prop_assert_eq!(standing.reordered(), reordered);
        check_snapshots::<S>(&standing, scenario, kind, &table)?;
    }
    Ok(compared)
}

/// Removes queries, and registers every second of them again.
fn change_queries<S: Space>(
    standing: &mut StandingQueries<S>,
    removed: &[u8],
    questions: &mut Vec<Option<Question>>,
) -> Result<(), TestCaseError> {
    for &choice in removed {
        let number = usize::from(choice) % questions.len();
        let question = questions[number].take();
        let expected = question.is_some().then_some(number);
        prop_assert_eq!(standing.remove(&number.to_string()), expected);
        prop_assert!(expected.is_none() || standing.reordered().is_empty());
        if let Some(question) = question.filter(|_| choice % 2 == 0) {
            let query = Query { id: questions.len().to_string(), question: question.clone() };
            prop_assert_eq!(standing.register(query), Ok(questions.len()));
            prop_assert_eq!(standing.change(questions.len()), AnswerChange::Unchanged);
            questions.push(Some(question));
        }
    }
    prop_assert_eq!(standing.query_count(), questions.iter().flatten().count());
    Ok(())
}

/// Gives the slots of absent objects other names, if no query looks from them.
fn rename<S: Space>(
    standing: &mut StandingQueries<S>,
    renamed: &[u32],
    table: &Table,
    questions: &[Option<Question>],
) {
    for &slot in renamed.iter().filter(|&&slot| table.at[slot as usize].is_none()) {
        let name = standing.names().name(Slot(slot)).to_owned();
        let follows = |question: &Question| match question {
            Question::Knn { focus, .. } | Question::Within { focus, .. } => {
                *focus == Focus::Object(name.clone())
            }
            Question::Inside(_) => false,
        };
        if !questions.iter().flatten().any(follows) {
            let turned: String = name.chars().rev().collect();
            let other = if turned == name { format!("{name}0") } else { format!("{turned}x") };
            if standing.names().slot(&other).is_none() {
                standing.names_mut().remove(Slot(slot));
                standing.names_mut().intern_at(Slot(slot), &other);
            }
        }
    }
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
