//! Positions and passages on their way into the log.
//!
//! ```text
//! rows ─ checked ─> a batch for each lane ─ when large, and at the end ─> log ─> acknowledged
//! ```
//!
//! A row that is no good is counted by its reason and does not hold up the others. Requests of clients
//! that number theirs take effect once: a batch's number at its lane is made of the request's number
//! and its place in the request, so the same request makes the same batches.

mod csv;
mod features;
mod overload;
mod passages;
mod rejected;
mod rows;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use dunlin_index::{Coord, SpaceKind};
use dunlin_query::topology::PositionBatch;
use dunlin_stream::log::Pending;
use dunlin_stream::{Key, Timestamp};

pub(crate) use self::csv::read_csv;
pub(crate) use features::read_features;
pub(crate) use overload::Sources;
pub use overload::{Overload, OverloadError};
pub(crate) use passages::{PassageIntake, read_passages};
pub(crate) use rejected::{Reason, Rejected};
pub(crate) use rows::read_lines;

use super::app::{App, own_producer};
use super::core::Core;
use super::error::QueryError;
use crate::live::{Producer, Sent, Source, locked, now};

/// Own producers, so that many requests go in side by side.
const POOL: usize = 8;
/// A batch goes on its way when it has so many rows or bytes of names.
const ROWS_MAX: usize = 8_192;
/// Of a numbered request: its batches are fewer than its number has room for, whatever a body holds.
const NUMBERED_ROWS_MAX: usize = 16_384;
const NAME_BYTES_MAX: usize = 256 << 10;
/// Batches of one request and lane: the last byte of their number.
const CHUNKS_BITS: u32 = 8;

/// Who sends, and the number of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) producer: u64,
    pub(crate) sequence: u64,
}

impl Numbered {
    /// The greatest number of a request.
    pub(crate) const SEQUENCE_MAX: u64 = (1 << (64 - CHUNKS_BITS)) - 1;

    /// The number of a batch of the request, at one lane.
    ///
    /// # Errors
    /// A request of so many batches that one would have the number of another request's, and be taken
    /// for it.
    fn of_chunk(self, chunk: u64) -> Result<(u64, u64), QueryError> {
        if chunk >> CHUNKS_BITS > 0 {
            let detail = "a numbered request has too many rows, of which the first were taken; send \
                          it in parts, each under a number of its own";
            return Err(QueryError::Limit { field: "Dunlin-Sequence", detail: detail.to_owned() });
        }
        Ok((self.producer, self.sequence << CHUNKS_BITS | chunk))
    }
}

/// The producers of requests without a number.
pub(crate) struct Ingest {
    pool: Vec<Mutex<Producer>>,
    turn: AtomicUsize,
    sources: Sources,
}

impl Ingest {
    /// Of `held_max` objects the newest position may wait outside the log.
    pub(super) fn new(core: &Core, held_max: usize) -> Self {
        let pool = (0..POOL).map(|_| Mutex::new(own_producer(core))).collect();
        Self { pool, turn: AtomicUsize::new(0), sources: Sources::new(held_max) }
    }

    /// Sends a batch under a number of the pool's own.
    fn send(&self, lane: usize, batch: &PositionBatch) -> Result<Pending, QueryError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // The lock is held until the batch is in the writer's queue: numbers go in as they grow.
        Ok(locked(&self.pool[turn % self.pool.len()]).send(lane, batch)?)
    }
}

/// What became of the rows of a request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Rows that the log has, or will have.
    pub(crate) accepted: u64,
    pub(crate) rejected: Rejected,
    /// Rows that wait outside the log, as far as no newer one replaces them.
    pub(crate) held: u64,
    /// Rows that were dropped.
    pub(crate) shed: u64,
}

/// The positions of one request.
pub(crate) struct Intake<'a> {
    app: &'a App,
    numbered: Option<Numbered>,
    /// Where rows go that do not wait for credit; it deals them out to the lanes itself.
    source: Option<Source<PositionBatch>>,
    space: SpaceKind,
    now: Timestamp,
    lanes: Vec<Lane>,
    sent: Vec<Pending>,
    outcome: Outcome,
}

#[derive(Default)]
struct Lane {
    batch: PositionBatch,
    rows: usize,
    name_bytes: usize,
    chunks: u64,
}

impl<'a> Intake<'a> {
    /// # Errors
    /// A request that is to take effect once waits for credit: rows that were held or dropped would
    /// make what its number stands for another thing each time.
    pub(crate) fn new(
        app: &'a App,
        numbered: Option<Numbered>,
        overload: Overload,
    ) -> Result<Self, QueryError> {
        let source = app.ingest.sources.of(&app.core, overload)?;
        if source.is_some() && numbered.is_some() {
            let detail = format!(
                "a numbered request waits: send it without {}: {overload}",
                Overload::HEADER
            );
            return Err(QueryError::Limit { field: Overload::HEADER, detail });
        }
        let lanes = if source.is_some() { 1 } else { app.core.lane_count() };
        Ok(Self {
            app,
            numbered,
            source,
            space: app.core.space(),
            now: now(),
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            sent: Vec::new(),
            outcome: Outcome::default(),
        })
    }

