//! The task of a lane: what it makes of its records before they reach a shard.
//!
//! A lane is a hash partition of the input; its task sees every record of an object and may keep
//! what is needed to judge them one by one (the last position, say). It hands each shard, per
//! epoch, one set of operations: routed by key, by space, to all, or to one.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event_time::RowsOfTime;
use crate::wire::{DecodeError, Frozen};
use crate::{Epoch, Key, ShardTable, Timestamp};

/// The state machine of one lane.
pub trait Router {
    /// A batch as it lies in the log, usually columns.
    type Batch: Serialize + DeserializeOwned + RowsOfTime;
    /// What a shard gets from one lane in one epoch.
    type Ops: Default;

    /// Takes in one batch that is no repetition.
    fn route(&mut self, epoch: Epoch, batch: Self::Batch, to: &mut Routes<'_, Self::Ops>);

    /// Closes an epoch, whose first instant after it is `end`.
    fn end_epoch(&mut self, epoch: Epoch, end: Timestamp, to: &mut Routes<'_, Self::Ops>) {
        let _ = (epoch, end, to);
    }

    /// The state at the end of an epoch, for [`restore`](Router::restore) on a new one.
    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    /// What [`snapshot`](Router::snapshot) says, to be put in bytes while the router goes on.
    fn freeze(&self) -> Frozen {
        self.snapshot().into()
    }

    /// Takes over the state that a snapshot holds; `self` is as it was made.
    ///
    /// # Errors
    /// Bytes that are no snapshot of such a router.
    fn restore(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        if state.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Value("a state for a router that keeps none".to_owned()))
        }
    }
}

/// The way to the shards, for one lane and epoch.
#[derive(Debug)]
pub struct Routes<'a, Ops> {
    table: &'a ShardTable,
    ops: &'a mut [Ops],
    /// What becomes of the records.
    pub counts: &'a mut RecordCounts,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Records in batches that were read, repeated ones included.
    pub read: u64,
    /// Records that took effect.
    pub applied: u64,
    /// Records of batches that had come before.
    pub duplicate: u64,
    /// Records older than what is still taken.
    pub late: u64,
    /// Batches that are none of the topology.
    pub unreadable: u64,
    /// Records at a time that is absurd when they come.
    pub absurd: u64,
    /// Records that are not fit for the state, such as one without a name.
    pub unfit: u64,
}

impl RecordCounts {
    /// Adds other counts.
    pub fn add(&mut self, other: Self) {
        self.read += other.read;
        self.applied += other.applied;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.unreadable += other.unreadable;
        self.absurd += other.absurd;
        self.unfit += other.unfit;
    }

    /// All that could not be taken, by whatever reason.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.unreadable + self.absurd + self.unfit
    }

    /// What has been added since the counts were `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            read: self.read - before.read,
            applied: self.applied - before.applied,
            duplicate: self.duplicate - before.duplicate,
            late: self.late - before.late,
            unreadable: self.unreadable - before.unreadable,
            absurd: self.absurd - before.absurd,
            unfit: self.unfit - before.unfit,
        }
    }
}

impl<'a, Ops> Routes<'a, Ops> {
    /// Routes by `table` into `ops`, one for each shard.
    ///
    /// # Panics
    /// If there are not as many `ops` as shards.
    pub fn new(table: &'a ShardTable, ops: &'a mut [Ops], counts: &'a mut RecordCounts) -> Self {
        assert_eq!(table.len(), ops.len(), "operations for each shard");
        Self { table, ops, counts }
    }

    /// The table by which this epoch is routed.
    #[must_use]
    pub fn table(&self) -> &'a ShardTable {
        self.table
    }

    /// The operations of the shard that owns a key.
    #[inline]
    pub fn by_key(&mut self, key: Key) -> &mut Ops {
        &mut self.ops[self.table.shard_of(key)]
    }

    /// The operations of a shard, by its place in the table.
    ///
    /// # Panics
    /// If there is no such shard.
    #[inline]
    pub fn to(&mut self, shard: usize) -> &mut Ops {
        &mut self.ops[shard]
    }

    /// The operations of all shards.
    pub fn to_all(&mut self) -> impl Iterator<Item = &mut Ops> {
        self.ops.iter_mut()
    }
}
