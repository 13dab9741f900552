//! What a start with [`Guarantee::Gap`](super::Guarantee::Gap) goes on from: all commands, no records.
//!
//! Such a start would have to read every command there ever was, and with them the ticks of years. So
//! a second engine follows the control lane alone. Its state is the one that reading that lane from
//! its beginning leads to; checkpoints hold it, and the lane is cut below them.

use crate::engine::{Engine, FrozenEngine, Topology};
use crate::log::Entry;
use crate::{Epoch, Timestamp};

/// Where checkpoints of commands lie, so that nobody takes them for such of records.
pub(super) const STORED_UNDER: &str = "commands";

/// An engine that hears commands only.
pub(super) struct Commands<T: Topology>(Engine<T>);

impl<T: Topology> Commands<T> {
    /// Goes on from where `engine` stands, before that has heard any record.
    pub(super) fn of(engine: &Engine<T>) -> Self {
        Self(engine.twin())
    }

    /// Follows the commands of an epoch. What they emit is for the engine itself to say.
    pub(super) fn follow(&mut self, epoch: Epoch, end: Timestamp, batches: &[Vec<Entry>]) {
        let Some((control, input)) = batches.split_last() else { return };
        if control.iter().all(|tick| tick.payload.is_empty()) {
            return;
        }
        let mut batches = vec![Vec::new(); input.len()];
        batches.push(control.clone());
        self.0.step(epoch, end, &batches);
    }

    pub(super) fn freeze(&self) -> FrozenEngine {
        self.0.freeze()
    }
}
