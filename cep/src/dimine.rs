//! DIMine (Yu et al., EDBT 2015): Apriori, level by level, on an inverted index of segments.
//!
//! ```text
//! index     object ──> numbers of the segments it is in, sorted
//! level 2   pairs with the arriving object, by the meet of two lists
//! level j   two sets of level j − 1 that differ in their last object; the meet of their lists
//! ```
//!
//! A list with too few different streams ends a set; the others are refined on the events' times.

use dunlin_index::{Event, EventStore, Growth, SegmentId, Segments, Slot};
use dunlin_stream::Timestamp;

use crate::lists::Lists;
use crate::maximal::with;
use crate::miner::{Arrival, Miner};
use crate::refine::{Setting, by_time};
use crate::report::Report;
use crate::rule::Rule;
use crate::span::Span;

/// Mining by an inverted index.
#[derive(Debug, Default)]
pub struct DiMine {
    index: Option<InvertedIndex>,
}

/// Which segments each object is in.
#[derive(Debug)]
struct InvertedIndex {
    segments: Segments,
    lists: Lists<SegmentId>,
}

/// A set with the arriving object, and the live segments that it is in.
struct Candidate {
    objects: Vec<Slot>,
    last: Slot,
    segments: Vec<SegmentId>,
}

impl InvertedIndex {
    fn push(&mut self, event: Event) {
        match self.segments.push(event) {
            Growth::Continued(id) => self.lists.insert(event.object, id),
            Growth::Began(id, events) => {
                events.iter().for_each(|event| self.lists.insert(event.object, id));
            }
        }
    }

    fn expire(&mut self, before: Timestamp) {
        self.segments.expire(before);
        let segments = &self.segments;
        self.lists.expire(before, |id| segments.get(id).is_some());
    }

    /// The segments of a list that can hold an occurrence since `from`.
    fn live(&self, object: Slot, from: Timestamp) -> Vec<SegmentId> {
        let is_live = |id: &SegmentId| self.segments.get(*id).is_some_and(|s| s.end >= from);
        self.lists.of(object).iter().copied().filter(is_live).collect()
    }

    fn has_streams(&self, segments: &[SegmentId], theta: u32) -> bool {
        let mut streams: Vec<Slot> =
            segments.iter().filter_map(|id| self.segments.get(*id)).map(|s| s.stream).collect();
        streams.sort_unstable();
        streams.dedup();
        streams.len() >= theta as usize
    }

    /// Tells the sets that an arrival completes; whether that was all.
    fn complete(&self, setting: &Setting, out: &mut Vec<Report>) -> bool {
        let Setting { rule, arrival, .. } = setting;
        let (event, mut left) = (&arrival.event, rule.sets_max);
        let from = Span::at(event.time, rule).from;
        let own = self.live(event.object, from);
        if !self.has_streams(&own, rule.theta) {
            return true;
        }
        let pairs = setting.candidates().into_iter().map(|other| {
            let objects = with(&[event.object], other).expect("another object");
            Candidate { objects, last: other, segments: meet(&own, &self.live(other, from)) }
        });
        let mut level: Vec<Candidate> = Vec::new();
        for pair in pairs {
            let Some(less) = left.checked_sub(1) else { return false };
            left = less;
            self.keep(setting, pair, &mut level, out);
        }
        while level.len() > 1 && !rule.is_beyond(level[0].objects.len() + 1) {
            let mut next = Vec::new();
            for (index, a) in level.iter().enumerate() {
                let same_start = |b: &&Candidate| is_same_but_last(a, b);
                for b in level[index + 1..].iter().take_while(same_start) {
                    let Some(less) = left.checked_sub(1) else { return false };
                    left = less;
                    let objects = with(&a.objects, b.last).expect("another object");
                    let segments = meet(&a.segments, &b.segments);
                    let joined = Candidate { objects, last: b.last, segments };
                    self.keep(setting, joined, &mut next, out);
                }
            }
            level = next;
        }
        true
    }

    /// Keeps a candidate for the next level if it is frequent, and tells it if it is new.
    fn keep(
        &self,
        setting: &Setting,
        candidate: Candidate,
        level: &mut Vec<Candidate>,
        out: &mut Vec<Report>,
    ) {
        if self.has_streams(&candidate.segments, setting.rule.theta)
            && setting.refine(&candidate.objects, out)
        {
            level.push(candidate);
        }
    }
}

/// Whether two sets of one level share all but the object that was added last.
fn is_same_but_last(a: &Candidate, b: &Candidate) -> bool {
    let start = |candidate: &Candidate| {
        let last = candidate.last;
        candidate.objects.iter().copied().filter(|object| *object != last).collect::<Vec<_>>()
    };
    start(a) == start(b)
}

/// What two sorted lists share.
fn meet(a: &[SegmentId], b: &[SegmentId]) -> Vec<SegmentId> {
    let mut b = b.iter().peekable();
    let is_in_b = |id: &&SegmentId| {
        while b.next_if(|other| other < id).is_some() {}
        b.peek() == Some(id)
    };
    a.iter().filter(is_in_b).copied().collect()
}

impl Miner for DiMine {
    fn mine(
        &mut self,
        store: &EventStore,
        rule: &Rule,
        arrivals: &[Arrival],
        out: &mut Vec<Report>,
    ) -> u64 {
        let index = self.index.get_or_insert_with(|| InvertedIndex {
            segments: Segments::new(rule.xi_ms),
            lists: Lists::new(rule),
        });
        let mut cut = 0;
        for together in by_time(arrivals) {
            index.expire(Span::at(together[0].event.time, rule).from);
            together.iter().for_each(|arrival| index.push(arrival.event));
            for arrival in together {
                let setting = Setting::of(store, rule, arrival);
                cut += u64::from(!index.complete(&setting, out));
            }
        }
        cut
    }
}
