//! The task of a shard: all events, and the sets that are the shard's own.
//!
//! ```text
//! passages by name ──names──> EventWindow ──watermark──> Bitmask, own sets ──names──> reports
//! ```
//!
//! Shards differ in nothing but the keys that they own: all hold the same names, by the same slots,
//! and the same events. So a split copies, and a merge keeps one of two.

use dunlin_index::Event;
use dunlin_stream::wire::{self, DecodeError, Frozen};
use dunlin_stream::{Epoch, Key, KeyRange, Operator, ShardLoad, Timestamp};
use smallvec::SmallVec;

use super::batch::{PassageBatch, PassageRow};
use super::names::Names;
use super::report::NamedReport;
use super::router::Passages;
use super::share::KeyShare;
use super::state::ShardState;
use crate::bitmask::Bitmask;
use crate::operator::Counts;
use crate::report::Report;
use crate::rule::Rule;
use crate::share::{Share, Whole};
use crate::window::EventWindow;

/// Passages whose names are looked for in one go.
const READ_AHEAD: usize = 32;

/// Tells which of the sets that a shard owns become frequent, and when.
#[derive(Debug)]
pub struct CooccurrenceShard {
    window: EventWindow,
    miner: Bitmask,
    streams: Names,
    objects: Names,
    range: KeyRange,
    /// After so many milliseconds of event time names that nothing uses are let go.
    sweep_ms: i64,
    swept: Option<Timestamp>,
    /// No event before it is taken any more.
    watermark: Option<Timestamp>,
    counts: Counts,
    /// Reports on their way to names.
    told: Vec<Report>,
}

impl CooccurrenceShard {
    pub(super) fn new(rule: Rule, sweep_ms: i64) -> Self {
        Self {
            window: EventWindow::new(rule),
            miner: Bitmask::default(),
            streams: Names::default(),
            objects: Names::default(),
            range: KeyRange::ALL,
            sweep_ms,
            swept: None,
            watermark: None,
            counts: Counts::default(),
            told: Vec::new(),
        }
    }

    /// What became of the events of objects that the shard owns: over all shards, of all events.
    ///
    /// An event is late here if it is in time for its lane, but not for the others: its lane had
    /// fallen silent.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many events the shard holds, pending ones included.
    #[must_use]
    pub fn events(&self) -> usize {
        self.window.store().len() + self.window.pending().len()
    }

    /// How many names the shard holds, of streams and of objects.
    #[must_use]
    pub fn names(&self) -> usize {
        self.streams.len() + self.objects.len()
    }

    /// How many bytes of memory events and names take, free room included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.window.bytes() + self.streams.bytes() + self.objects.bytes()
    }

    fn take(&mut self, batch: &PassageBatch) {
        let mut rows = batch.iter();
        loop {
            let ahead: SmallVec<[PassageRow<'_>; READ_AHEAD]> =
                rows.by_ref().take(READ_AHEAD).collect();
            if ahead.is_empty() {
                return;
            }
            let keys: SmallVec<[Key; READ_AHEAD]> =
                ahead.iter().map(|row| Key::of_bytes(row.object.as_bytes())).collect();
            self.objects.read_ahead(&keys);
            ahead.iter().zip(keys).for_each(|(row, key)| self.push(row, key));
        }
    }

    fn push(&mut self, row: &PassageRow<'_>, key: Key) {
        let &PassageRow { time, stream, object } = row;
        if self.watermark.is_some_and(|watermark| time < watermark) {
            self.counts.late += u64::from(self.range.contains(key));
            return;
        }
        let stream = self.streams.intern(stream, Key::of_bytes(stream.as_bytes()));
        let object = self.objects.intern(object, key);
        self.window.push(Event { time, stream, object });
    }

    /// Mines all pending events before the watermark: the heart.
    fn advance(&mut self, watermark: Timestamp, out: &mut Vec<NamedReport>) {
        if self.range == KeyRange::ALL {
            mine(
                &mut self.window,
                &mut self.miner,
                &Whole,
                watermark,
                &mut self.counts,
                &mut self.told,
            );
        } else {
            let share = KeyShare { range: self.range, objects: &self.objects };
            mine(
                &mut self.window,
                &mut self.miner,
                &share,
                watermark,
                &mut self.counts,
                &mut self.told,
            );
        }
        let named = |report| NamedReport::of(report, &self.objects, &self.streams);
        let start = out.len();
        out.extend(self.told.drain(..).map(named));
        out[start..].sort_unstable_by(NamedReport::order);
    }

    /// Lets go the names that no event uses.
    fn sweep(&mut self, watermark: Timestamp) {
        let since = *self.swept.get_or_insert(watermark);
        if watermark.as_millis() - since.as_millis() < self.sweep_ms {
            return;
        }
        self.swept = Some(watermark);
        let mut streams = vec![false; self.streams.slots()];
        let mut objects = vec![false; self.objects.slots()];
        self.window.unexpired(watermark).chain(self.window.pending().iter().copied()).for_each(
            |event| {
                streams[event.stream.index()] = true;
                objects[event.object.index()] = true;
            },
        );
        self.streams.retain(&streams);
        self.objects.retain(&objects);
    }
}

