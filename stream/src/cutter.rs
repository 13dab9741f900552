//! Cuts the lanes of a log into epochs, lane by lane in step.
//!
//! Every lane has its own clock: the epoch of a batch is that of its stamp, or of the batch before
//! if that is later. An epoch is complete when every lane has gone beyond it; a quiet lane does so
//! by ticks. Complete epochs are a function of what lies in the lanes alone.

use std::collections::VecDeque;

use crate::checkpoint::LanePosition;
use crate::log::{Entry, LaneId, Log, LogError};
use crate::{Epoch, EpochClock};

/// Bytes that are read from a lane at a time.
const READ_BYTES: usize = 4 << 20;

/// The lanes of an input, read epoch by epoch.
#[derive(Debug)]
pub struct Cutter {
    lanes: Vec<LaneReader>,
}

#[derive(Debug)]
struct LaneReader {
    lane: LaneId,
    clock: EpochClock,
    /// The batches that were read ahead, with their epochs.
    ahead: VecDeque<(Epoch, Entry)>,
    next: u64,
    /// What was handed out.
    position: LanePosition,
}

/// An epoch and its batches, lane by lane.
pub type EpochBatches = (Epoch, Vec<Vec<Entry>>);

impl Cutter {
    /// Reads `lanes` from `positions` on, in epochs of `length_ms`.
    ///
    /// # Panics
    /// If there are not as many positions as lanes, or the length is not one of an epoch.
    #[must_use]
    pub fn new(length_ms: i64, lanes: &[LaneId], positions: &[LanePosition]) -> Self {
        assert_eq!(lanes.len(), positions.len(), "a position for each lane");
        let reader = |(&lane, &position): (&LaneId, &LanePosition)| LaneReader {
            lane,
            clock: EpochClock::resume(length_ms, position.last),
            ahead: VecDeque::new(),
            next: position.next,
            position,
        };
        Self { lanes: lanes.iter().zip(positions).map(reader).collect() }
    }

    /// The next complete epoch and its batches by lane, or `None` if the log has none yet.
    ///
    /// # Errors
    /// What the log says.
    pub fn next(&mut self, log: &dyn Log) -> Result<Option<EpochBatches>, LogError> {
        let mut least = None;
        for lane in &mut self.lanes {
            let Some(head) = lane.head(log)? else { return Ok(None) };
            least = Some(least.map_or(head, |least: Epoch| least.min(head)));
        }
        let Some(epoch) = least else { return Ok(None) };
        for lane in &mut self.lanes {
            if !lane.reaches_beyond(epoch, log)? {
                return Ok(None);
            }
        }
        Ok(Some((epoch, self.lanes.iter_mut().map(|lane| lane.take(epoch)).collect())))
    }

    /// Up to where epochs were handed out, by lane.
    #[must_use]
    pub fn positions(&self) -> Vec<LanePosition> {
        self.lanes.iter().map(|lane| lane.position).collect()
    }

    /// How many batches were read and not handed out yet.
    #[must_use]
    pub fn batches_ahead(&self) -> usize {
        self.lanes.iter().map(|lane| lane.ahead.len()).sum()
    }
}

impl LaneReader {
    /// The epoch of the next batch, if there is one.
    fn head(&mut self, log: &dyn Log) -> Result<Option<Epoch>, LogError> {
        if self.ahead.is_empty() {
            self.read(log)?;
        }
        Ok(self.ahead.front().map(|&(epoch, _)| epoch))
    }

    fn reaches_beyond(&mut self, epoch: Epoch, log: &dyn Log) -> Result<bool, LogError> {
        while self.ahead.back().is_none_or(|&(last, _)| last <= epoch) {
            if !self.read(log)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads on; whether there was anything.
    fn read(&mut self, log: &dyn Log) -> Result<bool, LogError> {
        let entries = log.read(self.lane, self.next, READ_BYTES)?;
        let any = !entries.is_empty();
        for entry in entries {
            self.next = entry.sequence + 1;
            self.ahead.push_back((self.clock.assign(entry.stamp), entry));
        }
        Ok(any)
    }

    /// The batches of an epoch, which are the first ones.
    fn take(&mut self, epoch: Epoch) -> Vec<Entry> {
        let count = self.ahead.partition_point(|&(at, _)| at <= epoch);
        let taken: Vec<Entry> = self.ahead.drain(..count).map(|(_, entry)| entry).collect();
        if let Some(last) = taken.last() {
            self.position = LanePosition { next: last.sequence + 1, last: Some(epoch) };
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::log::{Append, MemoryLog};
    use proptest::prelude::*;

    fn append(log: &MemoryLog, lane: LaneId, stamp: i64) {
        let stamp = Timestamp::from_millis_unchecked(stamp);
        log.append(&[Append { lane, expected: None, stamp, payload: b"" }]).unwrap();
    }

    const START: LanePosition = LanePosition { next: 0, last: None };

    #[test]
    fn an_epoch_waits_for_the_slowest_lane() {
        let log = MemoryLog::default();
        let lanes = [log.lane("a").unwrap(), log.lane("b").unwrap()];
        let mut cutter = Cutter::new(10, &lanes, &[START; 2]);
        append(&log, lanes[0], 5);
        append(&log, lanes[0], 15);
        assert_eq!(cutter.next(&log).unwrap(), None);
        append(&log, lanes[1], 9);
        assert_eq!(cutter.next(&log).unwrap(), None, "more of epoch 0 may come in lane b");
        append(&log, lanes[1], 10);
        let (epoch, batches) = cutter.next(&log).unwrap().unwrap();
        assert_eq!((epoch, batches[0].len(), batches[1].len()), (Epoch(0), 1, 1));
        assert_eq!(cutter.next(&log).unwrap(), None);
        assert_eq!(cutter.batches_ahead(), 2);
    }

    /// Every epoch with the numbers of its batches by lane.
    fn all(log: &MemoryLog, cutter: &mut Cutter) -> Vec<(Epoch, Vec<Vec<u64>>)> {
        std::iter::from_fn(|| cutter.next(log).unwrap())
            .map(|(epoch, batches)| {
                let numbers = |lane: Vec<Entry>| lane.iter().map(|it| it.sequence).collect();
                (epoch, batches.into_iter().map(numbers).collect())
            })
            .collect()
    }

    proptest! {
        #[test]
        fn epochs_do_not_depend_on_when_they_are_asked_for_nor_on_restarts(
            stamps in proptest::collection::vec((0usize..3, 0i64..200), 0..60),
            asks in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let log = MemoryLog::default();
            let lanes = ["a", "b", "c"].map(|name| log.lane(name).unwrap());
            let mut live = Cutter::new(10, &lanes, &[START; 3]);
            let mut found = Vec::new();
            for (&(lane, stamp), &ask) in stamps.iter().zip(&asks) {
                append(&log, lanes[lane], stamp);
                if ask {
                    found.extend(all(&log, &mut live));
                    live = Cutter::new(10, &lanes, &live.positions());
                }
            }
            found.extend(all(&log, &mut live));
            let mut late = Cutter::new(10, &lanes, &[START; 3]);
            prop_assert_eq!(&found, &all(&log, &mut late));
            prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
