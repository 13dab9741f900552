//! The sets of a shard: those whose first object, by name, has a key that it owns.

use dunlin_index::Slot;
use dunlin_stream::KeyRange;

use super::names::Names;
use crate::share::Share;

/// A range of keys, and the names of the objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyShare<'a> {
    pub(super) range: KeyRange,
    pub(super) objects: &'a Names,
}

impl Share for KeyShare<'_> {
    #[inline]
    fn owns(&self, object: Slot) -> bool {
        self.range.contains(self.objects.key(object))
    }

    #[inline]
    fn may_begin(&self, first: Slot, object: Slot) -> bool {
        self.owns(first) && self.objects.bytes_of(first) <= self.objects.bytes_of(object)
    }

    fn tells(&self, objects: impl Iterator<Item = Slot>) -> bool {
        let first = objects.min_by_key(|object| self.objects.bytes_of(*object));
        first.is_some_and(|first| self.owns(first))
    }
}
