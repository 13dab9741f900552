//! Who sends batches into a running application.

use std::io;
use std::sync::{Arc, Condvar, Mutex};

use dunlin_stream::event_time::RowsOfTime;
use dunlin_stream::lane::Envelope;
use dunlin_stream::log::{Batch, GroupWriter, LaneId, LogError, PAYLOAD_BYTES_MAX, Pending};
use dunlin_stream::overload::Credit;
use dunlin_stream::process::Lanes;
use dunlin_stream::wire;
use serde::Serialize;

use super::{locked, now};

/// Why a batch was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The application has ended.
    #[error("the application has ended; send it again when it runs")]
    Ended,
    /// There is no such lane.
    #[error("lane {lane} of {lanes}")]
    Lane {
        /// The lane asked for.
        lane: usize,
        /// How many there are.
        lanes: usize,
    },
    /// The log failed or refused the batch.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The credit of all producers together.
pub(crate) struct SharedCredit {
    credit: Mutex<(Credit, bool)>,
    given: Condvar,
}

impl SharedCredit {
    pub(crate) fn new(limit: u64) -> Self {
        Self { credit: Mutex::new((Credit::new(limit), true)), given: Condvar::new() }
    }

    /// Waits until there is credit; `false` if there will be none.
    fn take(&self, records: u64) -> bool {
        let mut held = locked(&self.credit);
        while held.1 && !held.0.has_room_for(records) {
            held = self.given.wait(held).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        held.0.take(records);
        held.1
    }

    pub(crate) fn give_back(&self, records: u64) {
        locked(&self.credit).0.give_back(records);
        self.given.notify_all();
    }

    /// Ends all waiting.
    pub(crate) fn close(&self) {
        locked(&self.credit).1 = false;
        self.given.notify_all();
    }
}

/// Sends batches, numbered so that one that is sent again takes effect once.
#[derive(Clone)]
pub struct Producer {
    lanes: Lanes,
    writer: Arc<GroupWriter>,
    credit: Arc<SharedCredit>,
    number: u64,
    sequence: u64,
}

impl Producer {
    pub(crate) fn new(
        lanes: Lanes,
        writer: Arc<GroupWriter>,
        credit: Arc<SharedCredit>,
        number: u64,
        sequence: u64,
    ) -> Self {
        Self { lanes, writer, credit, number, sequence }
    }

    /// A producer of another number for the same application; its next batch gets number `sequence`.
    #[must_use]
    pub fn of_number(&self, number: u64, sequence: u64) -> Self {
        Self { number, sequence, ..self.clone() }
    }

    /// The number that the next batch gets.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Sends a batch to a lane of the input and returns the acknowledgement to come; waits while the
    /// engine is behind by the whole credit.
    ///
    /// # Errors
    /// [`SendError::Ended`], [`SendError::Lane`], and a batch above the log's limit.
    pub fn send<B: Serialize + RowsOfTime>(
        &mut self,
        lane: usize,
        batch: &B,
    ) -> Result<Pending, SendError> {
        let lanes = self.lanes.input.len();
        let to = *self.lanes.input.get(lane).ok_or(SendError::Lane { lane, lanes })?;
        self.send_to(to, batch)
    }

    /// Sends a command to all shards.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub fn command<B: Serialize + RowsOfTime>(&mut self, batch: &B) -> Result<Pending, SendError> {
        self.send_to(self.lanes.control, batch)
    }

    fn send_to<B: Serialize + RowsOfTime>(
        &mut self,
        lane: LaneId,
        batch: &B,
    ) -> Result<Pending, SendError> {
        let (producer, sequence) = (self.number, self.sequence);
        let payload = wire::encode(&Envelope { producer, sequence, batch });
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(LogError::TooLarge { bytes: payload.len() }.into());
        }
        if !self.credit.take(batch.rows() as u64) {
            return Err(SendError::Ended);
        }
        self.sequence += 1;
        let batch = Batch { lane, expected: None, stamp: now(), payload };
        Ok(self.writer.submit(vec![batch]))
    }
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        Self::other(error)
    }
}
