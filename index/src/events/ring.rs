//! The events of one stream, by time, each with a number that stays.
//!
//! ```text
//! passages   dead dead | t12 t13 t15 …          live ones start at `dead`
//! number                  first + 0, 1, 2 …      counted on for ever, modulo 2³²
//! ```
//!
//! The dead front is cut off when there is no room and it is a quarter of all, and in a sweep when it
//! is half: one contiguous slice to scan, O(1) copies per event, and a push that has room reads
//! nothing but the end.

use dunlin_stream::Timestamp;

use super::postings::ListId;
use crate::Slot;

/// An object that was seen in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// When.
    pub time: Timestamp,
    /// Which.
    pub object: Slot,
    /// Where the object's postings are.
    pub list: ListId,
}

/// The unexpired events of one stream.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    passages: Vec<Passage>,
    /// How many at the front are known to be expired.
    dead: usize,
    /// The number of `passages[0]`.
    first: u32,
}

impl Ring {
    pub(super) fn push(&mut self, passage: Passage, expired: Option<Timestamp>) -> u32 {
        debug_assert!(self.passages.last().is_none_or(|last| last.time <= passage.time));
        // The front lies far from the end: it is looked at only when room is needed.
        if let Some(before) = expired.filter(|_| self.passages.len() == self.passages.capacity()) {
            self.drop_front(before, 4);
        }
        self.passages.push(passage);
        self.first.wrapping_add(index_as_number(self.passages.len() - 1))
    }

    pub(super) fn expire(&mut self, before: Timestamp) {
        self.drop_front(before, 2);
        self.passages.shrink_to(self.passages.len() * 2);
    }

    /// Counts the expired front, and cuts it off if it is longer than one part in `share` of all.
    fn drop_front(&mut self, before: Timestamp, share: usize) {
        let live = &self.passages[self.dead..];
        self.dead += live.iter().take_while(|passage| passage.time < before).count();
        if self.dead > self.passages.len() / share {
            self.passages.drain(..self.dead);
            self.first = self.first.wrapping_add(index_as_number(self.dead));
            self.dead = 0;
        }
    }

    /// The passages around `number` whose times are in `[from, to]`, by time; the numbered one's
    /// own time must be.
    ///
    /// # Panics
    /// If the passage of that number is gone.
    #[must_use]
    #[inline]
    pub fn near(&self, number: u32, from: Timestamp, to: Timestamp) -> &[Passage] {
        let at = self.index(number);
        debug_assert!((from..=to).contains(&self.passages[at].time));
        let (before, after) = self.passages.split_at(at);
        let start = at - before.iter().rev().take_while(|passage| passage.time >= from).count();
        let end = at + after.iter().take_while(|passage| passage.time <= to).count();
        &self.passages[start..end]
    }

    /// The passages whose times are in `[from, to]`, by time.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> &[Passage] {
        let start = self.passages.partition_point(|passage| passage.time < from);
        let rest = &self.passages[start..];
        &rest[..rest.partition_point(|passage| passage.time <= to)]
    }

    /// The passage of a number.
    ///
    /// # Panics
    /// If it is gone.
    #[must_use]
    #[inline]
    pub fn passage(&self, number: u32) -> Passage {
        self.passages[self.index(number)]
    }

    #[inline]
    fn index(&self, number: u32) -> usize {
        number.wrapping_sub(self.first) as usize
    }

    /// The last passage, expired or not.
    pub(super) fn last(&self) -> Option<&Passage> {
        self.passages.last()
    }

    pub(super) fn len(&self) -> usize {
        self.passages.len() - self.dead
    }

    pub(super) fn bytes(&self) -> usize {
        self.passages.capacity() * size_of::<Passage>()
    }
}

fn index_as_number(index: usize) -> u32 {
    u32::try_from(index).expect("a stream has fewer than 2^32 unexpired events")
}
