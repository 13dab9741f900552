//! The sliding window over events: those that wait for the watermark, and those that count.
//!
//! ```text
//! pending, until the watermark passes ──by time──> EventStore, until older than τ
//!                                                       └──> mined as they arrive ──> reports
//! ```
//!
//! An event waits until no earlier one can come, so neither the order within the lateness nor the
//! cut into batches changes what is told. A repeated event counts once.

use dunlin_index::{Event, EventStore, Slot};
use dunlin_stream::Timestamp;

use crate::maximal;
use crate::miner::Arrival;
use crate::operator::Counts;
use crate::report::Report;
use crate::rule::Rule;
use crate::share::Share;
use crate::span::Span;

/// About so many arrivals are mined in one go.
const ARRIVALS: usize = 32768;
/// So many reports of one time are put in order as they are.
const FEW: usize = 20;
/// Events that are stored in one go.
const READ_AHEAD: usize = 32;
/// Memory of silent streams and objects is given back after this share of τ.
const SWEEPS_PER_TAU: i64 = 8;

/// Events that are pending, and those that are not expired.
#[derive(Clone, Debug)]
pub(crate) struct EventWindow {
    rule: Rule,
    store: EventStore,
    pending: Vec<Event>,
    arrivals: Vec<Arrival>,
}

impl EventWindow {
    pub(crate) fn new(rule: Rule) -> Self {
        let (store, pending, arrivals) = (EventStore::default(), Vec::new(), Vec::new());
        Self { rule, store, pending, arrivals }
    }

    /// The events that count.
    pub(crate) fn store(&self) -> &EventStore {
        &self.store
    }

    /// The events that wait.
    pub(crate) fn pending(&self) -> &[Event] {
        &self.pending
    }

    pub(crate) fn bytes(&self) -> usize {
        let pending = self.pending.capacity() * size_of::<Event>();
        self.store.bytes() + pending + self.arrivals.capacity() * size_of::<Arrival>()
    }

    /// Takes an event that is not before the watermark.
    #[inline]
    pub(crate) fn push(&mut self, event: Event) {
        self.pending.push(event);
    }

    /// Passes what waits and is before the watermark to `mine`, some at a time, as a
    /// [`Miner`](crate::Miner) wants it. The reports are ordered by time and by the slots of their
    /// objects. Counts the events whose object the share owns.
    pub(crate) fn advance(
        &mut self,
        watermark: Timestamp,
        share: &impl Share,
        counts: &mut Counts,
        out: &mut Vec<Report>,
        mut mine: impl FnMut(&EventStore, &Rule, &[Arrival], &mut Vec<Report>) -> u64,
    ) {
        // Mostly in order already, which the sort finds out in one pass.
        self.pending.sort();
        let ready = self.pending.partition_point(|event| event.time < watermark);
        let mut events = std::mem::take(&mut self.pending);
        self.pending.extend_from_slice(&events[ready..]);
        events.truncate(ready);
        events.dedup_by(|event, before| {
            let is_repeated = event == before;
            counts.repeated += u64::from(is_repeated && share.owns(event.object));
            is_repeated
        });
        counts.taken += events.iter().filter(|event| share.owns(event.object)).count() as u64;
        let mut rest = &events[..];
        while !rest.is_empty() {
            let (slice, after) = rest.split_at(whole_times(rest, ARRIVALS));
            self.insert(slice);
            let start = out.len();
            counts.cut += mine(&self.store, &self.rule, &self.arrivals, out);
            let mut told = out.split_off(start);
            // A miner may tell them in any order; few are of one time.
            told.sort_by_key(|report| report.time);
            for at_once in told.chunk_by_mut(|a, b| a.time == b.time) {
                sort_by_objects(at_once);
            }
            told.dedup_by(|a, b| (a.time, &a.objects) == (b.time, &b.objects));
            maximal::retain(&self.store, &self.rule, &self.arrivals, &mut told);
            out.append(&mut told);
            rest = after;
        }
    }

    /// The events that may count yet when the watermark is at `watermark`, stream by stream.
    pub(crate) fn unexpired(&self, watermark: Timestamp) -> impl Iterator<Item = Event> {
        let from = Span::before(watermark, &self.rule).from;
        self.store.rings().flat_map(move |(stream, ring)| {
            let passages = ring.between(from, Timestamp::END).iter();
            passages.map(move |p| Event { time: p.time, stream, object: p.object })
        })
    }

    /// Lets go what cannot count any more when the watermark is at `watermark`.
    pub(crate) fn expire(&mut self, watermark: Timestamp) {
        let oldest = Span::before(watermark, &self.rule).from;
        self.store.expire(oldest, self.sweep_ms());
    }

    /// Takes over the events of another window that is empty as yet: those that were stored there,
    /// in any order, and those that were pending.
    pub(crate) fn fill(&mut self, mut stored: Vec<Event>, pending: Vec<Event>) {
        stored.sort_unstable();
        for event in stored {
            self.store.insert(event);
        }
        self.pending = pending;
    }

    fn sweep_ms(&self) -> i64 {
        self.rule.tau_ms / SWEEPS_PER_TAU + 1
    }

    /// Stores events, all of their times.
    fn insert(&mut self, events: &[Event]) {
        let oldest = Span::before(events[0].time, &self.rule).from;
        self.store.expire(oldest, self.sweep_ms());
        let Self { store, arrivals, .. } = self;
        arrivals.clear();
        for events in events.chunks(READ_AHEAD) {
            store.read_ahead(events);
            let insert = |&event: &Event| Arrival { event, number: store.insert(event) };
            arrivals.extend(events.iter().map(insert));
        }
    }
}

/// Puts reports of one time in the order of their objects.
fn sort_by_objects(reports: &mut [Report]) {
    if reports.len() <= FEW {
        reports.sort_unstable_by(|a, b| a.objects.cmp(&b.objects));
        return;
    }
    reports.sort_by_cached_key(first_objects);
    for alike in reports.chunk_by_mut(|a, b| first_objects(a) == first_objects(b)) {
        alike.sort_unstable_by(|a, b| a.objects.cmp(&b.objects));
    }
}

/// The first four objects as a number: where these differ, reports compare as they do. None is as
/// number 0, which nobody but the first can have.
fn first_objects(report: &Report) -> u128 {
    let number = |at| report.objects.get(at).map_or(0, |slot: &Slot| slot.0);
    (0..4).fold(0, |sum, at| sum << 32 | u128::from(number(at)))
}

/// The least count of events from the front that is at least `count`, or all, and does not part
/// events of one time.
fn whole_times(events: &[Event], count: usize) -> usize {
    let Some(last) = events.get(count - 1) else { return events.len() };
    count + events[count..].partition_point(|event| event.time == last.time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn report(objects: BTreeSet<u32>) -> Report {
        let objects = objects.into_iter().map(Slot).collect();
        Report { time: Timestamp::MIN, objects, occurrences: Vec::new() }
    }

    proptest! {
        #[test]
        fn few_and_many_reports_are_put_in_the_order_of_their_objects(
            objects in prop::collection::vec(
                prop::collection::btree_set(prop_oneof![0u32..5, u32::MAX - 4..=u32::MAX], 1..7),
                0..4 * FEW,
            ),
        ) {
            let mut reports: Vec<Report> = objects.iter().cloned().map(report).collect();
            let mut expected = objects;
            expected.sort_by(|a, b| a.iter().cmp(b));
            sort_by_objects(&mut reports);
            prop_assert_eq!(reports, expected.into_iter().map(report).collect::<Vec<_>>());
        }
    }
}
