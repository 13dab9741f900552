//! Where a found set was seen, from what is known of the arrival's surroundings.
//!
//! Each occurrence of the set in another stream has a visit of the arriving object and hits of the
//! members near it. In the arrival's own stream the last one ends with the arrival.

use dunlin_index::{Event, Slot};
use dunlin_stream::Timestamp;
use smallvec::SmallVec;

use super::bits::Bits;
use super::gather::{Hit, Surroundings, Visit};
use super::rows::Row;
use crate::report::{Occurrence, Report};
use crate::rule::Rule;
use crate::span::Span;

/// The report of a set of members that becomes frequent with `event`.
pub(super) fn report<B: Bits>(
    around: &Surroundings,
    rule: &Rule,
    event: &Event,
    (set, rows): (&B, &[Row<B>]),
) -> Report {
    let size = set.len();
    let mut objects = Vec::with_capacity(size + 1);
    objects.push(event.object);
    let mut from = event.time;
    set.for_each(|bit| {
        let member = &around.members[bit];
        objects.push(member.object);
        from = from.min(member.time);
    });
    objects.sort_unstable();
    let mut occurrences = Vec::with_capacity(rule.theta as usize);
    occurrences.push(Occurrence { stream: event.stream, from, to: event.time });
    let now = Span::at(event.time, rule);
    // Of the rows of a stream that hold the set, the last is of the last visit that it met at.
    let holds = |row: &&Row<B>| row.is_now && set.is_subset(&row.members);
    let mut rows = rows.iter().rev().filter(holds).peekable();
    while let Some(row) = rows.next() {
        while rows.next_if(|before| before.stream == row.stream).is_some() {}
        let (from, to) = last_occurrence(around, rule, now, row, set);
        occurrences.push(Occurrence { stream: row.stream, from, to });
    }
    occurrences.sort_unstable_by_key(|occurrence| occurrence.stream);
    Report { time: event.time, objects, occurrences }
}

/// The start and end of the last occurrence of a set in the stream of a row that holds it.
fn last_occurrence<B: Bits>(
    around: &Surroundings,
    rule: &Rule,
    now: Span,
    row: &Row<B>,
    set: &B,
) -> (Timestamp, Timestamp) {
    let number = row.visit as usize;
    let (visit, hits) = (&around.visits[number], around.hits_of(number));
    let only = if !around.is_only_visit(number) {
        None
    } else if hits.len() == row.members.len() {
        // All were together, each once, in order of their bits.
        let mut span = (visit.time, visit.time);
        set.for_each(|bit| {
            let time = hits[row.members.rank(bit)].time;
            span = (span.0.min(time), span.1.max(time));
        });
        Some(span)
    } else {
        only_choice(around, now, visit, hits, set)
    };
    only.or_else(|| last_choice(around, rule, now, visit, hits, set))
        .expect("a row that holds a set is of a window that does")
}

/// The start and end of the set's events if there is one of each object, as mostly.
fn only_choice<B: Bits>(
    around: &Surroundings,
    now: Span,
    visit: &Visit,
    hits: &[Hit],
    set: &B,
) -> Option<(Timestamp, Timestamp)> {
    let mut seen = B::none(around.members.len());
    let (mut from, mut to, mut count) = (visit.time, visit.time, 0);
    for hit in hits.iter().filter(|hit| now.contains(hit.time) && set.contains(hit.member as usize))
    {
        (from, to, count) = (from.min(hit.time), to.max(hit.time), count + 1);
        seen.insert(hit.member as usize);
    }
    (seen == *set && count == set.len()).then_some((from, to))
}

/// The start and end of the last occurrence, among all choices of events.
fn last_choice<B: Bits>(
    around: &Surroundings,
    rule: &Rule,
    now: Span,
    visit: &Visit,
    hits: &[Hit],
    set: &B,
) -> Option<(Timestamp, Timestamp)> {
    let near = now.near(visit.time, rule.xi_ms);
    let own = set.len(); // the place of the arriving object, after those of the members
    let mut events: SmallVec<[(Timestamp, usize); 16]> = SmallVec::new();
    for hit in hits.iter().filter(|hit| now.contains(hit.time) && set.contains(hit.member as usize))
    {
        events.push((hit.time, set.rank(hit.member as usize)));
    }
    for time in visits_to(around, visit.stream).filter(|time| near.contains(*time)) {
        events.push((time, own));
    }
    events.sort_unstable();
    let mut seen: SmallVec<[Option<Timestamp>; 8]> = SmallVec::from_elem(None, own + 1);
    let mut last = None;
    for together in events.chunk_by(|a, b| a.0 == b.0) {
        let to = together[0].0;
        together.iter().for_each(|(time, place)| seen[*place] = Some(*time));
        // None is less than any time: an object that is missing makes the least one missing.
        let from = seen.iter().min().copied().flatten();
        if let Some(from) = from.filter(|from| to.as_millis() - from.as_millis() <= rule.xi_ms) {
            last = Some((from, to));
        }
    }
    last
}

/// The times of the visits to a stream.
fn visits_to(around: &Surroundings, stream: Slot) -> impl Iterator<Item = Timestamp> {
    let visits = around.visits.iter().filter(move |visit| visit.stream == stream);
    visits.map(|visit| visit.time)
}
