//! What an operator is: one required method, the rest defaulted.

use crate::wire::{DecodeError, Frozen};
use crate::{Epoch, Key, ShardTable, Timestamp};

/// A deterministic state machine over the epochs of a stream: the state of one shard.
///
/// The runner calls [`apply`](Operator::apply) for every batch of an epoch, in the stream's order;
/// then, if the operator has any [`ROUNDS`](Operator::ROUNDS), [`exchange`](Operator::exchange) on
/// all shards in step; then [`watermark`](Operator::watermark) if it moved, and
/// [`end_epoch`](Operator::end_epoch). What an operator emits may depend on nothing but the batches
/// and messages so far: no clock, no randomness, no hash-map order. Shards share no memory.
pub trait Operator {
    /// What comes in: the records of a batch, usually in columns.
    type Batch<'a>;
    /// What shards tell each other; `()` if they do not.
    type Message;
    /// What goes out.
    type Output;

    /// How many rounds of messages an epoch takes at most.
    const ROUNDS: usize = 0;

    /// Takes in one batch of `epoch`.
    fn apply(&mut self, epoch: Epoch, batch: Self::Batch<'_>, out: &mut Vec<Self::Output>);

    /// Takes what other shards sent in the round before, and sends: rounds 0 to
    /// [`ROUNDS`](Operator::ROUNDS), all shards in step. Nothing is in the inbox of round 0, and what
    /// is sent in the last round is a bug. The inbox is ordered by sender, then as it was sent.
    fn exchange(&mut self, inbox: Vec<Letter<Self::Message>>, mail: &mut Mail<'_, Self::Message>) {
        let _ = (inbox, mail);
    }

    /// Closes `epoch`: no further batch of it or of an earlier one will come. `end` is the first
    /// instant after it.
    fn end_epoch(&mut self, epoch: Epoch, end: Timestamp, out: &mut Vec<Self::Output>) {
        let _ = (epoch, end, out);
    }

    /// Promises that no record with an event time before `at` will come any more.
    fn watermark(&mut self, at: Timestamp, out: &mut Vec<Self::Output>) {
        let _ = (at, out);
    }

    /// The state at the end of an epoch, for [`restore`](Operator::restore) on a new operator. An
    /// operator that keeps nothing between epochs has nothing to write.
    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    /// What [`snapshot`](Operator::snapshot) says, to be put in bytes while the operator goes on: worth
    /// it where copying columns is less work than encoding them.
    fn freeze(&self) -> Frozen {
        self.snapshot().into()
    }

    /// Takes over the state that a snapshot holds; `self` is as it was made.
    ///
    /// # Errors
    /// Bytes that are no snapshot of such an operator.
    fn restore(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        if state.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Value("a state for an operator that keeps none".to_owned()))
        }
    }

    /// What the shard carries, in figures for whoever balances shards.
    fn load(&self) -> ShardLoad {
        ShardLoad::default()
    }

    /// Hands the part of the state that belongs to keys from `at` on to `upper`, which is as it was
    /// made, at the end of an epoch.
    fn split(&mut self, at: Key, upper: &mut Self) {
        let _ = (at, upper);
    }

    /// Takes over the state of the shard with the next greater keys, at the end of an epoch.
    fn merge(&mut self, upper: Self)
    where
        Self: Sized,
    {
        let _ = upper;
    }
}

/// What a shard carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardLoad {
    /// How many things its state is about, such as objects or words.
    pub keys: u64,
    /// What it has done since it was made or restored, in records applied and answers found.
    pub work: u64,
}

/// A message and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter<M> {
    /// The sender's place in the shard table.
    pub from: usize,
    /// What it says.
    pub message: M,
}

/// What a shard sends in one round, and what it may know of the others.
#[derive(Debug)]
pub struct Mail<'a, M> {
    /// The round, from 0.
    pub round: usize,
    /// The shard's own place in the table.
    pub shard: usize,
    /// The table of this epoch.
    pub table: &'a ShardTable,
    /// Messages and the places that they go to.
    pub(crate) sent: Vec<(usize, M)>,
}

impl<M> Mail<'_, M> {
    /// Sends a message to the shard at a place of the table, perhaps this one.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn send(&mut self, to: usize, message: M) {
        assert!(to < self.table.len(), "a message to shard {to} of {}", self.table.len());
        self.sent.push((to, message));
    }
}
