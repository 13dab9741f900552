//! Segments of many objects: more than a word has bits, and bursts that must not explode.

use dunlin_cep::{
    Bitmask, CooMine, CooccurrenceOperator, Counts, DiMine, EventBatch, MatrixMine, Miner, Report,
    ReportKind, Rule,
};
use dunlin_index::Slot;
use dunlin_stream::{Epoch, Operator, Timestamp};
use proptest::prelude::*;

/// Events as (time, stream, object), ordered by time.
fn run(miner: impl Miner, rule: &Rule, events: &[(i64, u32, u32)]) -> (Vec<Report>, Counts) {
    let mut operator = CooccurrenceOperator::new(rule.clone(), 0, miner).expect("a rule");
    let times: Vec<_> = events.iter().map(|e| Timestamp::from_millis_unchecked(e.0)).collect();
    let streams: Vec<Slot> = events.iter().map(|event| Slot(event.1)).collect();
    let objects: Vec<Slot> = events.iter().map(|event| Slot(event.2)).collect();
    let mut out = Vec::new();
    let batch = EventBatch { times: &times, streams: &streams, objects: &objects };
    operator.apply(Epoch(0), batch, &mut out);
    operator.watermark(Timestamp::END, &mut out);
    (out, operator.counts())
}

fn objects(report: &Report) -> Vec<u32> {
    report.objects.iter().map(|object| object.0).collect()
}

/// `count` objects pass `streams` cameras a minute apart, one `gap_ms` after the other.
fn convoy(streams: u32, count: u32, gap_ms: i64) -> Vec<(i64, u32, u32)> {
    let passages = (0..streams).flat_map(|stream| {
        (0..count).map(move |object| {
            (i64::from(stream) * 60_000 + i64::from(object) * gap_ms, stream, object)
        })
    });
    passages.collect()
}

#[test]
fn a_convoy_of_more_objects_than_bits_is_found_as_it_grows() {
    let rule = Rule::new(30_000, 600_000, 3);
    let (told, counts) = run(Bitmask::default(), &rule, &convoy(3, 150, 100));
    let found: Vec<Vec<u32>> = told.iter().map(objects).collect();
    let expected: Vec<Vec<u32>> = (2..=150).map(|count| (0..count).collect()).collect();
    assert_eq!(found, expected);
    assert_eq!(counts.cut, 0);
}

#[test]
fn a_burst_of_ten_thousand_is_one_closed_set() {
    let rule = Rule::new(30_000, 600_000, 2);
    let mut events = convoy(2, 10_000, 0);
    // A third camera sees them too: frequent already, so nothing is new.
    events.extend((0..10_000).map(|object| (120_000, 2, object)));
    let (told, counts) = run(Bitmask::default(), &rule, &events);
    assert_eq!(told.len(), 1);
    assert_eq!(objects(&told[0]), (0..10_000).collect::<Vec<u32>>());
    assert_eq!(counts, Counts { taken: 30_000, ..Counts::default() });
}

#[test]
fn what_is_cut_is_counted() {
    let all = Rule { report: ReportKind::All, ..Rule::new(30_000, 600_000, 2) };
    let rule = Rule { sets_max: 1_000, ..all.clone() };
    let (told, counts) = run(Bitmask::default(), &rule, &convoy(2, 15, 10));
    // The tenth object completes 2⁹ - 1 sets; the eleventh has one node more than it may look at.
    assert_eq!(counts.cut, 5);
    assert!(told.len() >= (1 << 10) - 11, "{}", told.len());
    let rule = Rule { size_max: Some(3), ..rule };
    let (told, counts) = run(Bitmask::default(), &rule, &convoy(2, 15, 10));
    assert_eq!((told.len(), counts.cut), (105 + 455, 0));
    let rule = Rule { sets_max: 1, ..all };
    for miner in rivals() {
        let (_, counts) = run(miner, &rule, &convoy(2, 15, 10));
        assert!(counts.cut > 0);
    }
}

fn rivals() -> [Box<dyn Miner>; 3] {
    [Box::new(CooMine::default()), Box::new(DiMine::default()), Box::new(MatrixMine::default())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Where brute force cannot follow, the algorithms check each other; and threads change nothing.
    #[test]
    fn algorithms_and_threads_agree_on_crowds(
        events in prop::collection::vec((0..300i64, 0..4u32, 0..100u32), 700),
        (xi_ms, tau_ms, theta) in (20..60i64, 100..300i64, 3..5u32),
        largest in 2..4usize,
    ) {
        let mut events = events;
        events.sort_unstable();
        for report in [ReportKind::All, ReportKind::Closed, ReportKind::Maximal] {
            let size_max = Some(largest);
            let rule = Rule { size_max, report, ..Rule::new(xi_ms, tau_ms, theta) };
            let (told, counts) = run(Bitmask::default(), &rule, &events);
            for miner in rivals() {
                prop_assert_eq!(&run(miner, &rule, &events), &(told.clone(), counts));
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            let parallel = pool.install(|| run(Bitmask::default(), &rule, &events));
            prop_assert_eq!(parallel, (told, counts));
        }
    }
}
