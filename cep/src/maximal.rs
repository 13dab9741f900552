//! Maximal sets where events of several streams fall on one instant.
//!
//! A miner looks for supersets in the stream of an arrival. A superset that becomes frequent at the
//! same instant by an event of another stream escapes it, and is looked for here.

use dunlin_index::{EventStore, Slot};

use crate::exact;
use crate::miner::Arrival;
use crate::report::Report;
use crate::rule::{ReportKind, Rule};
use crate::span::Span;

/// Keeps the reports that have no frequent superset; `arrivals` are all events of their times.
pub(crate) fn retain(
    store: &EventStore,
    rule: &Rule,
    arrivals: &[Arrival],
    reports: &mut Vec<Report>,
) {
    if rule.report != ReportKind::Maximal {
        return;
    }
    let mut rest = arrivals;
    reports.retain(|report| {
        let start = rest.partition_point(|arrival| arrival.event.time < report.time);
        rest = &rest[start..];
        let here = rest.partition_point(|arrival| arrival.event.time == report.time);
        !has_frequent_superset(store, rule, &rest[..here], report)
    });
}

/// Whether a superset is frequent: then one with one more object is, which is new like the set
/// itself, so that it has the other object near an arrival of the same instant.
fn has_frequent_superset(
    store: &EventStore,
    rule: &Rule,
    arrivals: &[Arrival],
    report: &Report,
) -> bool {
    let span = Span::at(report.time, rule);
    let mut streams = arrivals.chunk_by(|a, b| a.event.stream == b.event.stream);
    if streams.clone().count() == 1 {
        return false;
    }
    streams.any(|arrivals| {
        let Arrival { event, number } = arrivals[0];
        let near = span.near(event.time, rule.xi_ms);
        let together = store.ring(event.stream).near(number, near.from, near.to);
        together.iter().any(|passage| {
            let grown = with(&report.objects, passage.object);
            grown.is_some_and(|grown| {
                exact::support(store, rule, &grown, span) >= rule.theta as usize
            })
        })
    })
}

/// The sorted objects with one more, unless it is one of them.
pub(crate) fn with(objects: &[Slot], more: Slot) -> Option<Vec<Slot>> {
    let place = objects.binary_search(&more).err()?;
    let mut grown = objects.to_vec();
    grown.insert(place, more);
    Some(grown)
}