    /// Takes row number `row`, from 1.
    pub(crate) fn push(
        &mut self,
        row: u64,
        object: &str,
        at: Coord,
        time: Option<Timestamp>,
    ) -> Result<(), QueryError> {
        match self.check(object, at, time) {
            Ok((at, time)) => self.put(object, at, time),
            Err(reason) => {
                self.reject(row, &reason);
                Ok(())
            }
        }
    }

    /// Counts a row that is no good.
    pub(crate) fn reject(&mut self, row: u64, reason: &Reason) {
        self.outcome.rejected.add(row, reason);
    }

    fn check(
        &self,
        object: &str,
        at: Coord,
        time: Option<Timestamp>,
    ) -> Result<(Coord, Timestamp), Reason> {
        check_name(object, self.app.limits.name_bytes_max)?;
        let at = self.space.check(at).map_err(Reason::Position)?;
        let time = check_time(time.unwrap_or(self.now), self.now, self.app.limits.skew_ms)?;
        if self.now.as_millis() - time.as_millis() > self.app.ttl_ms {
            return Err(Reason::Past { ttl_ms: self.app.ttl_ms });
        }
        Ok((at, time))
    }

    fn put(&mut self, object: &str, at: Coord, time: Timestamp) -> Result<(), QueryError> {
        let number = Key::of_bytes(object.as_bytes()).lane(self.lanes.len());
        let lane = &mut self.lanes[number];
        lane.batch.push(object, time, at);
        lane.rows += 1;
        lane.name_bytes += object.len();
        self.outcome.accepted += 1;
        if lane.rows >= rows_max(self.numbered) || lane.name_bytes >= NAME_BYTES_MAX {
            self.send(number)?;
        }
        Ok(())
    }

    fn send(&mut self, number: usize) -> Result<(), QueryError> {
        let lane = &mut self.lanes[number];
        if lane.rows == 0 {
            return Ok(());
        }
        let batch = std::mem::take(&mut lane.batch);
        let rows = std::mem::take(&mut lane.rows) as u64;
        lane.name_bytes = 0;
        if let Some(source) = &self.source {
            let other = match source.send(batch)? {
                Sent::Appended(sent) => {
                    self.sent.extend(sent);
                    return Ok(());
                }
                Sent::Held => &mut self.outcome.held,
                Sent::Shed => &mut self.outcome.shed,
            };
            *other += rows;
            self.outcome.accepted -= rows;
            return Ok(());
        }
        let sent = match self.numbered {
            None => self.app.ingest.send(number, &batch)?,
            Some(numbered) => {
                let (producer, sequence) = numbered.of_chunk(lane.chunks)?;
                self.app.core.producer(producer, sequence).send(number, &batch)?
            }
        };
        lane.chunks += 1;
        self.sent.push(sent);
        Ok(())
    }

    /// Sends what is left; the acknowledgements to come, and what became of the rows.
    pub(crate) fn finish(mut self) -> Result<(Vec<Pending>, Outcome), QueryError> {
        (0..self.lanes.len()).try_for_each(|lane| self.send(lane))?;
        self.outcome.rejected.publish();
        Ok((self.sent, self.outcome))
    }

    /// Sends what is left and waits until the log has all.
    pub(crate) fn finish_and_wait(self) -> Result<Outcome, QueryError> {
        let (sent, outcome) = self.finish()?;
        for pending in sent {
            pending.wait()?;
        }
        Ok(outcome)
    }
}

fn rows_max(numbered: Option<Numbered>) -> usize {
    if numbered.is_some() { NUMBERED_ROWS_MAX } else { ROWS_MAX }
}

fn check_name(name: &str, bytes_max: usize) -> Result<(), Reason> {
    match name.len() {
        0 => Err(Reason::NoName),
        len if len > bytes_max => Err(Reason::LongName),
        _ => Ok(()),
    }
}

fn check_time(time: Timestamp, now: Timestamp, skew_ms: i64) -> Result<Timestamp, Reason> {
    if time.as_millis() - now.as_millis() > skew_ms {
        return Err(Reason::Future { skew_ms });
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_never_has_the_number_of_another_requests() {
        let request = |sequence| Numbered { producer: 7, sequence };
        let last = request(1).of_chunk(255).unwrap();
        assert!(last < request(2).of_chunk(0).unwrap());
        assert!(matches!(request(1).of_chunk(256), Err(QueryError::Limit { .. })));
    }
}
