//! What is told: a set of objects that became frequent, when, and where it was seen.

use dunlin_index::Slot;
use dunlin_stream::Timestamp;

/// A set of objects that became frequent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The first instant at which it is frequent, after one at which it was not.
    pub time: Timestamp,
    /// The objects, in the order of their numbers.
    pub objects: Vec<Slot>,
    /// For each supporting stream, in the order of their numbers, the occurrence that ends last;
    /// of those the one that starts last.
    pub occurrences: Vec<Occurrence>,
}

impl Report {
    /// In how many streams the objects were seen together.
    #[must_use]
    pub fn support(&self) -> usize {
        self.occurrences.len()
    }
}

/// One meeting of the objects of a set in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Where.
    pub stream: Slot,
    /// The least time of an event that belongs to it.
    pub from: Timestamp,
    /// The greatest time of an event that belongs to it.
    pub to: Timestamp,
}
