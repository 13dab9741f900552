//! Who has met an arriving object where before: one pass over its postings.
//!
//! ```text
//! members   the other objects in the arrival's stream within ξ and τ          number 0, 1, 2 …
//! visits    the arriving object's own earlier events, stream by stream
//! hits      for each visit, the members' events within ξ of it, by time
//! ```
//!
//! Then only members that met the object in θ − 1 other streams stay, and are numbered anew: they
//! are bits from here on.

use dunlin_index::{EventStore, Posting, Slot};
use dunlin_stream::Timestamp;

use super::members::Members;
use crate::miner::Arrival;
use crate::rule::Rule;
use crate::span::Span;

/// An event of a member near a visit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) time: Timestamp,
    pub(super) member: u32,
}

/// An earlier event of the arriving object, and the members that were near.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) posting: Posting,
    /// How many of the hits belong to it and to the visits before it.
    pub(super) hits_end: usize,
}

/// What is known of an arrival's surroundings; reused from one arrival to the next.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    members: Members,
    postings: Vec<Posting>,
    counts: Vec<u32>,
    counted_in: Vec<Option<Slot>>,
    /// The bit of each member, or [`NONE`].
    bits: Vec<u32>,
    pub(super) visits: Vec<Visit>,
    /// Those of members that stay, by visit and time; members by their bits.
    pub(super) hits: Vec<Hit>,
    /// The members that stay: the object of each bit.
    pub(super) objects: Vec<Slot>,
    /// For each bit, whether the sets with it are told at another arrival of the same instant.
    pub(super) is_elsewhere: Vec<bool>,
}

/// No member: the bit of one that does not stay.
const NONE: u32 = u32::MAX;

impl Surroundings {
    /// Looks around an arrival; says whether any set may have become frequent with it.
    pub(super) fn look(&mut self, store: &EventStore, rule: &Rule, arrival: &Arrival) -> bool {
        self.choose_postings(store, rule, arrival)
            && self.meet(store, rule, arrival)
            && self.keep_frequent(rule, arrival)
    }

    /// Takes the arriving object's postings that can matter, stream by stream; whether there are
    /// enough streams.
    fn choose_postings(&mut self, store: &EventStore, rule: &Rule, arrival: &Arrival) -> bool {
        let Arrival { event, number } = arrival;
        let (now, before) = (Span::at(event.time, rule), Span::before(event.time, rule));
        let span = Span { from: before.from, to: now.to };
        self.postings.clear();
        let recent = store.postings(event.object).iter().rev();
        let recent = recent.skip_while(|posting| posting.time > span.to);
        let recent = recent.take_while(|posting| posting.time >= span.from);
        let other = recent.filter(|p| (p.stream, p.number) != (event.stream, *number));
        self.postings.extend(other);
        self.postings.sort_unstable_by_key(|posting| (posting.stream, posting.time));
        let streams = self.postings.chunk_by(|a, b| a.stream == b.stream);
        let others = streams.filter(|visits| {
            visits[0].stream != event.stream && visits.iter().any(|visit| now.contains(visit.time))
        });
        others.count() + 1 >= rule.theta as usize
    }

    /// Finds the members, and their events near the postings; whether there is a member.
    fn meet(&mut self, store: &EventStore, rule: &Rule, arrival: &Arrival) -> bool {
        let Arrival { event, number } = arrival;
        let (now, before) = (Span::at(event.time, rule), Span::before(event.time, rule));
        let near = now.near(event.time, rule.xi_ms);
        let together = store.ring(event.stream).near(*number, near.from, near.to);
        self.members.reset(together.len());
        for passage in together.iter().filter(|passage| passage.object != event.object) {
            self.members.add(passage.object);
        }
        if self.members.objects().is_empty() {
            return false;
        }
        self.visits.clear();
        self.hits.clear();
        for posting in &self.postings {
            // In the arrival's own stream, what counted before; elsewhere, what counts or counted.
            let to = if posting.stream == event.stream { before.to } else { now.to };
            let near = Span { from: before.from, to }.near(posting.time, rule.xi_ms);
            for passage in store.ring(posting.stream).near(posting.number, near.from, near.to) {
                if let Some(member) = self.members.number(passage.object) {
                    self.hits.push(Hit { time: passage.time, member });
                }
            }
            self.visits.push(Visit { posting: *posting, hits_end: self.hits.len() });
        }
        true
    }

    /// Keeps the members that met the object in enough streams, and the hits of those; whether
    /// there is one.
    fn keep_frequent(&mut self, rule: &Rule, arrival: &Arrival) -> bool {
        self.count_streams(rule, arrival);
        self.objects.clear();
        self.bits.clear();
        for (&object, &count) in self.members.objects().iter().zip(&self.counts) {
            if count + 1 < rule.theta {
                self.bits.push(NONE);
                continue;
            }
            self.bits.push(u32::try_from(self.objects.len()).expect("fewer than 2^32 members"));
            self.objects.push(object);
        }
        if self.objects.is_empty() {
            return false;
        }
        self.is_elsewhere.clear();
        self.is_elsewhere.resize(self.objects.len(), false);
        let (mut start, mut kept) = (0, 0);
        for visit in &mut self.visits {
            for index in start..visit.hits_end {
                let Hit { time, member } = self.hits[index];
                let bit = self.bits[member as usize];
                if bit != NONE {
                    self.hits[kept] = Hit { time, member: bit };
                    kept += 1;
                }
            }
            start = std::mem::replace(&mut visit.hits_end, kept);
        }
        self.hits.truncate(kept);
        true
    }

    /// Counts for each member the other streams in which it met the object inside `[T − τ, T]`.
    fn count_streams(&mut self, rule: &Rule, arrival: &Arrival) {
        let now = Span::at(arrival.event.time, rule);
        self.counts.clear();
        self.counts.resize(self.members.objects().len(), 0);
        self.counted_in.clear();
        self.counted_in.resize(self.members.objects().len(), None);
        let mut start = 0;
        for Visit { posting, hits_end } in &self.visits {
            let hits = &self.hits[start..*hits_end];
            start = *hits_end;
            if posting.stream == arrival.event.stream || !now.contains(posting.time) {
                continue;
            }
            for hit in hits.iter().filter(|hit| now.contains(hit.time)) {
                let member = hit.member as usize;
                if self.counted_in[member].replace(posting.stream) != Some(posting.stream) {
                    self.counts[member] += 1;
                }
            }
        }
    }

    /// Marks the members that arrived at the same instant in the same stream and come before the
    /// object: sets with them are theirs to tell.
    pub(super) fn mark_elsewhere(&mut self, store: &EventStore, arrival: &Arrival) {
        let Arrival { event, number } = arrival;
        for passage in store.ring(event.stream).near(*number, event.time, event.time) {
            if passage.object >= event.object {
                continue;
            }
            let member = self.members.number(passage.object).map(|member| member as usize);
            if let Some(bit) = member.map(|member| self.bits[member]).filter(|bit| *bit != NONE) {
                self.is_elsewhere[bit as usize] = true;
            }
        }
    }
}
