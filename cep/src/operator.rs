//! Co-occurrence mining as an operator of the streaming core, over numbers for names.
//!
//! The watermark is the greatest event time so far less the allowed lateness. An event behind it is
//! late and counted; any other waits until the watermark has passed it. Events older than τ are let
//! go. [`topology`](crate::topology) is the same by name and for several shards.

use dunlin_index::{Event, EventStore, Slot};
use dunlin_stream::{Epoch, Operator, Timestamp};
use serde::{Deserialize, Serialize};

use crate::miner::Miner;
use crate::report::Report;
use crate::rule::{Rule, RuleError};
use crate::share::Whole;
use crate::span::shift;
use crate::window::EventWindow;

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

/// Tells which sets of objects become frequent, and when.
#[derive(Debug)]
pub struct CooccurrenceOperator<M> {
    lateness_ms: i64,
    miner: M,
    window: EventWindow,
    /// No event before it is taken any more.
    watermark: Option<Timestamp>,
    counts: Counts,
}

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl Counts {
    /// Adds other counts.
    pub fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.repeated += other.repeated;
        self.late += other.late;
        self.cut += other.cut;
    }
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
        let (window, counts) = (EventWindow::new(rule), Counts::default());
        Ok(Self { lateness_ms, miner, window, watermark: None, counts })
    }

    /// What became of the events so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The events that are not expired yet.
    #[must_use]
    pub fn store(&self) -> &EventStore {
        self.window.store()
    }

    /// How many bytes of memory the events take, unexpired and pending, free room included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.window.bytes()
    }

    /// Mines all pending events before the watermark.
    fn advance(&mut self, out: &mut Vec<Report>) {
        let Some(watermark) = self.watermark else { return };
        let Self { miner, window, counts, .. } = self;
        window.advance(watermark, &Whole, counts, out, |store, rule, arrivals, out| {
            miner.mine(store, rule, arrivals, out)
        });
    }
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
            self.window.push(Event { time, stream, object });
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
