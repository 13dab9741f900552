//! Reading the state of the topology against brute force: questions asked once, objects by name, the
//! standing answers, and how the space is cut, over one shard and several.

mod brute;

use brute::{OBJECTS, Spread, Table, place, question_json, spreads};
use dunlin_index::{Coord, Interval, ObjectNames, Plane, Space, Sphere, Window};
use dunlin_query::Query;
use dunlin_query::topology::{Command, PositionBatch, QueryAnswer, Reader, StandingTopology};
use dunlin_stream::lane::Envelope;
use dunlin_stream::log::Entry;
use dunlin_stream::{Engine, Epoch, Key, ShardTable, Timestamp, wire};
use proptest::prelude::*;

const LANES: u32 = 2;

/// What is put into an engine: reports of two epochs, queries, and where shards are cut.
#[derive(Clone, Debug)]
struct Case {
    spread: Spread,
    reports: Vec<(u32, f64, f64)>,
    moves: Vec<(u32, f64, f64)>,
    queries: Vec<(u8, f64, f64, f64)>,
    cuts: Vec<f64>,
    window: (f64, f64, f64, f64),
}

fn cases() -> impl Strategy<Value = Case> {
    let unit = || 0.0..1.0f64;
    let report = || (0..OBJECTS, unit(), unit());
    let reports = prop::collection::vec(report(), 0..120);
    let moves = prop::collection::vec(report(), 0..60);
    let queries = prop::collection::vec((any::<u8>(), unit(), unit(), unit()), 1..20);
    let cuts = prop::collection::vec(unit(), 0..5);
    let window = (unit(), unit(), unit(), unit());
    (spreads(), reports, moves, queries, cuts, window).prop_map(
        |(spread, reports, moves, queries, cuts, window)| Case {
            spread,
            reports,
            moves,
            queries,
            cuts,
            window,
        },
    )
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_unchecked(millis)
}

/// The engine after two epochs, and all objects by name.
fn run<S: Space>(case: &Case) -> (Engine<StandingTopology<S>>, ObjectNames, Table) {
    let cut = |u: &f64| Key::of_f64(place(S::KIND, case.spread, *u, *u).x);
    let table = ShardTable::cut_at(case.cuts.iter().map(cut));
    let mut engine = Engine::new(StandingTopology::<S>::new(LANES), LANES as usize + 1, table);
    let (mut names, mut all) = (ObjectNames::default(), Table { at: Vec::new() });
    for (epoch, reports) in (0..).zip([&case.reports, &case.moves]) {
        let mut batches = vec![PositionBatch::default(); LANES as usize + 1];
        for &(object, u, v) in reports {
            let (name, to) = (brute::name(object), place(S::KIND, case.spread, u, v));
            let to = S::check(to).expect("a place is in the space");
            let slot = names.intern(&name);
            all.at.resize(all.at.len().max(slot.index() + 1), None);
            all.at[slot.index()] = Some(to);
            batches[object as usize % LANES as usize].push(&name, at(epoch * 100 + 7), to);
        }
        for (number, &query) in case.queries.iter().enumerate().filter(|_| epoch == 0) {
            let query = question_json(&format!("q{number}"), case.spread, S::KIND, query);
            batches[LANES as usize].command(Command::Register { query });
        }
        let entry = |batch| {
            let sequence = epoch as u64;
            let payload = wire::encode(&Envelope { producer: 1, sequence, batch });
            vec![Entry { sequence, stamp: at(epoch * 100), payload: payload.into() }]
        };
        let entries: Vec<_> = batches.into_iter().map(entry).collect();
        engine.step(Epoch(epoch), at(epoch * 100 + 100), &entries);
    }
    (engine, names, all)
}

fn listed(answer: &QueryAnswer) -> Vec<(String, Option<f64>, Coord)> {
    answer.objects().map(|(name, distance, at)| (name.to_owned(), distance, at)).collect()
}

fn check<S: Space>(case: &Case) -> Result<(), TestCaseError> {
    let (engine, names, all) = run::<S>(case);
    let reader = Reader::new(&engine);
    for (number, &query) in case.queries.iter().enumerate() {
        let id = format!("q{number}");
        let text = question_json(&id, case.spread, S::KIND, query);
        let question = Query::from_json(&text, S::KIND).expect("a drawn question is one").question;
        let has_distance = !matches!(question, dunlin_query::Question::Inside(_));
        let members = all.answer::<S>(&question, &names).into_iter();
        let expected: Vec<_> = members
            .map(|it| {
                let distance = has_distance.then(|| S::distance(it.key));
                let at = all.at[it.slot.index()].expect("a member is present");
                (names.name(it.slot).to_owned(), distance, at)
            })
            .collect();
        prop_assert_eq!(listed(&reader.find(&question)), expected.clone(), "{}", text);
        let standing = reader.answer(&id).expect("it is registered");
        prop_assert_eq!((standing.query as usize, &*standing.id), (number, &*id));
        prop_assert_eq!(listed(&standing), expected);
    }
    check_objects(&reader, &names, &all)?;
    check_view(&reader, case, &all)
}

