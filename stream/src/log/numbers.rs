//! What every log checks before it appends: sizes, lanes and expected numbers.

use std::collections::BTreeMap;

use super::{Append, LaneId, LogError, PAYLOAD_BYTES_MAX};

/// The numbers that `batches` will get, if all of them may be appended; `next` is the number that a
/// lane goes on with.
pub(super) fn numbers(
    batches: &[Append<'_>],
    next: impl Fn(LaneId) -> Result<u64, LogError>,
) -> Result<Vec<u64>, LogError> {
    let mut ahead: BTreeMap<LaneId, u64> = BTreeMap::new();
    let number = |batch: &Append<'_>| {
        let bytes = batch.payload.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(LogError::TooLarge { bytes });
        }
        let before = ahead.entry(batch.lane).or_insert(0);
        let next = next(batch.lane)? + *before;
        *before += 1;
        match batch.expected {
            Some(expected) if expected != next => {
                Err(LogError::Conflict { lane: batch.lane.0, expected, next })
            }
            _ => Ok(next),
        }
    };
    batches.iter().map(number).collect()
}
