//! Where each object was: a list per object, by time.
//!
//! Lists stand in one table and have numbers, so that a passage in a ring leads to the list of its
//! object without a search; a hash table finds the number of an object that arrives. An object
//! that is gone takes no room: its list is given to another. Nothing depends on the order of
//! either.

use std::hash::BuildHasher;

use dunlin_stream::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;
use smallvec::SmallVec;

use crate::Slot;

/// One event of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct Posting {
    /// When.
    pub time: Timestamp,
    /// In which stream.
    pub stream: Slot,
}

/// The number of an object's list, for as long as it has an unexpired event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListId(u32);

/// Room for so many postings is in the table itself: with it a list fills a cache line.
const INLINE: usize = 4;

#[derive(Clone, Debug)]
struct List {
    postings: SmallVec<[Posting; INLINE]>,
    /// Whose it is, or [`NOBODY`]'s.
    object: Slot,
}

/// The owner of a free list.
const NOBODY: Slot = Slot(u32::MAX);

impl List {
    fn expire(&mut self, before: Timestamp) {
        let dead = self.postings.iter().take_while(|posting| { posting.time } < before).count();
        self.postings.drain(..dead);
    }
}

/// The lists of all objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Postings {
    lists: Vec<List>,
    /// Lists that no object has.
    free: Vec<ListId>,
    by_object: HashTable<ListId>,
}

impl Postings {
    /// Adds a posting to the end of an object's list.
    pub(super) fn push(
        &mut self,
        object: Slot,
        posting: Posting,
        expired: Option<Timestamp>,
    ) -> ListId {
        let id = self.find(object).unwrap_or_else(|| self.take_list(object));
        let list = &mut self.lists[id.0 as usize];
        if let Some(before) = expired.filter(|_| list.postings.len() == list.postings.capacity()) {
            list.expire(before);
        }
        list.postings.push(posting);
        id
    }

    fn find(&self, object: Slot) -> Option<ListId> {
        let is_it = |id: &ListId| self.lists[id.0 as usize].object == object;
        self.by_object.find(hash(object), is_it).copied()
    }

    fn take_list(&mut self, object: Slot) -> ListId {
        let list = List { object, postings: SmallVec::new() };
        let id = match self.free.pop() {
            Some(id) => {
                self.lists[id.0 as usize] = list;
                id
            }
            None => {
                self.lists.push(list);
                ListId(u32::try_from(self.lists.len() - 1).expect("fewer than 2^32 objects"))
            }
        };
        let lists = &self.lists;
        self.by_object.insert_unique(hash(object), id, |id| hash(lists[id.0 as usize].object));
        id
    }

    #[inline]
    pub(super) fn list(&self, id: ListId) -> &[Posting] {
        &self.lists[id.0 as usize].postings
    }

    pub(super) fn of(&self, object: Slot) -> &[Posting] {
        self.find(object).map_or(&[], |id| self.list(id))
    }

    pub(super) fn expire(&mut self, before: Timestamp) {
        let Self { lists, free, by_object } = self;
        // In the order in which they lie in memory.
        for (id, list) in (0..).map(ListId).zip(lists).filter(|(_, list)| list.object != NOBODY) {
            list.expire(before);
            if list.postings.spilled() && list.postings.len() <= list.postings.capacity() / 2 {
                list.postings.shrink_to_fit();
            }
            if list.postings.is_empty() {
                let entry = by_object.find_entry(hash(list.object), |it| *it == id);
                drop(entry.map(OccupiedEntry::remove));
                list.object = NOBODY;
                free.push(id);
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let spilled = self.lists.iter().filter(|list| list.postings.spilled());
        let spilled: usize = spilled.map(|list| list.postings.capacity()).sum();
        self.lists.capacity() * size_of::<List>()
            + self.free.capacity() * size_of::<ListId>()
            + self.by_object.allocation_size()
            + spilled * size_of::<Posting>()
    }
}

fn hash(object: Slot) -> u64 {
    FixedState::default().hash_one(object.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_fills_a_cache_line() {
        assert_eq!(size_of::<List>(), 64);
    }
}
