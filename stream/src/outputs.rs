//! The output of an application: a lane of the log with one sealed record for each epoch that said
//! anything.
//!
//! ```text
//! batch = epoch i64 · kind u8 · bytes          kind: 0 more of this epoch follows, 1 the seal
//! ```
//!
//! An epoch's outputs are one value, cut into batches where it is longer than one may be; they are
//! appended together, on condition that nobody else has appended, so that a second process is
//! refused and a restarted one knows from the last batch which epochs are out.

use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::log::{Append, LaneId, Log, LogError, PAYLOAD_BYTES_MAX};
use crate::wire::{self, DecodeError};
use crate::{Epoch, Timestamp};

const HEADER_BYTES: usize = 9;
const MORE: u8 = 0;
const SEAL: u8 = 1;
/// Memory that is kept for the next epoch: so much, or so many times what the last one took.
const BUFFER_BYTES_MIN: usize = 64 << 10;
const BUFFER_GROWTH: usize = 4;

/// The end of an output lane.
#[derive(Debug)]
pub struct OutputLane {
    lane: LaneId,
    next: u64,
    last: Option<Epoch>,
    /// The outputs of the last epoch, and the batches of them: memory that is used again.
    bytes: Vec<u8>,
    packed: Vec<u8>,
}

/// Why outputs could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A batch of the lane is not one of outputs.
    #[error("batch {sequence} of the output lane: {source}")]
    Batch {
        /// The batch's number.
        sequence: u64,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// The outputs of one epoch, as they stand in the lane.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochOutputs<O> {
    /// The epoch.
    pub epoch: Epoch,
    /// The first instant after it.
    pub end: Timestamp,
    /// The number of the batch behind its last one: where to read on.
    pub next: u64,
    /// What was emitted.
    pub outputs: Vec<O>,
}

impl OutputLane {
    /// Goes on at the end of a lane.
    ///
    /// # Errors
    /// A lane that cannot be read, or whose last batch is not one of outputs.
    pub fn open(log: &dyn Log, lane: LaneId) -> Result<Self, OutputError> {
        let Range { start, end } = log.range(lane)?;
        let last = match end.checked_sub(1).filter(|&last| last >= start) {
            Some(last) => log.read(lane, last, 0)?.pop(),
            None => None,
        };
        let last = last.map(|entry| header(entry.sequence, &entry.payload)).transpose()?;
        let last = last.map(|(epoch, _)| epoch);
        Ok(Self { lane, next: end, last, bytes: Vec::new(), packed: Vec::new() })
    }

    /// The lane.
    #[must_use]
    pub fn lane(&self) -> LaneId {
        self.lane
    }

    /// The last epoch in the lane.
    #[must_use]
    pub fn last(&self) -> Option<Epoch> {
        self.last
    }

    /// Appends the outputs of an epoch, and `beside` them batches to other lanes: all or nothing.
    ///
    /// # Errors
    /// [`LogError::Conflict`] if another process has appended; what else the log says.
    pub fn append<O: Serialize>(
        &mut self,
        log: &dyn Log,
        (epoch, end): (Epoch, Timestamp),
        outputs: &[O],
        beside: &[Append<'_>],
    ) -> Result<(), LogError> {
        self.pack(epoch, outputs);
        let batch = |(number, payload)| {
            let expected = Some(self.next + number);
            Append { lane: self.lane, expected, stamp: end, payload }
        };
        let mut batches: Vec<Append<'_>> =
            (0..).zip(self.packed.chunks(PAYLOAD_BYTES_MAX)).map(batch).collect();
        let count = batches.len() as u64;
        batches.extend_from_slice(beside);
        log.append(&batches)?;
        self.next += count;
        self.last = Some(epoch);
        Ok(())
    }

    /// Writes outputs as batches of the greatest length, each with its header.
    fn pack<O: Serialize>(&mut self, epoch: Epoch, outputs: &[O]) {
        self.bytes.clear();
        wire::encode_into(outputs, &mut self.bytes);
        self.packed.clear();
        let mut seal = 0;
        for chunk in self.bytes.chunks(PAYLOAD_BYTES_MAX - HEADER_BYTES) {
            self.packed.extend_from_slice(&epoch.0.to_le_bytes());
            seal = self.packed.len();
            self.packed.push(MORE);
            self.packed.extend_from_slice(chunk);
        }
        self.packed[seal] = SEAL;
        for buffer in [&mut self.bytes, &mut self.packed] {
            let kept = BUFFER_BYTES_MIN.max(BUFFER_GROWTH * buffer.len());
            buffer.shrink_to(kept);
        }
    }
}

/// Reads the outputs of whole epochs from batch `from` of a lane on, at least one epoch if there is
/// any, about `bytes_max` bytes.
///
/// # Errors
/// What the log says; batches that are no outputs.
pub fn read<O: DeserializeOwned>(
    log: &dyn Log,
    lane: LaneId,
    from: u64,
    bytes_max: usize,
) -> Result<Vec<EpochOutputs<O>>, OutputError> {
    let (mut epochs, mut bytes) = (Vec::new(), Vec::new());
    let mut next = from;
    while epochs.is_empty() || !bytes.is_empty() {
        let entries = log.read(lane, next, bytes_max)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            next = entry.sequence + 1;
            let (epoch, kind) = header(entry.sequence, &entry.payload)?;
            bytes.extend_from_slice(&entry.payload[HEADER_BYTES..]);
            if kind == SEAL {
                let outputs = wire::decode(&bytes)
                    .map_err(|source| OutputError::Batch { sequence: entry.sequence, source })?;
                epochs.push(EpochOutputs { epoch, end: entry.stamp, next, outputs });
                bytes.clear();
            }
        }
    }
    Ok(epochs)
}

