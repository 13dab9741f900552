//! Where each object was: a list per object, by time.
//!
//! A hash table, so that objects that are gone take no room; nothing ever depends on its order.

use dunlin_stream::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::hash::BuildHasher;

use crate::Slot;

/// One event of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// When.
    pub time: Timestamp,
    /// In which stream.
    pub stream: Slot,
    /// Its number in the stream's ring.
    pub number: u32,
}

/// Room for so many postings is in the table itself.
const INLINE: usize = 4;

#[derive(Clone, Debug)]
struct List {
    object: Slot,
    postings: SmallVec<[Posting; INLINE]>,
}

impl List {
    fn expire(&mut self, before: Timestamp) {
        let dead = self.postings.iter().take_while(|posting| posting.time < before).count();
        self.postings.drain(..dead);
    }
}

/// The lists of all objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Postings {
    lists: HashTable<List>,
}

impl Postings {
    pub(super) fn push(&mut self, object: Slot, posting: Posting, expired: Option<Timestamp>) {
        let entry = self.lists.entry(hash(object), |list| list.object == object, rehash);
        let mut entry = entry.or_insert_with(|| List { object, postings: SmallVec::new() });
        let list = entry.get_mut();
        if let Some(before) = expired.filter(|_| list.postings.len() == list.postings.capacity()) {
            list.expire(before);
        }
        list.postings.push(posting);
    }

    #[inline]
    pub(super) fn of(&self, object: Slot) -> &[Posting] {
        let found = self.lists.find(hash(object), |list| list.object == object);
        found.map_or(&[], |list| &list.postings)
    }

    pub(super) fn expire(&mut self, before: Timestamp) {
        self.lists.retain(|list| {
            list.expire(before);
            if list.postings.spilled() && list.postings.len() <= list.postings.capacity() / 4 {
                list.postings.shrink_to_fit();
            }
            !list.postings.is_empty()
        });
        if self.lists.len() <= self.lists.capacity() / 4 {
            self.lists.shrink_to_fit(rehash);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let spilled = self.lists.iter().filter(|list| list.postings.spilled());
        let spilled: usize = spilled.map(|list| list.postings.capacity()).sum();
        self.lists.allocation_size() + spilled * size_of::<Posting>()
    }
}

fn hash(object: Slot) -> u64 {
    FixedState::default().hash_one(object.0)
}

fn rehash(list: &List) -> u64 {
    hash(list.object)
}
