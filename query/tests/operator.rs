//! The standing operator over a stream: newest reports, late reports, objects that fall silent.

use dunlin_index::{Coord, Plane, Slot, SpaceKind};
use dunlin_query::{Moves, Query, StandingOperator, StandingQueries};
use dunlin_stream::{EpochClock, Timestamp, runner};

const EVERYBODY: &str = r#"{"id":"all","knn":{"k":9,"at":[0,0]}}"#;

/// The end of an epoch, and the objects of the query with their x.
type Seen = (i64, Vec<(String, f64)>);

/// Runs reports of (milliseconds, object, x) through epochs of a second; at each epoch's end, the
/// objects of the query and their x.
fn run(ttl_ms: Option<i64>, reports: &[(i64, &str, f64)]) -> (Vec<Seen>, u64) {
    let mut queries = StandingQueries::<Plane>::default();
    queries.register(Query::from_json(EVERYBODY, SpaceKind::Plane).expect("a query")).expect("new");
    let times: Vec<_> =
        reports.iter().map(|&(at, ..)| Timestamp::from_millis(at).expect("a time")).collect();
    let objects: Vec<Slot> =
        reports.iter().map(|&(_, name, _)| queries.names_mut().intern(name)).collect();
    let at: Vec<_> = reports.iter().map(|&(.., x)| Coord { x, y: 0.0 }).collect();
    let mut operator = StandingOperator::new(queries, ttl_ms);
    let mut epochs = Vec::new();
    let batch = |range: std::ops::Range<usize>| Moves {
        times: &times[range.clone()],
        objects: &objects[range.clone()],
        at: &at[range],
    };
    let sink = |operator: &StandingOperator<Plane>, end: Timestamp, _: &[usize]| {
        let queries = operator.queries();
        let seen = queries.answer(0).iter().map(|member| {
            let at = queries.index().position(member.slot).expect("a member is present");
            (queries.names().name(member.slot).to_owned(), at.x)
        });
        epochs.push((end.as_millis(), seen.collect()));
        Ok::<_, ()>(())
    };
    runner::run(&mut operator, EpochClock::new(1_000), &times, batch, sink).expect("no error");
    (epochs, operator.late())
}

fn seen(objects: &[(&str, f64)]) -> Vec<(String, f64)> {
    objects.iter().map(|&(name, x)| (name.to_owned(), x)).collect()
}

#[test]
fn the_newest_report_of_an_epoch_counts() {
    let (epochs, late) =
        run(None, &[(10, "a", 1.0), (20, "a", 2.0), (20, "a", 3.0), (15, "a", 4.0)]);
    assert_eq!(epochs, [(1_000, seen(&[("a", 3.0)]))]);
    assert_eq!(late, 1, "the report of 15 ms comes after that of 20 ms");
}

#[test]
fn a_report_older_than_the_last_epoch_is_late() {
    let (epochs, late) = run(None, &[(1_500, "a", 1.0), (500, "a", 2.0), (500, "b", 3.0)]);
    assert_eq!(epochs, [(2_000, seen(&[("a", 1.0), ("b", 3.0)]))]);
    assert_eq!(late, 1);
}

#[test]
fn objects_silent_for_longer_than_the_ttl_leave_and_may_return() {
    let reports = [
        (0, "a", 1.0),
        (999, "b", 2.0),
        (2_500, "c", 3.0), // at the end, 3 000: a is silent for 3 000 ms, b for 2 001
        (3_100, "a", 4.0),
        (9_000, "c", 5.0),
    ];
    let (epochs, late) = run(Some(2_001), &reports);
    assert_eq!(
        epochs,
        [
            (1_000, seen(&[("a", 1.0), ("b", 2.0)])),
            (3_000, seen(&[("b", 2.0), ("c", 3.0)])),
            (4_000, seen(&[("c", 3.0), ("a", 4.0)])),
            (10_000, seen(&[("c", 5.0)])),
        ]
    );
    assert_eq!(late, 0);
}

#[test]
fn without_a_ttl_objects_stay() {
    let (epochs, _) = run(None, &[(0, "a", 1.0), (900_000_000, "b", 2.0)]);
    assert_eq!(epochs[1].1.len(), 2);
}

#[test]
fn a_report_that_is_older_than_the_ttl_when_it_comes_does_not_stay() {
    let (epochs, _) = run(Some(1_000), &[(60_000, "a", 1.0), (100, "b", 2.0), (60_500, "a", 3.0)]);
    assert_eq!(epochs, [(61_000, seen(&[("a", 3.0)]))]);
}
