//! A sender of batches: it numbers them, so that one that is sent again takes effect once.

use std::sync::Arc;

use serde::Serialize;

use crate::Timestamp;
use crate::lane::Envelope;
use crate::log::{Append, LaneId, Log, LogError};
use crate::process::Lanes;
use crate::wire;

/// Sends batches to the lanes of an application, straight into the log.
///
/// A producer keeps its number over restarts, and its sequence grows with every batch to any lane.
/// What has not been acknowledged, it sends again under the same sequence.
#[derive(Clone)]
pub struct Source {
    log: Arc<dyn Log>,
    lanes: Lanes,
    producer: u64,
    sequence: u64,
}

impl Source {
    /// The producer of this number; its next batch gets the number `sequence`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, lanes: Lanes, producer: u64, sequence: u64) -> Self {
        Self { log, lanes, producer, sequence }
    }

    /// The number that the next batch gets.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Sends a batch to a lane of the input, stamped `stamp`.
    ///
    /// # Errors
    /// What the log says; the batch may be sent again then.
    ///
    /// # Panics
    /// If there is no such lane.
    pub fn send<B: Serialize>(
        &mut self,
        lane: usize,
        stamp: Timestamp,
        batch: &B,
    ) -> Result<(), LogError> {
        self.send_to(self.lanes.input[lane], stamp, batch)
    }

    /// Sends a command to all shards.
    ///
    /// # Errors
    /// As [`Source::send`].
    pub fn command<B: Serialize>(&mut self, stamp: Timestamp, batch: &B) -> Result<(), LogError> {
        self.send_to(self.lanes.control, stamp, batch)
    }

    fn send_to<B: Serialize>(
        &mut self,
        lane: LaneId,
        stamp: Timestamp,
        batch: &B,
    ) -> Result<(), LogError> {
        let (producer, sequence) = (self.producer, self.sequence);
        let payload = wire::encode(&Envelope { producer, sequence, batch });
        self.log.append(&[Append { lane, expected: None, stamp, payload: &payload }])?;
        self.sequence += 1;
        Ok(())
    }

    /// Says in all lanes that the time `stamp` has come, which closes the epochs before it.
    ///
    /// # Errors
    /// What the log says.
    pub fn tick(&self, stamp: Timestamp) -> Result<(), LogError> {
        let tick = |lane| Append { lane, expected: None, stamp, payload: &[] };
        let ticks: Vec<Append<'_>> = self.lanes.read().into_iter().map(tick).collect();
        self.log.append(&ticks).map(drop)
    }
}
