//! Who sends batches into a running application.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use dunlin_stream::event_time::RowsOfTime;
use dunlin_stream::lane::Envelope;
use dunlin_stream::log::{Batch, GroupWriter, LaneId, LogError, PAYLOAD_BYTES_MAX, Pending};
use dunlin_stream::overload::{Credit, RowsOfObjects};
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
    account: Mutex<Account>,
    changed: Condvar,
}

struct Account {
    credit: Credit,
    /// How often credit was given back.
    given: u64,
    is_open: bool,
}

impl SharedCredit {
    pub(crate) fn new(limit: u64) -> Self {
        let account = Account { credit: Credit::new(limit), given: 0, is_open: true };
        Self { account: Mutex::new(account), changed: Condvar::new() }
    }

    /// Waits until there is credit; `false` if there will be none.
    fn take(&self, records: u64) -> bool {
        let mut account =
            self.wait_while(locked(&self.account), |it| !it.credit.has_room_for(records));
        account.credit.take(records);
        account.is_open
    }

    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Credit) -> R) -> R {
        f(&mut locked(&self.account).credit)
    }

    /// How often credit was given back, while any will be.
    pub(super) fn given(&self) -> Result<u64, SendError> {
        let account = locked(&self.account);
        if account.is_open { Ok(account.given) } else { Err(SendError::Ended) }
    }

    /// Waits until credit was given back more often, or none will be.
    pub(super) fn wait_for_more(&self, given: u64) {
        drop(self.wait_while(locked(&self.account), |it| it.given == given));
    }

    fn wait_while<'a>(
        &self,
        account: MutexGuard<'a, Account>,
        shall_wait: impl Fn(&Account) -> bool,
    ) -> MutexGuard<'a, Account> {
        let waits = |account: &mut Account| account.is_open && shall_wait(account);
        self.changed.wait_while(account, waits).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn give_back(&self, records: u64) {
        let mut account = locked(&self.account);
        account.credit.give_back(records);
        account.given += 1;
        self.changed.notify_all();
    }

    /// Ends all waiting.
    pub(crate) fn close(&self) {
        locked(&self.account).is_open = false;
        self.changed.notify_all();
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
        let payload = self.payload(batch)?;
        if !self.credit.take(batch.rows() as u64) {
            return Err(SendError::Ended);
        }
        Ok(self.append(lane, payload))
    }

    /// The bytes of a batch under the next number.
    fn payload<B: Serialize>(&self, batch: &B) -> Result<Vec<u8>, LogError> {
        let (producer, sequence) = (self.number, self.sequence);
        let payload = wire::encode(&Envelope { producer, sequence, batch });
        match payload.len() {
            ..=PAYLOAD_BYTES_MAX => Ok(payload),
            bytes => Err(LogError::TooLarge { bytes }),
        }
    }

    fn append(&mut self, lane: LaneId, payload: Vec<u8>) -> Pending {
        self.sequence += 1;
        self.writer.submit(vec![Batch { lane, expected: None, stamp: now(), payload }])
    }

    pub(super) fn credit(&self) -> Arc<SharedCredit> {
        self.credit.clone()
    }

    /// Appends rows for which there is credit, each to the lane of its object.
    pub(super) fn append_rows<B>(&mut self, rows: &B) -> Result<Vec<Pending>, LogError>
    where
        B: RowsOfObjects + Serialize + Default,
    {
        let mut by_lane: BTreeMap<LaneId, B> = BTreeMap::new();
        for row in 0..rows.rows() {
            let lane = self.lanes.of_object(rows.object(row).as_bytes());
            by_lane.entry(lane).or_default().push_row(rows, row);
        }
        let mut pending = Vec::with_capacity(by_lane.len());
        for (lane, rows) in by_lane {
            self.append_parts(lane, rows, &mut pending)?;
        }
        Ok(pending)
    }

    /// Appends rows as they fit into batches: halves where they do not.
    fn append_parts<B: RowsOfTime + Serialize>(
        &mut self,
        lane: LaneId,
        mut rows: B,
        pending: &mut Vec<Pending>,
    ) -> Result<(), LogError> {
        match self.payload(&rows) {
            Ok(payload) => pending.push(self.append(lane, payload)),
            Err(_) if rows.rows() > 1 => {
                let (all, half) = (rows.rows(), rows.rows() / 2);
                let first = rows.take_rows(&(0..all).map(|row| row < half).collect::<Vec<_>>());
                self.append_parts(lane, first, pending)?;
                self.append_parts(lane, rows, pending)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        Self::other(error)
    }
}
