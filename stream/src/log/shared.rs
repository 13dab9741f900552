//! A shared log is a log: so that one can be wrapped and still be looked at from outside.

use std::ops::Range;
use std::sync::Arc;

use super::{Append, Entry, LaneId, Log, LogError};

impl<L: Log + ?Sized> Log for Arc<L> {
    fn lane(&self, name: &str) -> Result<LaneId, LogError> {
        L::lane(self, name)
    }

    fn append(&self, batches: &[Append<'_>]) -> Result<Vec<u64>, LogError> {
        L::append(self, batches)
    }

    fn read(&self, lane: LaneId, from: u64, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        L::read(self, lane, from, bytes_max)
    }

    fn range(&self, lane: LaneId) -> Result<Range<u64>, LogError> {
        L::range(self, lane)
    }

    fn truncate(&self, lane: LaneId, below: u64) -> Result<(), LogError> {
        L::truncate(self, lane, below)
    }

    fn sync(&self) -> Result<(), LogError> {
        L::sync(self)
    }
}