fn mine(
    window: &mut EventWindow,
    miner: &mut Bitmask,
    share: &impl Share,
    watermark: Timestamp,
    counts: &mut Counts,
    told: &mut Vec<Report>,
) {
    window.advance(watermark, share, counts, told, |store, rule, arrivals, told| {
        miner.mine_share((store, rule), arrivals, share, told)
    });
}

impl Operator for CooccurrenceShard {
    type Batch<'a> = &'a Passages;
    type Message = ();
    /// Ordered by time, then objects.
    type Output = NamedReport;

    fn apply(&mut self, _: Epoch, passages: &Passages, _: &mut Vec<NamedReport>) {
        self.range = passages.range;
        passages.batches.iter().for_each(|batch| self.take(batch));
    }

    fn watermark(&mut self, at: Timestamp, out: &mut Vec<NamedReport>) {
        // Where clocks are absurd; no event is beyond these.
        let watermark = at.clamp(Timestamp::MIN, Timestamp::END);
        self.watermark = Some(watermark);
        self.advance(watermark, out);
        self.window.expire(watermark);
        self.sweep(watermark);
    }

    fn load(&self) -> ShardLoad {
        ShardLoad { keys: self.events() as u64, work: self.counts.taken }
    }

    fn snapshot(&self) -> Vec<u8> {
        self.freeze().encode()
    }

    fn freeze(&self) -> Frozen {
        let stored = self.watermark.into_iter().flat_map(|at| self.window.unexpired(at));
        Frozen::of(ShardState {
            watermark: self.watermark,
            swept: self.swept,
            counts: self.counts,
            streams: self.streams.column(),
            objects: self.objects.column(),
            stored: stored.collect(),
            pending: self.window.pending().iter().copied().collect(),
        })
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        let state: ShardState = wire::decode(state)?;
        let streams = Names::from_column(&state.streams);
        let objects = Names::from_column(&state.objects);
        let [stored, pending] = state.events([&streams, &objects])?;
        self.window.fill(stored, pending);
        if let Some(watermark) = state.watermark {
            self.window.expire(watermark);
        }
        (self.streams, self.objects) = (streams, objects);
        (self.watermark, self.swept, self.counts) = (state.watermark, state.swept, state.counts);
        Ok(())
    }

    fn split(&mut self, _: Key, upper: &mut Self) {
        upper.window = self.window.clone();
        (upper.streams, upper.objects) = (self.streams.clone(), self.objects.clone());
        (upper.watermark, upper.swept) = (self.watermark, self.swept);
    }

    fn merge(&mut self, upper: Self) {
        self.counts.add(upper.counts);
    }
}
