//! The definition itself, on the events' own times: where a set occurs inside a span.
//!
//! Slow and plain. The miners find sets by faster means; this says where each was seen, and
//! refines what a filter lets through.

use dunlin_index::{EventStore, Passage, Posting, Slot};
use dunlin_stream::Timestamp;
use smallvec::SmallVec;

use crate::report::Occurrence;
use crate::rule::Rule;
use crate::span::Span;

/// The last occurrence of `objects` inside `span` in every stream that has one, by stream.
pub(crate) fn occurrences(
    store: &EventStore,
    rule: &Rule,
    objects: &[Slot],
    span: Span,
) -> Vec<Occurrence> {
    let rarest = objects.iter().min_by_key(|&&object| store.postings(object).len());
    let Some(&rarest) = rarest else { return Vec::new() };
    let mut visits: SmallVec<[Posting; 16]> = SmallVec::new();
    let inside = store.postings(rarest).iter().filter(|posting| span.contains(posting.time));
    visits.extend(inside.copied());
    visits.sort_by_key(|posting| posting.stream);
    let in_one_stream = visits.chunk_by(|a, b| a.stream == b.stream);
    in_one_stream.filter_map(|visits| last_in(store, rule, objects, span, visits)).collect()
}

/// How many streams have an occurrence of `objects` inside `span`.
pub(crate) fn support(store: &EventStore, rule: &Rule, objects: &[Slot], span: Span) -> usize {
    occurrences(store, rule, objects, span).len()
}

/// The last occurrence in the one stream of `visits`, which are all events of one of the objects
/// there, by time: each occurrence has one of them, so it is within ξ of it.
fn last_in(
    store: &EventStore,
    rule: &Rule,
    objects: &[Slot],
    span: Span,
    visits: &[Posting],
) -> Option<Occurrence> {
    let stream = visits[0].stream;
    let ring = store.ring(stream);
    visits.iter().rev().find_map(|visit| {
        let near = span.near(visit.time, rule.xi_ms);
        let passages = ring.between(near.from, near.to);
        let (from, to) = last_among(passages, rule, objects)?;
        Some(Occurrence { stream, from, to })
    })
}

/// The start and end of the last occurrence among passages that are in the order of their times.
fn last_among(
    passages: &[Passage],
    rule: &Rule,
    objects: &[Slot],
) -> Option<(Timestamp, Timestamp)> {
    let mut seen: SmallVec<[Option<Timestamp>; 8]> = SmallVec::from_elem(None, objects.len());
    let mut last = None;
    for together in passages.chunk_by(|a, b| a.time == b.time) {
        let to = together[0].time;
        let mut is_new = false;
        for passage in together {
            if let Ok(place) = objects.binary_search(&passage.object) {
                seen[place] = Some(to);
                is_new = true;
            }
        }
        // None is less than any time: an object that is missing makes the least one missing.
        let from = if is_new { seen.iter().min().copied().flatten() } else { None };
        if let Some(from) = from.filter(|from| to.as_millis() - from.as_millis() <= rule.xi_ms) {
            last = Some((from, to));
        }
    }
    last
}
