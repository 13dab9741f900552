//! Drives an operator over an ordered stream, inside one process and on the caller's thread.
//!
//! ```text
//! stamps ──EpochClock──> runs of one epoch ──batch──> Operator ──outputs──> sink
//! ```

use std::ops::Range;

use crate::{Epoch, EpochClock, Operator, Timestamp};

/// Runs `operator` over records stamped `stamps`, epoch by epoch; epochs without a record are
/// skipped.
///
/// `batch` lends the records of a range of positions in `stamps`. After every epoch `sink` gets
/// what the operator emitted in it; an error of the sink ends the run.
///
/// # Errors
/// The first error of `sink`.
pub fn run<O: Operator, B, E>(
    operator: &mut O,
    mut clock: EpochClock,
    stamps: &[Timestamp],
    batch: impl Fn(Range<usize>) -> B,
    mut sink: impl FnMut(&mut O, Epoch, Timestamp, &mut Vec<O::Output>) -> Result<(), E>,
) -> Result<(), E>
where
    B: std::borrow::Borrow<O::Batch>,
{
    let mut out = Vec::new();
    let mut start = 0;
    while start < stamps.len() {
        let epoch = clock.assign(stamps[start]);
        let len = stamps[start..].iter().take_while(|&&at| clock.assign(at) == epoch).count();
        let end = clock.end(epoch);
        operator.apply(epoch, batch(start..start + len).borrow(), &mut out);
        operator.end_epoch(epoch, end, &mut out);
        sink(operator, epoch, end, &mut out)?;
        out.clear();
        start += len;
    }
    Ok(())
}
