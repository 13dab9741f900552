//! Who has met an arriving object where before: one pass over the postings of those around it.
//!
//! ```text
//! visits    the arriving object's own earlier events, those of a stream beside each other
//! members   the objects in the arrival's stream within ξ and τ that met it in θ − 1 others: a bit
//!           each
//! hits      the members' events within ξ of a visit, member by member; then by visit
//! ```
//!
//! A table by stream says when the visits to it were, so each posting of a candidate costs one read
//! that stays in the cache; most candidates go after that.

use dunlin_index::{EventStore, Passage, Posting, Slot};
use dunlin_stream::Timestamp;
use smallvec::SmallVec;

use super::by_stream::VisitsByStream;
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
    by_stream: VisitsByStream,
    order: Vec<(u32, Slot, u32)>,
    /// The bit of each object that was found, or [`NONE`] if it was found before.
    bits: Vec<u32>,
    sorted: Vec<Member>,
    sorted_hits: Vec<Hit>,
    /// Room for the numbers of those events of one object that are near visits.
    near: Vec<u32>,
    /// Whether there is one visit to each stream, and a word has a bit for each.
    is_simple: bool,
    /// By the first visit to each stream, the last passage whose object met the arriving one there.
    met_by: Vec<u32>,
}

/// Arrivals whose surroundings are read before one is looked at.
pub(super) const READ_AHEAD: usize = 16;

/// Postings in a line of the cache.
const POSTINGS_A_LINE: usize = 5;

