//! Letting batches go, and getting the disk back.
//!
//! `records` is freed from its low end, whole tables at a time. A lane that lets nothing go would
//! pin all that the others wrote since: so where little of a step is still needed, that little is
//! copied to `kept`, under the same positions, and the step is freed. No more than an eighth of a
//! step is copied, so at most eight times what is needed stays on the disk.
//!
//! Order is everything: copy and mark in one write batch, sync, and only then free.

use super::store::{Mark, Place, Store};
use super::{LocalLog, NOWHERE, lock};
use crate::log::{LaneId, LogError};

/// How many batches are let go in one write batch.
const CHUNK: u64 = 4096;
/// A step with more batches still needed is not freed, however small they are.
const COPIES_MAX: usize = 4 * CHUNK as usize;
/// Copies are no more than this share of a step.
const COPIED_SHARE: u64 = 8;

impl LocalLog {
    /// Lets the batches of a lane below a number go; their records stay for the time being.
    pub(super) fn let_go(&self, lane: LaneId, below: u64) -> Result<(), LogError> {
        let (mut first, below, kept_below) = {
            let mut lanes = lock(&self.lanes);
            let lane_now = *lanes.lane(lane)?;
            let below = below.min(lane_now.next);
            if below <= lane_now.first {
                return Ok(());
            }
            let front = lane_now.front.max(below);
            let front_position = self.front_position(lane, front)?;
            let state = lanes.lane_mut(lane)?;
            (state.first, state.front, state.front_position) = (below, front, front_position);
            (lane_now.first, below, lane_now.front)
        };
        while first < below {
            let end = below.min(first + CHUNK);
            let mut batch = self.store.batch();
            self.store.put_mark(&mut batch, Mark::First(lane), end);
            for sequence in first..end {
                if sequence < kept_below
                    && let Some(place) = self.store.place(lane, sequence)?
                {
                    batch.remove(&self.store.kept, place.position.to_be_bytes());
                }
                batch.remove(&self.store.index, super::store::index_key(lane, sequence));
            }
            Store::commit(batch)?;
            first = end;
        }
        Ok(())
    }

    fn front_position(&self, lane: LaneId, front: u64) -> Result<u64, LogError> {
        Ok(self.store.place(lane, front)?.map_or(NOWHERE, |place| place.position))
    }

    /// Frees what is not needed, in steps.
    pub(super) fn reclaim(&self, retention: &mut Retention) -> Result<(), LogError> {
        let before = retention.low;
        loop {
            let low = retention.low;
            let (needed, end) = self.lowest_needed();
            if needed - low >= self.reclaim_bytes {
                self.raise(retention, needed, &[])?;
            } else if end - low < COPIED_SHARE * self.reclaim_bytes {
                break;
            } else {
                let Some((step, copies)) = self.step(low)? else {
                    retention.sparse_since = None;
                    break;
                };
                // Whoever lets go in the same round should not have been copied before.
                let since = *retention.sparse_since.get_or_insert(end);
                if end - since < COPIED_SHARE * self.reclaim_bytes {
                    break;
                }
                self.raise(retention, step, &copies)?;
            }
        }
        if retention.low > before {
            self.store.sync()?;
            self.store.keep_marks()?;
            self.store.drop_below(retention.low)?;
        }
        Ok(())
    }

    /// The position of the first record that a lane needs in `records`, and the end.
    fn lowest_needed(&self) -> (u64, u64) {
        let lanes = lock(&self.lanes);
        let needed = lanes.lanes.values().map(|lane| lane.front_position).min();
        (needed.unwrap_or(NOWHERE).min(lanes.end), lanes.end)
    }

    /// The end of the step above `low`, and what is needed of it, if that is little.
    fn step(&self, low: u64) -> Result<Option<(u64, Vec<Copy>)>, LogError> {
        let Some(step) = self.store.records_from(low + self.reclaim_bytes).next().transpose()?
        else {
            return Ok(None);
        };
        let (step, _) = step;
        let (mut bytes, mut copies) = (0, Vec::new());
        let fronts: Vec<_> = {
            let lanes = lock(&self.lanes);
            let below = lanes.lanes.iter().filter(|(_, lane)| lane.front_position < step);
            below.map(|(&lane, state)| (lane, state.front..state.next)).collect()
        };
        for (lane, numbers) in fronts {
            for place in self.store.places(lane, numbers) {
                let (sequence, place) = place?;
                if place.position >= step {
                    break;
                }
                bytes += u64::from(place.len);
                copies.push(Copy { lane, sequence, place });
                if bytes > (step - low) / COPIED_SHARE || copies.len() > COPIES_MAX {
                    return Ok(None);
                }
            }
        }
        Ok(Some((step, copies)))
    }

    /// Copies what is needed below a position and raises the low end to it.
    fn raise(&self, retention: &mut Retention, to: u64, copies: &[Copy]) -> Result<(), LogError> {
        let mut batch = self.store.batch();
        for copy in copies {
            let bytes = self.store.record(copy.place.position)?;
            let Some(bytes) = bytes else { continue }; // lost: whoever reads it will hear of it
            batch.insert(&self.store.kept, copy.place.position.to_be_bytes(), bytes);
        }
        self.store.put_mark(&mut batch, Mark::Low, to);
        Store::commit(batch)?;
        retention.low = to;
        let mut lanes = lock(&self.lanes);
        for copy in copies {
            lanes.lane_mut(copy.lane)?.front = copy.sequence + 1;
        }
        let mut moved: Vec<LaneId> = copies.iter().map(|copy| copy.lane).collect();
        moved.dedup();
        for lane in moved {
            let front = lanes.lane(lane)?.front;
            lanes.lane_mut(lane)?.front_position = self.front_position(lane, front)?;
        }
        Ok(())
    }
}

/// How far the disk was freed.
#[derive(Debug)]
pub(super) struct Retention {
    /// Below this position `records` is not needed.
    pub(super) low: u64,
    /// Where the log ended when little of the lowest step was needed for the first time.
    pub(super) sparse_since: Option<u64>,
}

/// A batch that outlives its step.
#[derive(Debug)]
struct Copy {
    lane: LaneId,
    sequence: u64,
    place: Place,
}
