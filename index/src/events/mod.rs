//! Unexpired events of many streams: each stored once, found by stream and by object.
//!
//! ```text
//! rings      stream 0: (t, o, list) (t, o, list) …     by time
//!            stream 1: …
//! postings   list of o: (t, stream) (t, stream) …      by time
//! ```
//!
//! A passage leads straight to the list of its object: "where else was each of those who are here"
//! is one read per object. Invariant: rings and postings are ordered by time, hold the same events,
//! and hold every event whose time is not before the last [`EventStore::expire`]; older ones go
//! when their stream or object is next touched, or with the sweep.
//!
//! Cost: an event takes 16 bytes in a ring and 12 in a list, and with the room that vectors keep
//! free up to twice that; an object 64 and a hash table's 6.

mod postings;
mod ring;

use dunlin_stream::Timestamp;

use crate::Slot;
use postings::Postings;
pub use postings::{ListId, Posting};
pub use ring::{Passage, Ring};

/// An object in a stream at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    /// When, by the event's own account.
    pub time: Timestamp,
    /// The stream, by its number.
    pub stream: Slot,
    /// The object, by its number.
    pub object: Slot,
}

/// The events that are not expired yet.
///
/// ```
/// use dunlin_index::{Event, EventStore, Slot};
/// use dunlin_stream::Timestamp;
///
/// let at = |second: i64| Timestamp::from_millis(second * 1000).unwrap();
/// let (camera, car, van) = (Slot(0), Slot(4), Slot(9));
/// let mut store = EventStore::default();
/// store.insert(Event { time: at(10), stream: camera, object: car });
/// store.insert(Event { time: at(12), stream: camera, object: van });
/// let together = store.ring(camera).between(at(7), at(17));
/// assert_eq!(together.iter().map(|passage| passage.object).collect::<Vec<_>>(), [car, van]);
/// assert_eq!(store.list(together[1].list), store.postings(van));
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventStore {
    rings: Vec<Ring>,
    postings: Postings,
    /// Nothing older is asked for again.
    expired: Option<Timestamp>,
    /// When the last sweep was.
    swept: Option<Timestamp>,
}

impl EventStore {
    /// Adds an event that is not older than any before it, and says its number in the stream's
    /// ring.
    pub fn insert(&mut self, event: Event) -> u32 {
        let Event { time, stream, object } = event;
        if self.rings.len() <= stream.index() {
            self.rings.resize_with(stream.index() + 1, Ring::default);
        }
        let list = self.postings.push(object, Posting { time, stream }, self.expired);
        self.rings[stream.index()].push(Passage { time, object, list }, self.expired)
    }

    /// Reads what inserting these events will read, so that memory answers many reads at a time.
    pub fn read_ahead(&self, events: &[Event]) {
        let lists = events.iter().map(|event| self.postings.of(event.object).len());
        let ends = events.iter().map(|event| {
            let ring = self.rings.get(event.stream.index());
            ring.and_then(Ring::last).map_or(0, |passage| passage.object.index())
        });
        std::hint::black_box(lists.sum::<usize>() ^ ends.sum::<usize>());
    }

    /// The events of a stream.
    ///
    /// # Panics
    /// If the stream never had an event.
    #[must_use]
    #[inline]
    pub fn ring(&self, stream: Slot) -> &Ring {
        &self.rings[stream.index()]
    }

    /// The number of every stream that ever had an event is less.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.rings.len()
    }

    /// The streams that ever had an event, each with its events.
    pub fn rings(&self) -> impl Iterator<Item = (Slot, &Ring)> {
        let slot = |stream| Slot(u32::try_from(stream).expect("streams have slots"));
        self.rings.iter().enumerate().map(move |(stream, ring)| (slot(stream), ring))
    }

    /// The events of an object in all streams, by time; expired ones may still be among them.
    #[must_use]
    #[inline]
    pub fn postings(&self, object: Slot) -> &[Posting] {
        self.postings.of(object)
    }

    /// The events of the object of an unexpired passage, by time; expired ones may still be among
    /// them.
    ///
    /// # Panics
    /// If the list is none of this store's.
    #[must_use]
    #[inline]
    pub fn list(&self, list: ListId) -> &[Posting] {
        self.postings.list(list)
    }

    /// Lets go what is older than `before`; `sweep_ms` of event time after the last sweep, also in
    /// streams and of objects that have fallen silent.
    pub fn expire(&mut self, before: Timestamp, sweep_ms: i64) {
        if self.expired.is_some_and(|expired| expired >= before) {
            return;
        }
        self.expired = Some(before);
        let since = *self.swept.get_or_insert(before);
        if before.as_millis() - since.as_millis() >= sweep_ms {
            self.swept = Some(before);
            self.rings.iter_mut().for_each(|ring| ring.expire(before));
            self.postings.expire(before);
        }
    }

    /// How many events are stored, expired ones that still wait for the sweep included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rings.iter().map(Ring::len).sum()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rings.iter().all(|ring| ring.len() == 0)
    }

    /// How many bytes of memory the events take, free room included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rings: usize = self.rings.iter().map(Ring::bytes).sum();
        rings + self.rings.capacity() * size_of::<Ring>() + self.postings.bytes()
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
