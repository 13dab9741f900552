//! What a process goes on from when it starts.

use super::{Guarantee, Lanes, ProcessError, Recovery, Setup};
use crate::Epoch;
use crate::checkpoint::{Checkpoint, CheckpointError, Checkpoints, LanePosition, Unusable};
use crate::log::{LaneId, Log, LogError};
use crate::wire::DecodeError;

const START: LanePosition = LanePosition { next: 0, last: None };

/// The newest checkpoint that is whole and that the log reaches back, and up, to, as far as lanes are
/// gone on with from there.
pub(super) fn newest(
    checkpoints: &Checkpoints,
    log: &dyn Log,
    lanes: &Lanes,
    guarantee: Guarantee,
    recovery: &mut Recovery,
) -> Result<Option<Checkpoint>, ProcessError> {
    for epoch in checkpoints.epochs()? {
        let error = match checkpoints.read(epoch) {
            Ok(found) => match misfit(&found, log, lanes, guarantee)? {
                None => return Ok(Some(found)),
                Some(what) => {
                    let source = DecodeError::Value(what);
                    CheckpointError::Damaged { name: "manifest".to_owned(), source }
                }
            },
            Err(error) => error,
        };
        recovery.unusable.push(Unusable { epoch, error });
    }
    Ok(None)
}

/// Why a checkpoint cannot be gone on from with this log.
fn misfit(
    checkpoint: &Checkpoint,
    log: &dyn Log,
    lanes: &Lanes,
    guarantee: Guarantee,
) -> Result<Option<String>, LogError> {
    let read = lanes.read();
    if checkpoint.positions.len() != read.len() {
        let (there, here) = (checkpoint.positions.len(), read.len());
        return Ok(Some(format!("written of {there} lanes, and there are {here}")));
    }
    for (&lane, position) in read.iter().zip(&checkpoint.positions) {
        if starts_at_end(lane, lanes, guarantee) {
            continue;
        }
        let held = log.range(lane)?;
        if position.next < held.start || position.next > held.end {
            let next = position.next;
            return Ok(Some(format!("goes on with batch {next} of a lane that holds {held:?}")));
        }
    }
    Ok(None)
}

/// Whether a start passes over what a lane holds.
fn starts_at_end(lane: LaneId, lanes: &Lanes, guarantee: Guarantee) -> bool {
    guarantee == Guarantee::Gap && lane != lanes.control
}

/// Where the lanes are read from; `said` is the last epoch whose outputs are out, `found` what a
/// checkpoint says.
pub(super) fn begin(
    log: &dyn Log,
    lanes: &Lanes,
    setup: &Setup,
    said: Option<Epoch>,
    found: Option<&[LanePosition]>,
) -> Result<Vec<LanePosition>, ProcessError> {
    let position = |(number, lane): (usize, LaneId)| {
        let held = log.range(lane)?;
        if starts_at_end(lane, lanes, setup.guarantee) {
            return Ok(LanePosition { next: held.end, last: said });
        }
        if let Some(found) = found {
            return Ok(found[number]);
        }
        if held.start > 0 {
            let lane = format!("{}, lane {number}", setup.name);
            return Err(ProcessError::Lost { lane, first: held.start });
        }
        Ok(START)
    };
    lanes.read().into_iter().enumerate().map(position).collect()
}
