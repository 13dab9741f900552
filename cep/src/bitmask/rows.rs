//! Rows: which members can have met the arriving object all at once, window by window.
//!
//! A visit at t and its hits span up to 2ξ; a window of ξ that holds t gives one row, the bit mask
//! of the members inside it. A set occurred with the object in a stream if and only if it is a
//! subset of one of the stream's rows, so nothing is left to refine.
//!
//! ```text
//! hits     a   b  (t)   c    d
//! rows    [a   b   t    c]            windows that reach no further right than
//!             [b   t    c    d]       the one before give no row
//! ```

use dunlin_index::Slot;
use dunlin_stream::Timestamp;
use smallvec::SmallVec;

use super::bits::Bits;
use super::gather::{Hit, Surroundings};
use crate::rule::Rule;
use crate::span::Span;

/// Members that were together with the object in a window of ξ.
#[derive(Clone, Debug)]
pub(super) struct Row<B> {
    pub(super) members: B,
    pub(super) stream: Slot,
    /// The number of the visit.
    pub(super) visit: u32,
    /// Whether it counts at the arrival's instant.
    pub(super) is_now: bool,
    /// Whether it counted a millisecond before.
    pub(super) was_before: bool,
}

/// The rows of an arrival at `time` in `stream`, those of a stream beside each other and by visit.
pub(super) fn rows<B: Bits>(
    around: &Surroundings,
    rule: &Rule,
    time: Timestamp,
    stream: Slot,
    rows: &mut Vec<Row<B>>,
) {
    rows.clear();
    let mut by_time: SmallVec<[Hit; 32]> = SmallVec::new();
    let (now, before) = (Span::at(time, rule), Span::before(time, rule));
    for ((visit, hits), number) in around.met().zip(0..) {
        if hits.is_empty() {
            continue;
        }
        by_time.clear();
        by_time.extend_from_slice(hits);
        by_time.sort_unstable_by_key(|hit| (hit.time, hit.member));
        let mut add = |span: Span, is_now: bool, was_before: bool| {
            if !span.contains(visit.time) {
                return;
            }
            windows(&by_time, span, visit.time, rule.xi_ms, |window| {
                let mut members = B::none(around.members.len());
                window.iter().for_each(|hit| members.insert(hit.member as usize));
                rows.push(Row { members, stream: visit.stream, visit: number, is_now, was_before });
            });
        };
        let in_both = |time| now.contains(time) && before.contains(time);
        if visit.stream == stream {
            add(before, false, true);
        } else if in_both(visit.time) && hits.iter().all(|hit| in_both(hit.time)) {
            add(now, true, true);
        } else {
            add(now, true, false);
            add(before, false, true);
        }
    }
}

/// Calls `each` for the greatest windows of hits, which are ordered by time, inside `span` that with
/// a visit at `time` span no more than `xi_ms`.
pub(super) fn windows(
    hits: &[Hit],
    span: Span,
    time: Timestamp,
    xi_ms: i64,
    mut each: impl FnMut(&[Hit]),
) {
    let inside = hits.partition_point(|hit| hit.time < span.from)
        ..hits.partition_point(|hit| hit.time <= span.to);
    let hits = &hits[inside];
    let mut end = 0;
    for start in 0..=hits.len() {
        let from = hits.get(start).map_or(time, |hit| hit.time).min(time);
        let reach = hits.partition_point(|hit| hit.time.as_millis() <= from.as_millis() + xi_ms);
        if reach > end {
            each(&hits[start..reach]);
            end = reach;
        }
        if from == time {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The windows around a visit at 10, as the times of their hits.
    fn windowed(times: &[i64], xi_ms: i64, span: (i64, i64)) -> Vec<Vec<i64>> {
        let at = Timestamp::from_millis_unchecked;
        let hits: Vec<Hit> =
            times.iter().map(|&t| Hit { visit: 0, time: at(t), member: 0 }).collect();
        let span = Span { from: at(span.0), to: at(span.1) };
        let mut found = Vec::new();
        windows(&hits, span, at(10), xi_ms, |window| {
            found.push(window.iter().map(|hit| hit.time.as_millis()).collect());
        });
        found
    }

    #[test]
    fn windows_are_the_greatest_that_hold_the_visit() {
        let all = (0, 100);
        assert_eq!(windowed(&[], 5, all), Vec::<Vec<i64>>::new());
        assert_eq!(windowed(&[8, 12], 5, all), [vec![8, 12]]);
        assert_eq!(windowed(&[6, 8, 12, 14], 5, all), [vec![6, 8], vec![8, 12], vec![12, 14]]);
        assert_eq!(windowed(&[6, 8, 12, 14], 8, all), [vec![6, 8, 12, 14]]);
        assert_eq!(windowed(&[12, 15], 5, all), [vec![12, 15]]);
        assert_eq!(windowed(&[5, 10, 10], 5, all), [vec![5, 10, 10]]);
        assert_eq!(windowed(&[10, 10], 0, all), [vec![10, 10]]);
    }

    #[test]
    fn windows_stay_inside_the_span() {
        assert_eq!(windowed(&[6, 8, 12, 14], 5, (7, 13)), [vec![8, 12]]);
        assert_eq!(windowed(&[6, 14], 5, (7, 13)), Vec::<Vec<i64>>::new());
    }
}
