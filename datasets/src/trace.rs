//! Positions over time, in columns: one row per record.
//!
//! ```text
//! times    t0 t1 t2 …
//! objects  s0 s1 s2 …      slots of `names`
//! at       p0 p1 p2 …
//! ```
//!
//! The three columns always have the same length. Rows stand in reading order (files as given,
//! lines in order) until [`Trace::sort_by_time`].

use dunlin_index::{Coord, ObjectNames, Slot};
use dunlin_stream::Timestamp;
use rayon::prelude::*;

use crate::order::sort;

/// Columns of a trace, one row per record.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Event time of each row.
    pub times: Vec<Timestamp>,
    /// Object of each row, a slot of `names`.
    pub objects: Vec<Slot>,
    /// Position of each row, fit for the space that was read for.
    pub at: Vec<Coord>,
    /// The names of the objects, in the order in which they first appear.
    pub names: ObjectNames,
}

impl Trace {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Orders the rows by time; rows of equal time keep their reading order.
    ///
    /// Costs nothing more than a look when they are in order; else they are sorted on all threads of
    /// the pool.
    pub fn sort_by_time(&mut self) {
        let Some(order) = sort(&mut self.times) else { return };
        self.objects = order.par_iter().map(|&row| self.objects[row as usize]).collect();
        self.at = order.par_iter().map(|&row| self.at[row as usize]).collect();
    }

    /// Makes room for so many rows more, as far as there is memory.
    pub(crate) fn reserve(&mut self, rows: usize) {
        // Without it they grow step by step.
        let _ = self.times.try_reserve(rows);
        let _ = self.objects.try_reserve(rows);
        let _ = self.at.try_reserve(rows);
    }

    pub(crate) fn push(&mut self, time: Timestamp, object: &str, at: Coord) {
        let slot = self.slot(object);
        self.times.push(time);
        self.objects.push(slot);
        self.at.push(at);
    }

    /// The slot of `object`: mostly that of the row before, where a file is grouped by object.
    fn slot(&mut self, object: &str) -> Slot {
        match self.objects.last() {
            Some(&last) if self.names.name(last) == object => last,
            _ => self.names.intern(object),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(rows: &[(i64, &str)]) -> Trace {
        let mut trace = Trace::default();
        for (row, &(second, object)) in rows.iter().enumerate() {
            let time = Timestamp::from_millis_unchecked(second * 1000);
            trace.push(time, object, Coord { x: row as f64, y: 0.0 });
        }
        trace
    }

    fn rows(trace: &Trace) -> Vec<(i64, &str, f64)> {
        (0..trace.len())
            .map(|row| {
                let object = trace.names.name(trace.objects[row]);
                (trace.times[row].as_millis() / 1000, object, trace.at[row].x)
            })
            .collect()
    }

    #[test]
    fn rows_of_equal_time_keep_their_order() {
        let mut trace = trace(&[(2, "b"), (1, "a"), (2, "a"), (1, "c"), (0, "b"), (2, "b")]);
        trace.sort_by_time();
        let expected = [
            (0, "b", 4.0),
            (1, "a", 1.0),
            (1, "c", 3.0),
            (2, "b", 0.0),
            (2, "a", 2.0),
            (2, "b", 5.0),
        ];
        assert_eq!(rows(&trace), expected);
    }

    #[test]
    fn sorting_nothing_and_sorted_rows_changes_nothing() {
        trace(&[]).sort_by_time();
        let mut sorted = trace(&[(1, "a"), (1, "b"), (3, "a")]);
        let before = rows(&sorted.clone()).len();
        sorted.sort_by_time();
        assert_eq!(rows(&sorted), [(1, "a", 0.0), (1, "b", 1.0), (3, "a", 2.0)]);
        assert_eq!(sorted.len(), before);
    }

    #[test]
    fn a_name_has_one_slot() {
        let trace = trace(&[(1, "a"), (2, "a"), (3, "b"), (4, "a")]);
        assert_eq!(trace.objects, [Slot(0), Slot(0), Slot(1), Slot(0)]);
    }
}