/// So many members at most are known to be different objects.
pub(super) const PLAIN_MAX: usize = 64;

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
    // Those at one stream, one after the other, have most company in common.
    let fresh = |index: usize| {
        let before = index.checked_sub(1).map(|before| arrivals[before].event);
        let before = before.filter(|before| before.stream == arrivals[index].event.stream);
        let old =
            before.map_or(0, |before| all[index].partition_point(|it| it.time <= before.time));
        &all[index][old..]
    };
    let lists = || (0..all.len()).flat_map(fresh).map(|passage| store.list(passage.list));
    let lengths: usize = lists().map(<[Posting]>::len).sum();
    let lines = lists().flat_map(|list| list.iter().rev().step_by(POSTINGS_A_LINE));
    let streams: usize = lines.map(|posting| posting.stream.index()).sum();
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
    /// Looks around an arrival that is `together` with others; says whether any set may have become
    /// frequent with it.
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
        let own = store.list(ring.passage(arrival.number).list);
        if !self.find_visits(own, spans, rule, arrival, store.stream_count()) {
            return false;
        }
        self.find_members(store, rule, arrival, spans, together);
        self.by_stream.clear(&self.visits);
        !self.members.is_empty()
    }

    /// Takes the arriving object's postings that can matter, those of a stream beside each other and
    /// by time, and fills the table with them; or says that there are not enough streams.
    fn find_visits(
        &mut self,
        postings: &[Posting],
        spans: Spans,
        rule: &Rule,
        arrival: &Arrival,
        streams: usize,
    ) -> bool {
        let (Spans { now, before }, here) = (spans, arrival.event.stream);
        self.visits.clear();
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
        let all = spans.all();
        self.is_simple = self.by_stream.fill(&self.visits, streams, here, rule.xi_ms, all);
        if !self.is_simple {
            self.by_stream.clear(&self.visits);
            self.visits.sort_unstable_by_key(|visit| (visit.stream, visit.time));
            self.by_stream.fill(&self.visits, streams, here, rule.xi_ms, all);
        }
        self.is_simple &= self.visits.len() <= u64::BITS as usize;
        let streams = self.visits.chunk_by(|a, b| a.stream == b.stream);
        let counting = streams.filter(|visits| {
            visits[0].stream != here && visits.iter().any(|visit| now.contains(visit.time))
        });
        let is_enough = counting.count() + 1 >= rule.theta as usize;
        if !is_enough {
            self.by_stream.clear(&self.visits);
        }
        is_enough
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
        let was_here = self.by_stream.first(event.stream).is_some();
        self.members.clear();
        self.hits.clear();
        let mut room = std::mem::take(&mut self.near);
        self.met_by.clear();
        self.met_by.resize(self.visits.len(), u32::MAX);
        let others = (0..).zip(together.iter().rev());
        for (number, passage) in others.filter(|(_, passage)| passage.object != event.object) {
            let first_hit = self.hits.len();
            let postings = store.list(passage.list);
            let near = self.by_stream.near(postings, &mut room);
            if near.len() + 1 < rule.theta as usize {
                continue;
            }
            let near = near.iter().map(|&near| &postings[near as usize]);
            let streams = if self.is_simple {
                self.meet_simply(near)
            } else {
                self.meet(near, rule, spans.all());
                self.streams_from(first_hit, spans.now, number)
            };
            if streams + 1 < rule.theta {
                self.hits.truncate(first_hit);
                continue;
            }
            // In the arrival's own stream what counted before matters, and only for members.
            if was_here {
                let here = postings.iter().filter(|posting| posting.stream == event.stream);
                self.meet(here, rule, spans.before);
            }
            let (object, time) = (passage.object, passage.time);
            if self.members.len() < PLAIN_MAX && self.members.iter().any(|it| it.object == object) {
                self.hits.truncate(first_hit);
                continue;
            }
            let is_elsewhere = time == event.time && object < event.object;
            self.members.push(Member { object, time, streams, is_elsewhere });
        }
        self.near = room;
    }

    /// Adds the hits of one object, as the next member's: its events near visits, one to each stream.
    /// Says in how many streams they are; some that only counted before may be among them.
    #[inline]
    fn meet_simply<'a>(&mut self, near: impl Iterator<Item = &'a Posting>) -> u32 {
        let Self { by_stream, members, hits, .. } = self;
        let member = u32::try_from(members.len()).expect("fewer than 2^32 members");
        let mut met = 0u64;
        for &Posting { time, stream } in near {
            let Some(visit) = by_stream.first(stream) else { continue };
            met |= 1 << visit;
            hits.push(Hit { visit, time, member });
        }
        met.count_ones()
    }

    /// Adds the hits of one object inside a span, as the next member's.
    #[inline]
    fn meet<'a>(&mut self, postings: impl Iterator<Item = &'a Posting>, rule: &Rule, span: Span) {
        let Self { by_stream, visits, members, hits, .. } = self;
        let member = u32::try_from(members.len()).expect("fewer than 2^32 members");
        for &Posting { time, stream } in postings {
            if !span.contains(time) {
                continue;
            }
            let Some(first) = by_stream.first(stream) else { continue };
            for (number, visit) in (first..).zip(&visits[first as usize..]) {
                if visit.stream != stream {
                    break;
                }
                if (visit.time.as_millis() - time.as_millis()).abs() <= rule.xi_ms {
                    hits.push(Hit { visit: number, time, member });
                }
            }
        }
    }

    /// In how many streams the hits from `first` on, which are all of one passage, count now.
    #[inline]
    fn streams_from(&mut self, first: usize, now: Span, passage: u32) -> u32 {
        let Self { by_stream, visits, hits, met_by, .. } = self;
        let mut streams = 0;
        for hit in &hits[first..] {
            let visit = &visits[hit.visit as usize];
            if now.contains(visit.time) && now.contains(hit.time) {
                let Some(first) = by_stream.first(visit.stream) else { continue };
                let met_by = std::mem::replace(&mut met_by[first as usize], passage);
                streams += u32::from(met_by != passage);
            }
        }
        streams
    }

    /// Orders the members so that those with the fewest streams come first: sets with them have
    /// fewest rows, and most of what is new is among them. Of more than [`PLAIN_MAX`] members some
    /// are of one object: each becomes one, its last passage.
    pub(super) fn order_members(&mut self) {
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

    /// Puts the hits of each visit together, in the order in which they are.
    pub(super) fn group_hits(&mut self) {
        let Self { visits, hits, sorted_hits, .. } = self;
        hits.iter().for_each(|hit| visits[hit.visit as usize].hits_end += 1);
        let mut start = 0;
        for visit in &mut *visits {
            start += std::mem::replace(&mut visit.hits_end, start);
        }
        sorted_hits.clear();
        sorted_hits.resize(hits.len(), Hit { visit: 0, time: Timestamp::MIN, member: 0 });
        for &hit in &*hits {
            let next = &mut visits[hit.visit as usize].hits_end;
            sorted_hits[*next] = hit;
            *next += 1;
        }
        std::mem::swap(hits, sorted_hits);
    }

    /// Orders the hits by visit, member and time.
    pub(super) fn order_hits(&mut self) {
        self.group_hits();
        for visit in 0..self.visits.len() {
            let (start, end) = self.place_of_hits(visit);
            self.hits[start..end].sort_unstable_by_key(|hit| (hit.member, hit.time));
        }
    }

    /// The visits and their hits, in order.
    pub(super) fn met(&self) -> impl Iterator<Item = (&Visit, &[Hit])> {
        self.visits.iter().zip((0..).map(|visit| self.hits_of(visit)))
    }

    /// The hits of a visit, by member and time.
    #[inline]
    pub(super) fn hits_of(&self, visit: usize) -> &[Hit] {
        let (start, end) = self.place_of_hits(visit);
        &self.hits[start..end]
    }

    #[inline]
    fn place_of_hits(&self, visit: usize) -> (usize, usize) {
        let start = visit.checked_sub(1).map_or(0, |before| self.visits[before].hits_end);
        (start, self.visits[visit].hits_end)
    }

    /// Whether the arriving object was in the stream of a visit at no other time that matters.
    #[inline]
    pub(super) fn is_only_visit(&self, visit: usize) -> bool {
        let stream = self.visits[visit].stream;
        let is_other = |other: Option<&Visit>| other.is_none_or(|other| other.stream != stream);
        is_other(visit.checked_sub(1).map(|before| &self.visits[before]))
            && is_other(self.visits.get(visit + 1))
    }
}
