//! Every algorithm against the definition, on thousands of small cases, and each edge by name.

mod oracle;

use dunlin_cep::{
    Bitmask, CooMine, CooccurrenceOperator, Counts, DiMine, EventBatch, MatrixMine, Miner, Report,
    ReportKind, Rule,
};
use dunlin_index::{Event, Slot};
use dunlin_stream::{Epoch, Operator, Timestamp};
use oracle::{Truth, at, flaw};
use proptest::prelude::*;

fn miners() -> Vec<(&'static str, Box<dyn Miner>)> {
    vec![
        ("bitmask", Box::new(Bitmask::default())),
        ("coomine", Box::new(CooMine::default())),
        ("dimine", Box::new(DiMine::default())),
        ("matrixmine", Box::new(MatrixMine::default())),
    ]
}

/// Runs events, as they come, through an operator; a cut ends a batch and an epoch.
fn run(
    miner: impl Miner,
    rule: &Rule,
    lateness_ms: i64,
    events: &[Event],
    cuts: &[usize],
) -> (Vec<Report>, Counts) {
    let mut operator = CooccurrenceOperator::new(rule.clone(), lateness_ms, miner).expect("a rule");
    let mut out = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().filter(|&cut| cut < events.len()).chain([events.len()]) {
        let batch = &events[start.min(end)..end];
        let times: Vec<Timestamp> = batch.iter().map(|event| event.time).collect();
        let streams: Vec<Slot> = batch.iter().map(|event| event.stream).collect();
        let objects: Vec<Slot> = batch.iter().map(|event| event.object).collect();
        let batch = EventBatch { times: &times, streams: &streams, objects: &objects };
        operator.apply(Epoch(0), batch, &mut out);
        operator.end_epoch(Epoch(0), at(0), &mut out);
        start = end.max(start);
    }
    operator.watermark(Timestamp::END, &mut out);
    (out, operator.counts())
}

fn event(stream: u32, object: u32, time: i64) -> Event {
    Event { time: at(time), stream: Slot(stream), object: Slot(object) }
}

/// Asserts that every algorithm tells what the definition asks for, all kinds of reports.
fn assert_right(events: &[Event], rule: &Rule) {
    let truth = Truth::of(events, rule);
    for report in [ReportKind::All, ReportKind::Closed, ReportKind::Maximal] {
        let rule = Rule { report, ..rule.clone() };
        let expected = truth.reports(&rule);
        for (name, miner) in miners() {
            let mut events = events.to_vec();
            events.sort_by_key(|event| event.time);
            let (told, counts) = run(miner, &rule, 0, &events, &[]);
            assert_eq!(told, expected, "{name}, {rule:?}");
            assert_eq!(counts.cut, 0);
            for report in &told {
                assert_eq!(flaw(&events, &rule, report), None, "{name}: {report:?}");
            }
        }
    }
}

/// The times at which sets are told, by one algorithm, all sets.
fn told(events: &[Event], rule: &Rule) -> Vec<(i64, Vec<u32>)> {
    let rule = Rule { report: ReportKind::All, ..rule.clone() };
    assert_right(events, &rule);
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.time);
    let (told, _) = run(Bitmask::default(), &rule, 0, &events, &[]);
    let objects = |report: &Report| report.objects.iter().map(|object| object.0).collect();
    told.iter().map(|report| (report.time.as_millis(), objects(report))).collect()
}

#[derive(Clone, Debug)]
struct Case {
    events: Vec<Event>,
    /// How much later than its time each event comes, up to the lateness.
    delays: Vec<i64>,
    lateness_ms: i64,
    cuts: Vec<usize>,
    rule: Rule,
}

