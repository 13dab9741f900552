//! The task of a lane: every shard gets every passage.
//!
//! What is closed or maximal depends on larger sets, of whose objects another shard may own the
//! first; so a shard needs whole segments. One batch is shared by all shards; it is not copied.

use std::sync::Arc;

use dunlin_stream::{Epoch, KeyRange, Router, Routes, Timestamp};

use super::batch::PassageBatch;

/// Passes passages on to all shards.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassageRouter;

/// What a shard gets from one lane in one epoch.
#[derive(Clone, Debug)]
pub struct Passages {
    /// The shard's keys in this epoch.
    pub range: KeyRange,
    /// All passages of the lane.
    pub batches: Vec<Arc<PassageBatch>>,
}

impl Default for Passages {
    fn default() -> Self {
        Self { range: KeyRange::ALL, batches: Vec::new() }
    }
}

impl Router for PassageRouter {
    type Batch = PassageBatch;
    type Ops = Passages;

    fn route(&mut self, _: Epoch, mut batch: PassageBatch, to: &mut Routes<'_, Passages>) {
        let unfit = batch.drop_unfit();
        to.counts.applied -= unfit;
        to.counts.unfit += unfit;
        let batch = Arc::new(batch);
        to.to_all().for_each(|passages| passages.batches.push(Arc::clone(&batch)));
    }

    fn end_epoch(&mut self, _: Epoch, _: Timestamp, to: &mut Routes<'_, Passages>) {
        for shard in 0..to.table().len() {
            to.to(shard).range = to.table().range(shard);
        }
    }
}
