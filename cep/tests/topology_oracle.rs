//! The topology against the definition: any lanes, shards, batches, epochs, splits and restarts.

mod lanes;
mod oracle;

use dunlin_cep::topology::NamedOccurrence;
use dunlin_cep::{NamedReport, Occurrence, Report, ReportKind, Rule};
use dunlin_index::{Event, Slot};
use lanes::{Act, Ends, OBJECTS, Ran, Row, STREAMS, UNREAD, fate, run, topology};
use oracle::{Truth, at, flaw};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    /// In the order in which they come.
    rows: Vec<Row>,
    lateness_ms: i64,
    rule: Rule,
    acts: Vec<Act>,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Nothing),
        // Where the keys of the names are, and anywhere.
        (0..OBJECTS.len(), 0..2u64).prop_map(|(name, more)| {
            Act::Split(dunlin_stream::Key::of_bytes(OBJECTS[name].as_bytes()).0 + more)
        }),
        any::<u64>().prop_map(Act::Split),
        (0..4usize).prop_map(Act::Merge),
        Just(Act::Restore),
    ];
    prop::collection::vec(act, 0..24)
}

fn ends() -> impl Strategy<Value = Ends> {
    prop_oneof![
        4 => Just(Ends::Nothing),
        2 => Just(Ends::Batch),
        1 => Just(Ends::Twice),
        3 => Just(Ends::Epoch),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let kind =
        prop_oneof![Just(ReportKind::All), Just(ReportKind::Closed), Just(ReportKind::Maximal)];
    let sizes = (2..4usize, prop::option::of(0..3usize));
    let spans = (0..8i64, 0..20i64, 1..5u32);
    (spans, sizes, kind).prop_map(|((xi_ms, tau_ms, theta), (size_min, more), report)| {
        let size_max = more.map(|more| size_min + more);
        Rule { size_min, size_max, report, ..Rule::new(xi_ms, tau_ms, theta) }
    })
}

prop_compose! {
    /// Rows that come up to `delay_max` milliseconds later than their time.
    fn case(delay_max: i64)(
        streams in 1..=STREAMS.len() as u32,
        objects in 2..=UNREAD,
        length in 1..60i64,
        count in 0..28usize,
    )(
        rows in prop::collection::vec(
            ((0..streams, 0..=objects, 0..length), 0..=delay_max, 1..3u64, ends()),
            count,
        ),
        objects in Just(objects),
        lateness_ms in 0..6i64,
        rule in rule(),
        acts in acts(),
    ) -> Case {
        let mut coming: Vec<(i64, Row)> = rows
            .into_iter()
            .map(|((stream, object, time), delay, producer, ends)| {
                // One more than there are objects is an unread plate.
                let object = Slot(if object == objects { UNREAD } else { object });
                let event = Event { time: at(time), stream: Slot(stream), object };
                let delay = if delay_max == 5 { delay.min(lateness_ms) } else { delay };
                (time + delay, Row { event, producer, ends })
            })
            .collect();
        coming.sort_by_key(|(comes_at, _)| *comes_at);
        let rows = coming.into_iter().map(|(_, row)| row).collect();
        Case { rows, lateness_ms, rule, acts }
    }
}

/// Delays within the lateness.
const IN_TIME: i64 = 5;
/// Delays that make rows late.
const LATE: i64 = 20;

fn named(report: &Report) -> NamedReport {
    let mut objects: Vec<String> =
        report.objects.iter().map(|object| OBJECTS[object.index()].to_owned()).collect();
    objects.sort();
    let named = |occurrence: &Occurrence| {
        let Occurrence { stream, from, to } = *occurrence;
        NamedOccurrence { stream: STREAMS[stream.index()].to_owned(), from, to }
    };
    let mut occurrences: Vec<NamedOccurrence> = report.occurrences.iter().map(named).collect();
    occurrences.sort_by(|a, b| a.stream.cmp(&b.stream));
    NamedReport { time: report.time, objects, occurrences }
}

fn expected(events: &[Event], rule: &Rule) -> Vec<NamedReport> {
    let reports = Truth::of(events, rule).reports(rule);
    assert!(reports.iter().all(|report| flaw(events, rule, report).is_none()));
    let mut named: Vec<NamedReport> = reports.iter().map(named).collect();
    named.sort_by(|a, b| (a.time, &a.objects).cmp(&(b.time, &b.objects)));
    named
}

/// Asserts that a run told what it should have, and lost and gained nothing.
fn assert_right(case: &Case, (lanes, shards): (usize, u32)) -> Ran {
    let Case { rows, lateness_ms, rule, acts } = case;
    let fate = fate(rows, lanes, *lateness_ms);
    let ran = run(&topology(rule, *lateness_ms), rows, (lanes, shards), acts);
    assert_eq!(ran.told.concat(), expected(&fate.kept, rule), "{lanes} lanes, {shards} shards");
    assert_eq!(ran.late, fate.late);
    let counts = ran.counts;
    let read = rows.len() as u64 + fate.duplicate;
    assert_eq!((counts.read, counts.duplicate), (read, fate.duplicate));
    assert_eq!((counts.late, counts.unfit), (fate.late.len() as u64, fate.unread));
    assert_eq!(counts.applied, fate.kept.len() as u64 + fate.behind);
    let [taken, repeated, late, cut] = ran.shards;
    assert_eq!((taken + repeated, late, cut), (fate.kept.len() as u64, fate.behind, 0));
    ran
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_500))]

    /// Within the lateness nothing is late, so lanes do not matter either.
    #[test]
    fn the_topology_tells_what_the_definition_asks_for(case in case(IN_TIME)) {
        for way in [(1, 1), (1, 2), (3, 1), (3, 8)] {
            let ran = assert_right(&case, way);
            prop_assert_eq!((ran.late.len(), ran.shards[2]), (0, 0));
        }
    }

    /// What is late depends on the lanes; it is handed out, counted, and counts for nothing.
    #[test]
    fn late_rows_are_handed_out_and_count_for_nothing(case in case(LATE)) {
        for way in [(1, 2), (3, 1), (3, 8)] {
            assert_right(&case, way);
        }
    }

    /// Also where searches are cut short, and so depend on the order in which names came.
    #[test]
    fn neither_restarts_nor_shards_change_a_byte(case in case(IN_TIME), sets_max in 0..12u64) {
        let rule = Rule { sets_max, ..case.rule };
        let topology = topology(&rule, case.lateness_ms);
        let whole = run(&topology, &case.rows, (2, 2), &[]);
        let restarted = run(&topology, &case.rows, (2, 2), &[Act::Restore; 30]);
        prop_assert_eq!(&restarted, &whole);
        for shards in [1, 8] {
            let ran = run(&topology, &case.rows, (2, shards), &case.acts);
            prop_assert_eq!((&ran.told, ran.shards), (&whole.told, whole.shards));
        }
    }
}