prop_compose! {
    fn case()(
        streams in 1..4u32,
        objects in 2..6u32,
        length in 1..40i64,
        count in 0..28usize,
    )(
        events in prop::collection::vec((0..streams, 0..objects, 0..length), count),
        delays in prop::collection::vec(0..6i64, count),
        lateness_ms in 0..6i64,
        cuts in prop::collection::vec(0..28usize, 0..4),
        (xi_ms, tau_ms, theta) in (0..8i64, 0..20i64, 1..5u32),
        (size_min, more) in (2..4usize, prop::option::of(0..3usize)),
    ) -> Case {
        let events = events.into_iter().map(|(s, o, t)| event(s, o, t)).collect();
        let size_max = more.map(|more| size_min + more);
        let rule = Rule { size_min, size_max, ..Rule::new(xi_ms, tau_ms, theta) };
        let delays = delays.into_iter().map(|delay| delay.min(lateness_ms)).collect();
        let mut cuts: Vec<usize> = cuts;
        cuts.sort_unstable();
        Case { events, delays, lateness_ms, cuts, rule }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn every_algorithm_tells_what_the_definition_asks_for(case in case()) {
        let Case { events, delays, lateness_ms, cuts, rule } = case;
        assert_right(&events, &rule);
        // In the order in which they come: late, but not too late, and cut into batches anyhow.
        let rule = Rule { report: ReportKind::All, ..rule };
        let expected = Truth::of(&events, &rule).reports(&rule);
        let mut coming: Vec<(i64, Event)> = events
            .iter()
            .zip(delays)
            .map(|(event, delay)| (event.time.as_millis() + delay, *event))
            .collect();
        coming.sort_by_key(|(comes_at, _)| *comes_at);
        let coming: Vec<Event> = coming.into_iter().map(|(_, event)| event).collect();
        for (name, miner) in miners() {
            let (told, counts) = run(miner, &rule, lateness_ms, &coming, &cuts);
            prop_assert_eq!(&told, &expected, "{}, as they come", name);
            prop_assert_eq!(counts.late, 0);
            prop_assert_eq!(counts.taken + counts.repeated, events.len() as u64);
        }
    }
}

#[test]
fn bounds_are_closed() {
    let meet = |gap, between| {
        vec![event(0, 0, 0), event(0, 1, gap), event(1, 0, between - gap), event(1, 1, between)]
    };
    let rule = Rule::new(5, 30, 2);
    assert_eq!(told(&meet(5, 30), &rule), [(30, vec![0, 1])]);
    assert_eq!(told(&meet(6, 30), &rule), []);
    assert_eq!(told(&meet(5, 31), &rule), []);
}

#[test]
fn at_xi_zero_only_what_is_simultaneous_occurs() {
    let rule = Rule::new(0, 10, 2);
    let apart = [event(0, 0, 1), event(0, 1, 1), event(1, 0, 2), event(1, 1, 3)];
    assert_eq!(told(&apart, &rule), []);
    let together = [event(0, 0, 1), event(0, 1, 1), event(1, 0, 3), event(1, 1, 3)];
    assert_eq!(told(&together, &rule), [(3, vec![0, 1])]);
}

#[test]
fn tau_below_xi_bounds_an_occurrence_too() {
    let rule = Rule::new(10, 4, 1);
    assert_eq!(told(&[event(0, 0, 0), event(0, 1, 4)], &rule), [(4, vec![0, 1])]);
    assert_eq!(told(&[event(0, 0, 0), event(0, 1, 5)], &rule), []);
}

#[test]
fn theta_counts_different_streams() {
    let again = [event(0, 0, 0), event(0, 1, 0), event(0, 0, 5), event(0, 1, 5)];
    assert_eq!(told(&again, &Rule::new(5, 30, 2)), []);
    assert_eq!(told(&again, &Rule::new(5, 30, 1)), [(0, vec![0, 1])]);
    assert_eq!(told(&again, &Rule::new(5, 30, 9)), []);
}

#[test]
fn an_object_that_repeats_keeps_all_its_times() {
    // Its first time meets object 1, its second object 2; with neither are all three together.
    let once = [event(0, 1, 0), event(0, 0, 4), event(0, 0, 9), event(0, 2, 13)];
    let twice: Vec<Event> =
        once.iter().flat_map(|e| [*e, Event { stream: Slot(1), ..*e }]).collect();
    assert_eq!(told(&twice, &Rule::new(5, 30, 2)), [(4, vec![0, 1]), (13, vec![0, 2])]);
}

#[test]
fn a_set_that_was_not_frequent_for_a_while_is_told_again() {
    let meet = |stream, time| [event(stream, 0, time), event(stream, 1, time)];
    let rule = Rule::new(0, 10, 2);
    let lasting = [meet(0, 0), meet(1, 5), meet(2, 11), meet(0, 15)].concat();
    assert_eq!(told(&lasting, &rule), [(5, vec![0, 1])]);
    let lapsed = [meet(0, 0), meet(1, 5), meet(2, 12), meet(0, 20)].concat();
    let expected = [5, 12, 20].map(|time| (time, vec![0, 1]));
    assert_eq!(told(&lapsed, &rule), expected);
}

#[test]
fn one_event_may_leave_and_another_enter_at_one_instant() {
    let meet = |stream, time| [event(stream, 0, time), event(stream, 1, time)];
    // At 10 the meeting at 0 still counts; at 11 it does not, and another takes its place.
    let rule = Rule::new(0, 10, 2);
    let events = [meet(0, 0), meet(1, 5), meet(2, 11)].concat();
    assert_eq!(told(&events, &rule), [(5, vec![0, 1])]);
    let events = [meet(0, 0), meet(1, 5), meet(2, 12)].concat();
    assert_eq!(told(&events, &rule), [(5, vec![0, 1]), (12, vec![0, 1])]);
}

#[test]
fn several_streams_may_complete_a_set_at_one_instant() {
    let everywhere: Vec<Event> =
        (0..4).flat_map(|stream| (0..4).map(move |object| event(stream, object, 7))).collect();
    let rule = Rule::new(5, 30, 3);
    assert_eq!(told(&everywhere, &rule).len(), 11);
}

#[test]
fn a_repeated_event_counts_once_and_a_late_one_not_at_all() {
    let rule = Rule::new(5, 30, 2);
    let coming = [
        event(0, 0, 10),
        event(0, 1, 10),
        event(0, 1, 10),
        event(1, 0, 20),
        event(1, 1, 16), // late: 4 behind, 3 are allowed
        event(1, 1, 17),
        event(1, 0, 20),
    ];
    for (name, miner) in miners() {
        let (told, counts) = run(miner, &rule, 3, &coming, &[]);
        assert_eq!(counts, Counts { taken: 4, repeated: 2, late: 1, cut: 0 }, "{name}");
        assert_eq!(told.len(), 1, "{name}");
    }
}
