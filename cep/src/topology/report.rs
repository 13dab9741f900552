//! What is told, by name: a set of objects that became frequent, when, and where it was seen.

use std::cmp::Ordering;

use dunlin_stream::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::Names;
use crate::report::Report;

/// A set of objects that became frequent; [`Report`] by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedReport {
    /// The first instant at which it is frequent, after one at which it was not.
    pub time: Timestamp,
    /// The objects, ordered as bytes.
    pub objects: Vec<String>,
    /// For each supporting stream, ordered as bytes, the occurrence that ends last; of those the
    /// one that starts last.
    pub occurrences: Vec<NamedOccurrence>,
}

/// One meeting of the objects of a set in a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedOccurrence {
    /// Where.
    pub stream: String,
    /// The least time of an event that belongs to it.
    pub from: Timestamp,
    /// The greatest time of an event that belongs to it.
    pub to: Timestamp,
}

impl NamedReport {
    /// In how many streams the objects were seen together.
    #[must_use]
    pub fn support(&self) -> usize {
        self.occurrences.len()
    }

    /// By time, then objects: no two reports are equal.
    pub(super) fn order(a: &Self, b: &Self) -> Ordering {
        (a.time, &a.objects).cmp(&(b.time, &b.objects))
    }

    /// A report with names for slots.
    pub(super) fn of(mut report: Report, objects: &Names, streams: &Names) -> Self {
        report.objects.sort_unstable_by_key(|&object| objects.bytes_of(object));
        report.occurrences.sort_unstable_by_key(|occurrence| streams.bytes_of(occurrence.stream));
        let named = report.occurrences.iter().map(|occurrence| NamedOccurrence {
            stream: streams.name(occurrence.stream).to_owned(),
            from: occurrence.from,
            to: occurrence.to,
        });
        Self {
            time: report.time,
            occurrences: named.collect(),
            objects: report.objects.iter().map(|&slot| objects.name(slot).to_owned()).collect(),
        }
    }
}