fn check_objects<S: Space>(
    reader: &Reader<'_, S>,
    names: &ObjectNames,
    all: &Table,
) -> Result<(), TestCaseError> {
    let mut ids = Vec::new();
    for object in 0..OBJECTS {
        let name = brute::name(object);
        let expected = names.slot(&name).and_then(|slot| all.at[slot.index()]);
        let found = reader.object(&name);
        prop_assert_eq!(found.map(|it| it.at), expected);
        prop_assert!(found.is_none_or(|it| [at(7), at(107)].contains(&it.time)));
        ids.extend(found.map(|it| it.id));
    }
    ids.sort_unstable();
    ids.dedup();
    prop_assert_eq!((ids.len(), reader.object_count()), (names.len(), names.len()));
    let (shards, strips) = (reader.shards(), reader.strips());
    prop_assert_eq!(shards.iter().map(|it| it.objects).sum::<usize>(), names.len());
    prop_assert_eq!(strips.iter().map(|it| it.objects).sum::<usize>(), names.len());
    prop_assert!(shards.windows(2).all(|pair| pair[0].to == pair[1].from && pair[0].to.is_some()));
    prop_assert!(strips.windows(2).all(|pair| pair[0].to == pair[1].from && pair[0].to.is_some()));
    prop_assert_eq!((strips[0].from, strips[strips.len() - 1].to), (None, None));
    prop_assert!(strips.iter().all(|it| it.shard < shards.len()));
    Ok(())
}

fn check_view<S: Space>(
    reader: &Reader<'_, S>,
    case: &Case,
    all: &Table,
) -> Result<(), TestCaseError> {
    let (u, v, s, t) = case.window;
    let [a, b] = [(u, v), (s, t)].map(|(u, v)| place(S::KIND, case.spread, u, v));
    let between = |a: f64, b: f64| Interval { min: a.min(b), max: a.max(b) };
    let window = Window { x: [between(a.x, b.x), Interval::EMPTY], y: between(a.y, b.y) };
    let order = |at: &mut Vec<Coord>| {
        at.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    };
    let mut expected: Vec<Coord> =
        all.at.iter().flatten().copied().filter(|&at| window.contains(at)).collect();
    order(&mut expected);
    let whole = reader.view(&window, 1_000);
    let mut seen = whole.at.clone();
    order(&mut seen);
    prop_assert_eq!(seen, expected);
    prop_assert!(!whole.is_sampled);
    let some = reader.view(&window, 3);
    let part = some.ids.iter().zip(&some.at);
    let is_part = |(id, at): (&u32, &Coord)| {
        whole.ids.iter().zip(&whole.at).any(|(other, there)| (id, at) == (other, there))
    };
    prop_assert!(part.into_iter().all(is_part));
    prop_assert!(some.is_sampled || some.ids.len() == whole.ids.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_read_is_what_is_there_on_the_sphere(case in cases()) {
        check::<Sphere>(&case)?;
    }

    #[test]
    fn what_is_read_is_what_is_there_in_the_plane(case in cases()) {
        check::<Plane>(&case)?;
    }
}

#[test]
fn registered_queries_are_listed_by_number_and_samples_keep_their_size() {
    let case = Case {
        spread: Spread::Wide,
        reports: (0..OBJECTS).map(|it| (it, f64::from(it) / 90.0, 0.5)).collect(),
        moves: Vec::new(),
        queries: (0..12).map(|it| (it * 8, 0.5, 0.5, 0.5)).collect(),
        cuts: vec![0.3, 0.6],
        window: (0.0, 0.0, 1.0, 1.0),
    };
    let (engine, ..) = run::<Plane>(&case);
    let reader = Reader::new(&engine);
    assert_eq!((reader.query_count(), reader.queries(0, 100).len()), (12, 12));
    let page = reader.queries(5, 3);
    let ids: Vec<&str> = page.iter().map(|it| &*it.id).collect();
    assert_eq!(ids, ["q5", "q6", "q7"]);
    assert!(page[0].text.contains("\"q5\""));
    assert!(reader.answer("q12").is_none());
    assert_eq!(reader.shards().len(), 3);
    assert!(reader.middle(0).is_none_or(|x| x < -2_000.0));
    let sample = reader.view(&Window::ALL, 30);
    assert!(sample.is_sampled && (10..=50).contains(&sample.ids.len()), "{}", sample.ids.len());
}
