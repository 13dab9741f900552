//! Where an arriving object was, by stream: what an event of another object is held against first.
//!
//! ```text
//! stream   0      1          2      3
//! near     never  [t−ξ, t+ξ] never  [t−ξ, t'+ξ]      16 bytes each: those of a thousand streams
//! first    –      visit 0    –      visit 1           stay in the cache
//! ```

use dunlin_index::{Posting, Slot};
use dunlin_stream::Timestamp;

use super::gather::Visit;
use crate::span::Span;

/// The visits of one arriving object, by stream; empty between two arrivals.
#[derive(Debug, Default)]
pub(super) struct VisitsByStream {
    /// The number of the first visit plus one, or zero.
    first: Vec<u32>,
    /// The times that are within ξ of a visit, or between two.
    near: Vec<Near>,
}

/// A stretch of time, as a [`Span`](crate::span::Span), but with one comparison instead of two: it is
/// asked for every event of every candidate.
#[derive(Clone, Copy, Debug)]
struct Near {
    from_ms: i64,
    width_ms: u64,
}

impl Near {
    const NEVER: Self = Self { from_ms: i64::MAX, width_ms: 0 };

    #[inline]
    fn contains(self, time: Timestamp) -> bool {
        time.as_millis().wrapping_sub(self.from_ms) as u64 <= self.width_ms
    }

    /// Takes in what is within ξ of a time that is not before any other, and in `all`.
    #[inline]
    fn extend(&mut self, time: Timestamp, xi_ms: i64, all: Span) {
        let near = all.near(time, xi_ms);
        self.from_ms = self.from_ms.min(near.from.as_millis());
        self.width_ms = (near.to.as_millis() - self.from_ms) as u64;
    }
}

impl VisitsByStream {
    /// Fills the empty table with visits, those of a stream beside each other and by time; says
    /// whether they are, if each stream has one. Only what is in `all` is near, and nothing is near
    /// those `here`, in the arrival's own stream. All streams are less than `streams`.
    pub(super) fn fill(
        &mut self,
        visits: &[Visit],
        streams: usize,
        here: Slot,
        xi_ms: i64,
        all: Span,
    ) -> bool {
        if self.first.len() < streams {
            self.first.resize(streams, 0);
            self.near.resize(streams, Near::NEVER);
        }
        let mut is_single = true;
        for (number, visit) in (1..).zip(visits) {
            let first = &mut self.first[visit.stream.index()];
            is_single &= *first == 0;
            *first = if *first == 0 { number } else { *first };
            if visit.stream != here {
                self.near[visit.stream.index()].extend(visit.time, xi_ms, all);
            }
        }
        is_single
    }

    /// Empties the table of the visits that it was filled with.
    pub(super) fn clear(&mut self, visits: &[Visit]) {
        for visit in visits {
            self.first[visit.stream.index()] = 0;
            self.near[visit.stream.index()] = Near::NEVER;
        }
    }

    /// The number of the first visit to a stream.
    #[inline]
    pub(super) fn first(&self, stream: Slot) -> Option<u32> {
        self.first[stream.index()].checked_sub(1)
    }

    /// Whether an event is within ξ of a visit to its stream, or between two.
    #[inline]
    fn is_near(&self, posting: &Posting) -> bool {
        self.near[posting.stream.index()].contains(posting.time)
    }

    /// The numbers of those events that are. No branch for each, which nothing could predict.
    #[inline]
    pub(super) fn near<'a>(&self, postings: &[Posting], room: &'a mut Vec<u32>) -> &'a [u32] {
        if room.len() < postings.len() {
            room.resize(postings.len(), 0);
        }
        let mut count = 0;
        for (index, posting) in (0..).zip(postings) {
            room[count] = index;
            count += usize::from(self.is_near(posting));
        }
        &room[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_near_visits_and_nothing_is_when_they_are_cleared() {
        let at = Timestamp::from_millis_unchecked;
        let visit = |stream, time| Visit { stream: Slot(stream), time: at(time), hits_end: 0 };
        let visits = [visit(1, 100), visit(2, 50), visit(2, 80), visit(3, 0)];
        let mut table = VisitsByStream::default();
        let all = Span { from: at(42), to: at(105) };
        table.fill(&visits, 5, Slot(3), 10, all);
        let is_near = |table: &VisitsByStream, stream, time| {
            table.is_near(&Posting { time: at(time), stream: Slot(stream) })
        };
        let near = |stream| (-200..200).filter(|&time| is_near(&table, stream, time)).collect();
        let (one, two): (Vec<i64>, Vec<i64>) = (near(1), near(2));
        assert!(one.into_iter().eq(90..=105) && two.into_iter().eq(42..=90));
        assert!([0, 3, 4].map(near).into_iter().all(|times: Vec<i64>| times.is_empty()));
        let first = |table: &VisitsByStream| [0, 1, 2, 3, 4].map(|it| table.first(Slot(it)));
        assert_eq!(first(&table), [None, Some(0), Some(1), Some(3), None]);
        table.clear(&visits);
        assert_eq!(first(&table), [None; 5]);
        assert!((0..5).all(|stream| (-200..200).all(|time| !is_near(&table, stream, time))));
    }
}
