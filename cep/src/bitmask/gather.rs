//! Who has met an arriving object where before: one pass over the postings of those around it.
//!
//! ```text
//! visits    the arriving object's own earlier events, stream by stream
//! members   the objects in the arrival's stream within ξ and τ that met it in θ − 1 others: a bit
//!           each
//! hits      the members' events within ξ of a visit, by visit and time
//! ```
//!
//! A table by stream says where the visits to it are, so each posting of a candidate costs one read
//! that stays in the first cache, and most say no.

use dunlin_index::{EventStore, Passage, Posting, Slot};
use dunlin_stream::Timestamp;
use smallvec::SmallVec;

use crate::miner::Arrival;
use crate::rule::Rule;
use crate::span::Span;

/// An event of a member near a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// The number of the visit.
    pub(super) visit: u32,
    pub(super) time: Timestamp,
    /// The member's bit.
    pub(super) member: u32,
}

/// An earlier event of the arriving object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) stream: Slot,
    pub(super) time: Timestamp,
    /// How many of the hits belong to it and to the visits before it.
    pub(super) hits_end: usize,
}

/// An object that was with the arriving one here and in enough other streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) object: Slot,
    /// Its last time here.
    pub(super) time: Timestamp,
    /// In how many other streams it met the arriving object.
    streams: u32,
    /// Whether the sets with it are told at another arrival of the same instant.
    pub(super) is_elsewhere: bool,
}

/// What is known of an arrival's surroundings; reused from one arrival to the next.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) visits: Vec<Visit>,
    pub(super) members: Vec<Member>,
    pub(super) hits: Vec<Hit>,
    /// By stream, the number of the first visit to it plus one, or zero.
    first_visit: Vec<u32>,
    order: Vec<(u32, Slot, u32)>,
    /// The bit of each object that was found, or [`NONE`] if it was found before.
    bits: Vec<u32>,
    sorted: Vec<Member>,
    streams: Vec<Slot>,
}

/// Arrivals whose surroundings are read before one is looked at.
pub(super) const READ_AHEAD: usize = 16;

/// No bit.
const NONE: u32 = u32::MAX;

/// The instants at which hits count.
#[derive(Clone, Copy)]
struct Spans {
    now: Span,
    before: Span,
}

/// The passages in an arrival's stream within ξ and τ before it, if it can matter.
fn together<'a>(store: &'a EventStore, rule: &Rule, arrival: &Arrival) -> &'a [Passage] {
    let Arrival { event, number } = arrival;
    let ring = store.ring(event.stream);
    // One event, and one in each of θ - 1 other streams.
    if store.list(ring.passage(*number).list).len() < rule.theta as usize {
        return &[];
    }
    let near = Span::at(event.time, rule).near(event.time, rule.xi_ms);
    ring.near(*number, near.from, near.to)
}

/// For each arrival, those that are together with it. Reads what looking at them will read, so
/// that memory answers many reads at a time: first the beginnings of the lists of all who are
/// there, then where the lists go on.
pub(super) fn all_together<'a>(
    store: &'a EventStore,
    rule: &Rule,
    arrivals: &[Arrival],
) -> SmallVec<[&'a [Passage]; READ_AHEAD]> {
    let all: SmallVec<[&[Passage]; READ_AHEAD]> =
        arrivals.iter().map(|arrival| together(store, rule, arrival)).collect();
    let lists = || all.iter().copied().flatten().map(|passage| store.list(passage.list));
    let lengths: usize = lists().map(<[Posting]>::len).sum();
    let streams: usize = lists().filter_map(|list| list.last()).map(|p| p.stream.index()).sum();
    std::hint::black_box(lengths ^ streams);
    all
}

impl Spans {
    /// All instants that count or counted.
    fn all(self) -> Span {
        Span { from: self.before.from, to: self.now.to }
    }
}

impl Surroundings {
    /// Looks around an arrival that is `together` with others; says whether any set may have become frequent with it.
    pub(super) fn look(
        &mut self,
        store: &EventStore,
        rule: &Rule,
        arrival: &Arrival,
        together: &[Passage],
    ) -> bool {
        if together.len() < 2 {
            return false;
        }
        let time = arrival.event.time;
        let spans = Spans { now: Span::at(time, rule), before: Span::before(time, rule) };
        let ring = store.ring(arrival.event.stream);
        self.visits.clear();
        if !self.find_visits(store.list(ring.passage(arrival.number).list), spans, rule, arrival) {
            return false;
        }
        self.mark_visits();
        self.find_members(store, rule, arrival, spans, together);
        self.unmark_visits();
        if self.members.is_empty() {
            return false;
        }
        self.order_members();
        self.order_hits();
        true
    }

    /// Takes the arriving object's postings that can matter, stream by stream; whether there are
    /// enough streams.
    fn find_visits(
        &mut self,
        postings: &[Posting],
        spans: Spans,
        rule: &Rule,
        arrival: &Arrival,
    ) -> bool {
        let (Spans { now, before }, here) = (spans, arrival.event.stream);
        for &Posting { time, stream } in postings.iter().rev() {
            // In the arrival's own stream only what counted before matters.
            if time > now.to || (stream == here && time > before.to) {
                continue;
            }
            if time < before.from {
                break;
            }
            self.visits.push(Visit { stream, time, hits_end: 0 });
        }
        if self.visits.len() + 1 < rule.theta as usize {
            return false;
        }
        self.visits.sort_unstable_by_key(|visit| (visit.stream, visit.time));
        let streams = self.visits.chunk_by(|a, b| a.stream == b.stream);
        let counting = streams.filter(|visits| {
            visits[0].stream != here && visits.iter().any(|visit| now.contains(visit.time))
        });
        counting.count() + 1 >= rule.theta as usize
    }

