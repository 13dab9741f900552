//! What an operator is: one required method, the rest defaulted.

use crate::{Epoch, Timestamp};

/// A deterministic state machine over the epochs of a stream.
///
/// The runner calls [`apply`](Operator::apply) for every batch of an epoch, in the stream's order,
/// and [`end_epoch`](Operator::end_epoch) once after the last. What an operator emits may depend on
/// nothing but the batches so far: no clock, no randomness, no hash-map order.
pub trait Operator {
    /// What comes in: the records of a batch, usually in columns.
    type Batch<'a>;
    /// What goes out.
    type Output;

    /// Takes in one batch of `epoch`.
    fn apply(&mut self, epoch: Epoch, batch: Self::Batch<'_>, out: &mut Vec<Self::Output>);

    /// Closes `epoch`: no further batch of it or of an earlier one will come. `end` is the first
    /// instant after it.
    fn end_epoch(&mut self, epoch: Epoch, end: Timestamp, out: &mut Vec<Self::Output>) {
        let _ = (epoch, end, out);
    }

    /// Promises that no record with an event time before `at` will come any more.
    fn watermark(&mut self, at: Timestamp, out: &mut Vec<Self::Output>) {
        let _ = (at, out);
    }
}
