//! Co-occurrence mining as an operator of the streaming core.
//!
//! ```text
//! batches ──> pending, until the watermark passes ──by time──> EventStore ──> Miner ──> reports
//! ```
//!
//! The watermark is the greatest event time so far less the allowed lateness. An event behind it is
//! late and counted; any other waits until no earlier one can come, so neither the order within the
//! lateness nor the cut into batches changes what is told. A repeated event counts once. Events
//! older than τ are let go.

use dunlin_index::{Event, EventStore, Slot};
use dunlin_stream::{Epoch, Operator, Timestamp};

use crate::maximal;
use crate::miner::{Arrival, Miner};
use crate::report::Report;
use crate::rule::{Rule, RuleError};
use crate::span::{Span, shift};

/// Events in columns.
#[derive(Clone, Copy, Debug)]
pub struct EventBatch<'a> {
    /// Event times.
    pub times: &'a [Timestamp],
    /// Streams.
    pub streams: &'a [Slot],
    /// Objects.
    pub objects: &'a [Slot],
}

/// About so many arrivals are mined in one go.
const ARRIVALS: usize = 4096;
/// Events that are stored in one go.
const READ_AHEAD: usize = 32;
/// Memory of silent streams and objects is given back after this share of τ.
const SWEEPS_PER_TAU: i64 = 8;

/// Tells which sets of objects become frequent, and when.
#[derive(Debug)]
pub struct CooccurrenceOperator<M> {
    rule: Rule,
    lateness_ms: i64,
    miner: M,
    store: EventStore,
    pending: Vec<Event>,
    arrivals: Vec<Arrival>,
    /// No event before it is taken any more.
    watermark: Option<Timestamp>,
    counts: Counts,
}

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were taken.
    pub taken: u64,
    /// Events that repeated another: same stream, object and time.
    pub repeated: u64,
    /// Events that came later than allowed.
    pub late: u64,
    /// Events whose search was cut short: some of the sets that they complete are not told.
    pub cut: u64,
}

impl<M: Miner> CooccurrenceOperator<M> {
    /// An operator that finds what `rule` asks for by means of `miner`, and takes events that are
    /// up to `lateness_ms` behind the newest.
    ///
    /// # Errors
    /// A rule that makes no sense.
    ///
    /// # Panics
    /// If the lateness is negative.
    pub fn new(rule: Rule, lateness_ms: i64, miner: M) -> Result<Self, RuleError> {
        assert!(lateness_ms >= 0, "a lateness of {lateness_ms} ms");
        rule.check()?;
        Ok(Self {
            rule,
            lateness_ms,
            miner,
            store: EventStore::default(),
            pending: Vec::new(),
            arrivals: Vec::new(),
            watermark: None,
            counts: Counts::default(),
        })
    }

    /// What became of the events so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The events that are not expired yet.
    #[must_use]
    pub fn store(&self) -> &EventStore {
        &self.store
    }

    /// How many bytes of memory the events take, unexpired and pending, free room included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let pending = self.pending.capacity() * size_of::<Event>();
        self.store.bytes() + pending + self.arrivals.capacity() * size_of::<Arrival>()
    }

    /// Mines all pending events before the watermark.
    fn advance(&mut self, out: &mut Vec<Report>) {
        let Some(watermark) = self.watermark else { return };
        // Mostly in order already, which the sort finds out in one pass.
        self.pending.sort();
        let ready = self.pending.partition_point(|event| event.time < watermark);
        let mut events = std::mem::take(&mut self.pending);
        self.pending.extend_from_slice(&events[ready..]);
        events.truncate(ready);
        let before = events.len();
        events.dedup();
        self.counts.repeated += (before - events.len()) as u64;
        self.counts.taken += events.len() as u64;
        let mut rest = &events[..];
        while !rest.is_empty() {
            let (slice, after) = rest.split_at(whole_times(rest, ARRIVALS));
            self.mine(slice, out);
            rest = after;
        }
    }

    /// Stores events, all of their times, and mines them.
    fn mine(&mut self, events: &[Event], out: &mut Vec<Report>) {
        let Self { rule, miner, store, arrivals, counts, .. } = self;
        let oldest = Span::before(events[0].time, rule).from;
        store.expire(oldest, rule.tau_ms / SWEEPS_PER_TAU + 1);
        arrivals.clear();
        for events in events.chunks(READ_AHEAD) {
            store.read_ahead(events);
            let insert = |&event: &Event| Arrival { event, number: store.insert(event) };
            arrivals.extend(events.iter().map(insert));
        }
        let start = out.len();
        counts.cut += miner.mine(store, rule, arrivals, out);
        let mut told = out.split_off(start);
        told.sort_unstable_by(|a, b| (a.time, &a.objects).cmp(&(b.time, &b.objects)));
        told.dedup_by(|a, b| (a.time, &a.objects) == (b.time, &b.objects));
        maximal::retain(store, rule, arrivals, &mut told);
        out.append(&mut told);
    }
}

/// The least count of events from the front that is at least `count`, or all, and does not part
/// events of one time.
fn whole_times(events: &[Event], count: usize) -> usize {
    let Some(last) = events.get(count - 1) else { return events.len() };
    count + events[count..].partition_point(|event| event.time == last.time)
}

impl<M: Miner> Operator for CooccurrenceOperator<M> {
    type Batch<'a> = EventBatch<'a>;
    type Message = ();
    /// Ordered by time, then objects.
    type Output = Report;

    fn apply(&mut self, _: Epoch, batch: EventBatch<'_>, _: &mut Vec<Report>) {
        let columns = batch.times.iter().zip(batch.streams).zip(batch.objects);
        for ((&time, &stream), &object) in columns {
            if self.watermark.is_some_and(|watermark| time < watermark) {
                self.counts.late += 1;
                continue;
            }
            self.pending.push(Event { time, stream, object });
            self.watermark = self.watermark.max(Some(shift(time, -self.lateness_ms)));
        }
    }

    fn end_epoch(&mut self, _: Epoch, _: Timestamp, out: &mut Vec<Report>) {
        self.advance(out);
    }

    fn watermark(&mut self, at: Timestamp, out: &mut Vec<Report>) {
        self.watermark = self.watermark.max(Some(at));
        self.advance(out);
    }
}