    fn mark_visits(&mut self) {
        // Streams are in order, and so the last is the greatest.
        let streams = self.visits.last().map_or(0, |visit| visit.stream.index() + 1);
        if self.first_visit.len() < streams {
            self.first_visit.resize(streams, 0);
        }
        for (number, visit) in (1..).zip(&self.visits) {
            let first = &mut self.first_visit[visit.stream.index()];
            *first = if *first == 0 { number } else { *first };
        }
    }

    fn unmark_visits(&mut self) {
        for visit in &self.visits {
            self.first_visit[visit.stream.index()] = 0;
        }
    }

    /// Finds those of the objects `together` with the arriving one that were so in θ − 1 other
    /// streams.
    fn find_members(
        &mut self,
        store: &EventStore,
        rule: &Rule,
        arrival: &Arrival,
        spans: Spans,
        together: &[Passage],
    ) {
        let event = &arrival.event;
        self.members.clear();
        self.hits.clear();
        for passage in together.iter().rev().filter(|passage| passage.object != event.object) {
            let first_hit = self.hits.len();
            let postings = store.list(passage.list);
            self.meet(postings, rule, spans.all(), |stream| stream != event.stream);
            let streams = self.streams_from(first_hit, spans.now);
            if streams + 1 < rule.theta {
                self.hits.truncate(first_hit);
                continue;
            }
            // In the arrival's own stream what counted before matters, and only for members.
            self.meet(postings, rule, spans.before, |stream| stream == event.stream);
            let is_elsewhere = passage.time == event.time && passage.object < event.object;
            let (object, time) = (passage.object, passage.time);
            self.members.push(Member { object, time, streams, is_elsewhere });
        }
    }

    /// Adds the hits of one object in some streams and inside a span, as the next member's.
    #[inline]
    fn meet(
        &mut self,
        postings: &[Posting],
        rule: &Rule,
        span: Span,
        is_wanted: impl Fn(Slot) -> bool,
    ) {
        let member = u32::try_from(self.members.len()).expect("fewer than 2^32 members");
        for &Posting { time, stream } in postings.iter().rev() {
            if time < span.from {
                break;
            }
            let first = self.first_visit.get(stream.index()).copied().unwrap_or_default();
            if first == 0 || time > span.to || !is_wanted(stream) {
                continue;
            }
            for (number, visit) in (first - 1..).zip(&self.visits[first as usize - 1..]) {
                if visit.stream != stream {
                    break;
                }
                if (visit.time.as_millis() - time.as_millis()).abs() <= rule.xi_ms {
                    self.hits.push(Hit { visit: number, time, member });
                }
            }
        }
    }

    /// In how many streams the hits from `first` on, which are all of one member, count now.
    fn streams_from(&mut self, first: usize, now: Span) -> u32 {
        self.streams.clear();
        for hit in &self.hits[first..] {
            let visit = &self.visits[hit.visit as usize];
            if now.contains(visit.time) && now.contains(hit.time) {
                self.streams.push(visit.stream);
            }
        }
        if self.streams.len() > 1 {
            self.streams.sort_unstable();
            self.streams.dedup();
        }
        u32::try_from(self.streams.len()).unwrap_or(u32::MAX)
    }

    /// Orders the members so that those with the fewest streams come first: sets with them have
    /// fewest rows, and most of what is new is among them. An object that passed here several times
    /// becomes one member, its last passage.
    fn order_members(&mut self) {
        let Self { members, hits, order, bits, sorted, .. } = self;
        if members.len() == 1 {
            return;
        }
        order.clear();
        order.extend(
            (0..).zip(&*members).map(|(number, member)| (member.streams, member.object, number)),
        );
        order.sort_unstable();
        bits.clear();
        bits.resize(members.len(), NONE);
        sorted.clear();
        let mut last = None;
        for &(_, object, number) in &*order {
            if last.replace(object) != Some(object) {
                bits[number as usize] = u32::try_from(sorted.len()).expect("no more than members");
                sorted.push(members[number as usize]);
            }
        }
        std::mem::swap(members, sorted);
        hits.retain_mut(|hit| {
            hit.member = bits[hit.member as usize];
            hit.member != NONE
        });
    }

    fn order_hits(&mut self) {
        self.hits.sort_unstable();
        let mut hits = self.hits.iter().peekable();
        let mut end = 0;
        for (number, visit) in (0..).zip(&mut self.visits) {
            while hits.next_if(|hit| hit.visit == number).is_some() {
                end += 1;
            }
            visit.hits_end = end;
        }
    }

    /// The visits and their hits, in order.
    pub(super) fn met(&self) -> impl DoubleEndedIterator<Item = (&Visit, &[Hit])> {
        self.visits.iter().enumerate().map(|(index, visit)| {
            let start = index.checked_sub(1).map_or(0, |before| self.visits[before].hits_end);
            (visit, &self.hits[start..visit.hits_end])
        })
    }
}
