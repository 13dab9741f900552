//! A log in memory: for tests, and for a process that keeps nothing.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::numbers::numbers;
use super::{Append, Entry, LaneId, Log, LogError};

/// Lanes in memory; they end with the value.
#[derive(Debug, Default)]
pub struct MemoryLog {
    lanes: Mutex<Lanes>,
}

#[derive(Debug, Default)]
struct Lanes {
    by_name: BTreeMap<String, LaneId>,
    lanes: Vec<Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    first: u64,
    entries: VecDeque<Entry>,
}

impl Lane {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

impl Lanes {
    fn lane(&self, LaneId(lane): LaneId) -> Result<&Lane, LogError> {
        self.lanes.get(lane as usize).ok_or(LogError::UnknownLane(lane))
    }

    fn lane_mut(&mut self, LaneId(lane): LaneId) -> Result<&mut Lane, LogError> {
        self.lanes.get_mut(lane as usize).ok_or(LogError::UnknownLane(lane))
    }
}

impl MemoryLog {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        // Nothing in here panics half-way through a change.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for MemoryLog {
    fn lane(&self, name: &str) -> Result<LaneId, LogError> {
        let Lanes { by_name, lanes } = &mut *self.lanes();
        if let Some(&lane) = by_name.get(name) {
            return Ok(lane);
        }
        let lane = LaneId(u32::try_from(lanes.len()).expect("fewer than 2^32 lanes"));
        lanes.push(Lane::default());
        by_name.insert(name.to_owned(), lane);
        Ok(lane)
    }

    fn append(&self, batches: &[Append<'_>]) -> Result<Vec<u64>, LogError> {
        let mut lanes = self.lanes();
        let numbers = numbers(batches, |lane| Ok(lanes.lane(lane)?.next()))?;
        for (batch, &sequence) in batches.iter().zip(&numbers) {
            let payload = Bytes::copy_from_slice(batch.payload);
            let entry = Entry { sequence, stamp: batch.stamp, payload };
            lanes.lane_mut(batch.lane)?.entries.push_back(entry);
        }
        Ok(numbers)
    }

    fn read(&self, lane: LaneId, from: u64, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        let lanes = self.lanes();
        let &Lane { first, ref entries } = lanes.lane(lane)?;
        let Some(skip) = from.checked_sub(first) else {
            return Err(LogError::Truncated { lane: lane.0, from, first });
        };
        let (mut bytes, mut read) = (0, Vec::new());
        for entry in entries.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)) {
            bytes += entry.payload.len();
            if bytes > bytes_max && !read.is_empty() {
                break;
            }
            read.push(entry.clone());
        }
        Ok(read)
    }

    fn range(&self, lane: LaneId) -> Result<Range<u64>, LogError> {
        let lanes = self.lanes();
        let lane = lanes.lane(lane)?;
        Ok(lane.first..lane.next())
    }

    fn truncate(&self, lane: LaneId, below: u64) -> Result<(), LogError> {
        let mut lanes = self.lanes();
        let lane = lanes.lane_mut(lane)?;
        while lane.first < below && lane.entries.pop_front().is_some() {
            lane.first += 1;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        Ok(())
    }
}
