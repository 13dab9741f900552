//! One lane of the input: repeated batches, event time, and then its router.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event_time::{EventTime, EventTimeRule, EventTimeState, RowsOfTime, Verdict};
use crate::log::Entry;
use crate::router::{RecordCounts, Router, Routes};
use crate::wire::{self, DecodeError, Frozen};
use crate::{Epoch, ShardTable, Timestamp};

/// What lies in a lane of the input: a batch and who sent it. An empty payload is a tick: it only
/// says that the time of its stamp has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<B> {
    /// The sender, by a number that it keeps over restarts.
    pub producer: u64,
    /// The batch's number at its sender: it grows from batch to batch of one lane, so that a batch
    /// that is sent again is known.
    pub sequence: u64,
    /// The records.
    pub batch: B,
}

/// Producers that sent nothing for so long, by the log's stamps, are forgotten: a day.
const PRODUCER_IDLE_MS: i64 = 86_400_000;
/// Epochs between two looks for producers to forget.
const FORGET_EVERY: i64 = 4_096;

/// The task of a lane.
#[derive(Debug)]
pub struct LaneTask<R> {
    router: R,
    event_time: EventTime,
    producers: BTreeMap<u64, Producer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Producer {
    /// The number of its last batch.
    last: u64,
    heard: Timestamp,
}

/// What a lane's state begins with; the state of its router follows.
#[derive(Serialize, Deserialize)]
struct LaneHead {
    event_time: EventTimeState,
    producers: BTreeMap<u64, Producer>,
}

/// What a lane makes of one epoch.
#[derive(Debug)]
pub struct LaneOutput<Ops> {
    /// For each shard.
    pub ops: Vec<Ops>,
    /// The late records, as batches like those of the input.
    pub late: Vec<Vec<u8>>,
    /// What became of the records.
    pub counts: RecordCounts,
}

impl<R: Router> LaneTask<R> {
    /// A lane that has seen nothing.
    #[must_use]
    pub fn new(router: R, rule: EventTimeRule) -> Self {
        Self { router, event_time: EventTime::new(rule), producers: BTreeMap::new() }
    }

    /// The task that the lane's records go to.
    #[must_use]
    pub fn router(&self) -> &R {
        &self.router
    }

    /// The lane's event time.
    #[must_use]
    pub fn event_time(&self) -> &EventTime {
        &self.event_time
    }

    /// Makes operations of the batches of an epoch, whose first instant after it is `end`.
    pub fn epoch(
        &mut self,
        (epoch, end): (Epoch, Timestamp),
        entries: &[Entry],
        table: &ShardTable,
    ) -> LaneOutput<R::Ops> {
        let mut ops: Vec<R::Ops> =
            std::iter::repeat_with(R::Ops::default).take(table.len()).collect();
        let (mut late, mut counts) = (Vec::new(), RecordCounts::default());
        let mut routes = Routes::new(table, &mut ops, &mut counts);
        for entry in entries {
            if let Some(batch) = self.admit(entry, &mut late, routes.counts) {
                self.router.route(epoch, batch, &mut routes);
            }
        }
        self.router.end_epoch(epoch, end, &mut routes);
        self.event_time.end_epoch(end);
        if epoch.0 % FORGET_EVERY == 0 {
            let idle = |at: Timestamp| end.as_millis().saturating_sub(at.as_millis());
            self.producers.retain(|_, producer| idle(producer.heard) <= PRODUCER_IDLE_MS);
        }
        LaneOutput { ops, late, counts }
    }

    /// The records of a batch that are new and in time.
    fn admit(
        &mut self,
        entry: &Entry,
        late: &mut Vec<Vec<u8>>,
        counts: &mut RecordCounts,
    ) -> Option<R::Batch> {
        if entry.payload.is_empty() {
            return None;
        }
        let Ok(envelope) = wire::decode::<Envelope<R::Batch>>(&entry.payload) else {
            // Whoever wrote the lane did not keep to the topology; the others' records go on.
            counts.unreadable += 1;
            return None;
        };
        let Envelope { producer, sequence, mut batch } = envelope;
        let rows = batch.rows() as u64;
        counts.read += rows;
        let heard = Producer { last: sequence, heard: entry.stamp };
        match self.producers.get_mut(&producer) {
            Some(known) if sequence <= known.last => {
                counts.duplicate += rows;
                return None;
            }
            Some(known) => *known = heard,
            None => drop(self.producers.insert(producer, heard)),
        }
        self.take_out_of_time(producer, entry.stamp, &mut batch, late, counts);
        counts.applied += batch.rows() as u64;
        Some(batch)
    }

    fn take_out_of_time(
        &mut self,
        producer: u64,
        stamp: Timestamp,
        batch: &mut R::Batch,
        late: &mut Vec<Vec<u8>>,
        counts: &mut RecordCounts,
    ) {
        let mut judge = |time| self.event_time.judge(producer, stamp, time);
        let verdicts: Vec<Verdict> = batch.times().iter().map(|&time| judge(time)).collect();
        if verdicts.iter().all(|&verdict| verdict == Verdict::Taken) {
            return;
        }
        let marks: Vec<bool> = verdicts.iter().map(|&it| it != Verdict::Taken).collect();
        let mut out = batch.take_rows(&marks);
        let out_of_time = verdicts.iter().filter(|&&it| it != Verdict::Taken);
        let absurd: Vec<bool> = out_of_time.map(|&it| it == Verdict::Absurd).collect();
        counts.absurd += out.take_rows(&absurd).rows() as u64;
        if out.rows() > 0 {
            counts.late += out.rows() as u64;
            late.push(wire::encode(&out));
        }
    }

    /// The state at the end of an epoch.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        self.freeze().encode()
    }

    /// What [`LaneTask::snapshot`] says, to be put in bytes while the lane goes on.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        let (event_time, producers) = (self.event_time.state().clone(), self.producers.clone());
        let router = self.router.freeze();
        Frozen::new(move |chunks| {
            chunks.encode(&LaneHead { event_time, producers })?;
            router.write(chunks)
        })
    }

    /// A lane with a state that [`LaneTask::snapshot`] wrote; `router` is new.
    ///
    /// # Errors
    /// Bytes that are no such state.
    pub fn restore(mut router: R, rule: EventTimeRule, state: &[u8]) -> Result<Self, DecodeError> {
        let (LaneHead { event_time, producers }, rest) = wire::decode_first(state)?;
        router.restore(rest)?;
        Ok(Self { router, event_time: EventTime::resume(rule, event_time), producers })
    }
}
