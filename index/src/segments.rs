//! Segments: the maximal runs of each stream that last no longer than ξ (Yu et al., EDBT 2015).
//!
//! ```text
//! stream     a b   c  d     e           each bar at most ξ long
//! segments   └─────┘
//!              └──────┘                 begins where the one before became too long
//!                  └────────┘
//! ```
//!
//! Every occurrence of a set lies inside a segment of its stream. Segments of one stream overlap,
//! and each event begins at most one. The open segment of a stream counts as it stands: it has its
//! number from its first event on.

use std::collections::VecDeque;

use dunlin_stream::Timestamp;

use crate::{Event, Slot};

/// The number of a segment, counted up from zero in the order of their beginnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The stream it is a run of.
    pub stream: Slot,
    /// The time of its first event.
    pub start: Timestamp,
    /// The time of its last event so far.
    pub end: Timestamp,
}

/// Cuts streams into segments, and knows those that are not expired.
#[derive(Clone, Debug)]
pub struct Segments {
    xi_ms: i64,
    open: Vec<Open>,
    known: VecDeque<Segment>,
    /// The number of the first one known.
    first: u64,
}

/// The open segment of a stream.
#[derive(Clone, Debug, Default)]
struct Open {
    segment: Option<SegmentId>,
    events: VecDeque<Event>,
}

/// What an event did to its stream.
#[derive(Debug)]
pub enum Growth<'a> {
    /// It began a segment, which inherits these events and ends with it.
    Began(SegmentId, &'a VecDeque<Event>),
    /// It went on with the open segment.
    Continued(SegmentId),
}

impl Segments {
    /// Segments of at most `xi_ms` from first to last event.
    #[must_use]
    pub fn new(xi_ms: i64) -> Self {
        Self { xi_ms, open: Vec::new(), known: VecDeque::new(), first: 0 }
    }

    /// Takes an event that is not older than any before it.
    pub fn push(&mut self, event: Event) -> Growth<'_> {
        let Event { time, stream, .. } = event;
        if self.open.len() <= stream.index() {
            self.open.resize_with(stream.index() + 1, Open::default);
        }
        let Open { segment, events } = &mut self.open[stream.index()];
        let earliest = time.as_millis() - self.xi_ms;
        let is_too_long = |event: &Event| event.time.as_millis() < earliest;
        let is_full = events.front().is_none_or(is_too_long);
        while events.front().is_some_and(is_too_long) {
            events.pop_front();
        }
        events.push_back(event);
        match *segment {
            Some(id) if !is_full => {
                let index = usize::try_from(id.0 - self.first).expect("an open segment is known");
                self.known[index].end = time;
                Growth::Continued(id)
            }
            _ => {
                let id = SegmentId(self.first + self.known.len() as u64);
                *segment = Some(id);
                self.known.push_back(Segment { stream, start: events[0].time, end: time });
                Growth::Began(id, events)
            }
        }
    }

    /// Forgets segments that ended before `before`, at the latest ξ later.
    pub fn expire(&mut self, before: Timestamp) {
        while self.known.front().is_some_and(|segment| segment.end < before) {
            let segment = self.known.pop_front().expect("there is a first one");
            let open = &mut self.open[segment.stream.index()];
            if open.segment == Some(SegmentId(self.first)) {
                *open = Open::default();
            }
            self.first += 1;
        }
    }

    /// A segment, unless it is forgotten.
    #[must_use]
    pub fn get(&self, id: SegmentId) -> Option<&Segment> {
        self.known.get(usize::try_from(id.0.checked_sub(self.first)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis_unchecked(millis)
    }

    /// The maximal runs of a sorted list of times, as positions of first and last.
    fn maximal_runs(times: &[i64], xi_ms: i64) -> Vec<(usize, usize)> {
        let fits = |from: usize, to: usize| times[to] - times[from] <= xi_ms;
        let mut runs = Vec::new();
        for from in 0..times.len() {
            for to in from..times.len() {
                let can_grow = (from > 0 && fits(from - 1, to))
                    || (to + 1 < times.len() && fits(from, to + 1));
                if fits(from, to) && !can_grow {
                    runs.push((from, to));
                }
            }
        }
        runs
    }

    proptest! {
        #[test]
        fn segments_are_the_maximal_runs(
            waits in prop::collection::vec(0..6i64, 1..40),
            xi_ms in 0..12i64,
        ) {
            let mut segments = Segments::new(xi_ms);
            let mut time = 0;
            let (mut times, mut runs) = (Vec::new(), BTreeMap::new());
            for wait in waits {
                time += wait;
                times.push(time);
                let event = Event { time: at(time), stream: Slot(1), object: Slot(7) };
                let last = times.len() - 1;
                match segments.push(event) {
                    Growth::Began(id, events) => {
                        runs.insert(id, (times.len() - events.len(), last));
                    }
                    Growth::Continued(id) => runs.get_mut(&id).unwrap().1 = last,
                }
            }
            let found: Vec<(usize, usize)> = runs.values().copied().collect();
            prop_assert_eq!(found, maximal_runs(&times, xi_ms));
            for (id, (from, to)) in runs {
                let segment = segments.get(id).copied();
                let (start, end) = (at(times[from]), at(times[to]));
                prop_assert_eq!(segment, Some(Segment { stream: Slot(1), start, end }));
            }
        }
    }

    #[test]
    fn expired_segments_are_forgotten_open_or_not() {
        let mut segments = Segments::new(5);
        let event = |stream, time| Event { time: at(time), stream: Slot(stream), object: Slot(0) };
        let mut began = |event| match segments.push(event) {
            Growth::Began(id, events) => Some((id, events.len())),
            Growth::Continued(_) => None,
        };
        assert_eq!(began(event(0, 10)), Some((SegmentId(0), 1)));
        assert_eq!(began(event(1, 12)), Some((SegmentId(1), 1)));
        assert_eq!(began(event(0, 14)), None);
        segments.expire(at(14));
        assert!(segments.get(SegmentId(0)).is_some_and(|segment| segment.end == at(14)));
        segments.expire(at(15));
        assert_eq!((segments.get(SegmentId(0)), segments.get(SegmentId(1))), (None, None));
        // A forgotten segment is not gone on with, even where its events are near.
        let Growth::Began(id, events) = segments.push(event(0, 16)) else { panic!("goes on") };
        assert_eq!((id, events.len()), (SegmentId(2), 1));
    }
}