/// The number of the first batch from `from` on that begins an epoch's outputs, or of the next batch
/// of all; `from` is not below the lane's first.
///
/// # Errors
/// As [`read`].
pub fn next_epoch(log: &dyn Log, lane: LaneId, from: u64) -> Result<u64, OutputError> {
    let range = log.range(lane)?;
    let Some(mut before) = from.checked_sub(1).filter(|before| *before >= range.start) else {
        return Ok(from);
    };
    loop {
        let Some(entry) = log.read(lane, before, 0)?.pop() else { return Ok(before) };
        before += 1;
        if header(entry.sequence, &entry.payload)?.1 == SEAL {
            return Ok(before);
        }
    }
}

fn header(sequence: u64, payload: &[u8]) -> Result<(Epoch, u8), OutputError> {
    let flaw =
        |what: &str| OutputError::Batch { sequence, source: DecodeError::Value(what.to_owned()) };
    let header = payload.first_chunk::<HEADER_BYTES>().ok_or_else(|| flaw("too short"))?;
    let (epoch, kind) = header.split_at(HEADER_BYTES - 1);
    let epoch = epoch.try_into().map_err(|_| flaw("too short"))?;
    match kind[0] {
        kind @ (MORE | SEAL) => Ok((Epoch(i64::from_le_bytes(epoch)), kind)),
        _ => Err(flaw("neither a part nor the end of an epoch's outputs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::MemoryLog;

    fn at(epoch: i64) -> (Epoch, Timestamp) {
        (Epoch(epoch), Timestamp::from_millis_unchecked(epoch * 10 + 10))
    }

    #[test]
    fn an_epoch_with_many_outputs_leaves_no_large_buffers() {
        let log = MemoryLog::default();
        let lane = log.lane("out").unwrap();
        let mut out = OutputLane::open(&log, lane).unwrap();
        out.append(&log, at(0), &vec![u64::MAX; 1 << 20], &[]).unwrap();
        out.append(&log, at(1), &[7u64], &[]).unwrap();
        assert!(out.bytes.capacity() <= BUFFER_BYTES_MIN, "{}", out.bytes.capacity());
        assert!(out.packed.capacity() <= BUFFER_BYTES_MIN, "{}", out.packed.capacity());
    }

    #[test]
    fn what_is_longer_than_a_batch_comes_back_whole() {
        let log = MemoryLog::default();
        let lane = log.lane("out").unwrap();
        let mut out = OutputLane::open(&log, lane).unwrap();
        let sizes = [0, 3, PAYLOAD_BYTES_MAX, 3 * PAYLOAD_BYTES_MAX + 5, 1];
        for (epoch, &size) in (-1..).zip(&sizes) {
            let outputs: Vec<String> = vec!["x".repeat(size); size.min(2)];
            out.append(&log, at(epoch), &outputs, &[]).unwrap();
            let reopened = OutputLane::open(&log, lane).unwrap();
            assert_eq!((reopened.next, reopened.last), (out.next, Some(Epoch(epoch))));
        }
        // The long ones have three batches from number 2 on, and seven from number 5 on.
        let begins = (0..=13).map(|from| next_epoch(&log, lane, from).unwrap());
        let expected = [0, 1, 2, 5, 5, 5, 12, 12, 12, 12, 12, 12, 12, 13];
        assert_eq!(begins.collect::<Vec<_>>(), expected);
        let mut from = 0;
        for (epoch, &size) in (-1..).zip(&sizes) {
            let read = read::<String>(&log, lane, from, 1).unwrap();
            assert_eq!((read[0].epoch, read[0].end), at(epoch));
            assert_eq!(read[0].outputs, vec!["x".repeat(size); size.min(2)]);
            from = read[0].next;
        }
        assert_eq!(read::<String>(&log, lane, from, 1).unwrap(), []);
        assert_eq!(read::<String>(&log, lane, 0, usize::MAX).unwrap().len(), sizes.len());
    }

    #[test]
    fn a_second_writer_is_refused_and_nothing_of_its_appended() {
        let log = MemoryLog::default();
        let (lane, side) = (log.lane("out").unwrap(), log.lane("side").unwrap());
        let mut first = OutputLane::open(&log, lane).unwrap();
        let mut second = OutputLane::open(&log, lane).unwrap();
        first.append(&log, at(1), &[7u8], &[]).unwrap();
        let stamp = at(1).1;
        let beside = Append { lane: side, expected: None, stamp, payload: b"late" };
        let refused = second.append(&log, at(1), &[7u8], &[beside]);
        assert!(matches!(refused, Err(LogError::Conflict { .. })), "{refused:?}");
        assert_eq!((log.range(side).unwrap(), second.last()), (0..0, None));
    }
}
