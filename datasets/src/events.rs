//! Events of streams, in columns: one row per event, such as a plate that a camera has read.
//!
//! ```text
//! times    t0 t1 t2 …
//! streams  c0 c1 c2 …      slots of `stream_names`
//! objects  s0 s1 s2 …      slots of `object_names`
//! ```
//!
//! The three columns always have the same length. Rows stand in reading order (files as given,
//! lines in order) until [`Events::sort_by_time`].

use dunlin_index::{ObjectNames, Slot};
use dunlin_stream::Timestamp;

use crate::order::sort;

/// Columns of events, one row per event.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Event time of each row.
    pub times: Vec<Timestamp>,
    /// Stream of each row, a slot of `stream_names`.
    pub streams: Vec<Slot>,
    /// Object of each row, a slot of `object_names`.
    pub objects: Vec<Slot>,
    /// The names of the streams.
    pub stream_names: ObjectNames,
    /// The names of the objects.
    pub object_names: ObjectNames,
}

impl Events {
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

    /// Orders the rows by time; rows of equal time keep their order.
    ///
    /// Costs nothing more than a look when they are in order; else they are sorted on all threads of
    /// the pool.
    pub fn sort_by_time(&mut self) {
        let Some(order) = sort(&mut self.times) else { return };
        self.streams = order.iter().map(|&row| self.streams[row as usize]).collect();
        self.objects = order.iter().map(|&row| self.objects[row as usize]).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_of_equal_time_keep_their_order(
            rows in proptest::collection::vec((0i64..5, 0u32..3, 0u32..3), 0..40),
        ) {
            let mut events = Events::default();
            for &(second, stream, object) in &rows {
                let time = Timestamp::from_millis_unchecked(second * 1000);
                events.times.push(time);
                events.streams.push(events.stream_names.intern(&format!("c{stream}")));
                events.objects.push(events.object_names.intern(&format!("p{object}")));
            }
            events.sort_by_time();
            let mut expected = rows;
            expected.sort_by_key(|&(second, ..)| second);
            let row = |row: usize| {
                let stream = events.stream_names.name(events.streams[row]);
                let object = events.object_names.name(events.objects[row]);
                (events.times[row].as_millis() / 1000, stream.to_owned(), object.to_owned())
            };
            prop_assert_eq!(events.len(), expected.len());
            for (at, (second, stream, object)) in expected.into_iter().enumerate() {
                prop_assert_eq!(row(at), (second, format!("c{stream}"), format!("p{object}")));
            }
        }
    }
}
