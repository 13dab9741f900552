//! Which of the sets are told here, where several shards mine the same events.
//!
//! A set belongs to the one who owns its first object, by name. All look at all events, since what
//! is closed or maximal depends on larger sets too; whoever owns nothing that an arrival can
//! complete need not look at it.

use dunlin_index::Slot;

/// The sets of one shard.
pub(crate) trait Share: Sync {
    /// Whether an object is this shard's own; each is that of one shard.
    fn owns(&self, object: Slot) -> bool;

    /// Whether `first` may be the first object of a set with `object`, and is this shard's own.
    fn may_begin(&self, first: Slot, object: Slot) -> bool;

    /// Whether a set is told here.
    fn tells(&self, objects: impl Iterator<Item = Slot>) -> bool;
}

/// All sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole;

impl Share for Whole {
    fn owns(&self, _: Slot) -> bool {
        true
    }

    fn may_begin(&self, _: Slot, _: Slot) -> bool {
        true
    }

    fn tells(&self, _: impl Iterator<Item = Slot>) -> bool {
        true
    }
}
