//! Event time: watermarks, lateness, and times that make no sense.
//!
//! A lane follows the newest event time of each source (a producer). Its watermark is the least of
//! them, less the allowed lateness: the lane promises that nothing older will come, and what comes
//! older all the same is late. The watermark moves at the ends of epochs only, so the cut of a
//! source's records into batches does not matter, and it never goes back.
//!
//! A source that has been silent for `idle_ms`, by the stamps of the log, holds nothing up; when all
//! are silent, the watermark passes the newest event. An event time further than `skew_ms` ahead of
//! the log's stamp is absurd: it is rejected and cannot move the watermark.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What is allowed of event times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTimeRule {
    /// How far behind its source's newest event a record may be, in milliseconds.
    pub lateness_ms: i64,
    /// After how many milliseconds without a batch a source no longer holds the watermark.
    pub idle_ms: i64,
    /// How far an event time may be ahead of the log's stamp, in milliseconds.
    pub skew_ms: i64,
}

impl EventTimeRule {
    /// Everything is taken as it comes: for history, and where event time means nothing.
    pub const ANY: Self = Self { lateness_ms: i64::MAX, idle_ms: i64::MAX, skew_ms: i64::MAX };
}

/// Rows in columns, as far as a lane must know them.
pub trait RowsOfTime: Sized {
    /// How many rows there are.
    fn rows(&self) -> usize;

    /// The event time of each row; none at all where records have no event time.
    fn times(&self) -> &[Timestamp] {
        &[]
    }

    /// Takes the marked rows out, in order; `marks` has one entry for each row. Called only for rows
    /// that have times.
    fn take_rows(&mut self, marks: &[bool]) -> Self;
}

/// What a lane makes of an event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In time.
    Taken,
    /// Before the watermark.
    Late,
    /// Further ahead than a clock can be wrong.
    Absurd,
}

/// The event time of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTime {
    rule: EventTimeRule,
    state: EventTimeState,
}

/// What is kept between epochs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTimeState {
    sources: BTreeMap<u64, Source>,
    newest: Option<Timestamp>,
    watermark: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    newest: Timestamp,
    /// The log's stamp of its last batch.
    heard: Timestamp,
}

impl EventTime {
    /// Nothing heard of yet.
    #[must_use]
    pub fn new(rule: EventTimeRule) -> Self {
        Self { rule, state: EventTimeState::default() }
    }

    /// Goes on from a state.
    #[must_use]
    pub fn resume(rule: EventTimeRule, state: EventTimeState) -> Self {
        Self { rule, state }
    }

    /// What is kept between epochs.
    #[must_use]
    pub fn state(&self) -> &EventTimeState {
        &self.state
    }

    /// Nothing before it is in time any more.
    #[must_use]
    pub fn watermark(&self) -> Option<Timestamp> {
        self.state.watermark
    }

    /// Takes note of a record of `source`, in a batch stamped `stamp`.
    pub fn judge(&mut self, source: u64, stamp: Timestamp, time: Timestamp) -> Verdict {
        if time.as_millis().saturating_sub(stamp.as_millis()) > self.rule.skew_ms {
            return Verdict::Absurd;
        }
        if self.rule.lateness_ms == i64::MAX {
            return Verdict::Taken;
        }
        if self.state.watermark.is_some_and(|watermark| time < watermark) {
            return Verdict::Late;
        }
        let first = Source { newest: time, heard: stamp };
        let source = self.state.sources.entry(source).or_insert(first);
        source.newest = source.newest.max(time);
        source.heard = source.heard.max(stamp);
        self.state.newest = self.state.newest.max(Some(time));
        Verdict::Taken
    }

    /// Moves the watermark at the end of an epoch, which is `end`, and forgets idle sources.
    pub fn end_epoch(&mut self, end: Timestamp) {
        let EventTimeRule { lateness_ms, idle_ms, .. } = self.rule;
        if lateness_ms == i64::MAX {
            return;
        }
        self.state.sources.retain(|_, source| {
            end.as_millis().saturating_sub(source.heard.as_millis()) <= idle_ms
        });
        let slowest = self.state.sources.values().map(|source| source.newest).min();
        let behind =
            |at: Timestamp, ms| Timestamp::from_millis_unchecked(at.as_millis().saturating_sub(ms));
        let reached = match slowest {
            Some(slowest) => Some(behind(slowest, lateness_ms)),
            None => self.state.newest.map(|newest| behind(newest, -1)),
        };
        self.state.watermark = self.state.watermark.max(reached);
    }

    /// Whether no source is heard of that could hold the watermark.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state.sources.is_empty()
    }
}

/// The watermark of several lanes together: the least of those that have a source, or the greatest
/// if none has.
pub fn common_watermark<'a>(lanes: impl Iterator<Item = &'a EventTime>) -> Option<Timestamp> {
    let (mut least, mut greatest, mut unknown) = (None, None, false);
    for lane in lanes {
        greatest = greatest.max(lane.watermark());
        if !lane.is_idle() {
            unknown |= lane.watermark().is_none();
            least = Some(least.map_or(lane.watermark(), |least| lane.watermark().min(least)));
        }
    }
    match least {
        _ if unknown => None,
        Some(least) => least,
        None => greatest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: EventTimeRule = EventTimeRule { lateness_ms: 100, idle_ms: 1_000, skew_ms: 500 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis_unchecked(millis)
    }

    #[test]
    fn the_slowest_source_holds_the_watermark_until_it_is_idle() {
        let mut lane = EventTime::new(RULE);
        assert_eq!(lane.judge(1, at(1_000), at(1_000)), Verdict::Taken);
        assert_eq!(lane.judge(2, at(1_000), at(400)), Verdict::Taken);
        lane.end_epoch(at(1_020));
        assert_eq!(lane.watermark(), Some(at(300)));
        assert_eq!(lane.judge(1, at(1_900), at(299)), Verdict::Late);
        assert_eq!(lane.judge(1, at(1_900), at(300)), Verdict::Taken);
        lane.end_epoch(at(2_001));
        assert_eq!(lane.watermark(), Some(at(900)));
        lane.end_epoch(at(2_901));
        assert!(lane.is_idle());
        assert_eq!(lane.watermark(), Some(at(1_001)));
    }

    #[test]
    fn without_a_watermark_no_source_is_remembered() {
        let rule = EventTimeRule { skew_ms: 500, ..EventTimeRule::ANY };
        let mut lane = EventTime::new(rule);
        assert_eq!(lane.judge(1, at(1_000), at(1_500)), Verdict::Taken);
        assert_eq!(lane.judge(2, at(1_000), at(1_501)), Verdict::Absurd);
        lane.end_epoch(at(1_000));
        assert_eq!(lane, EventTime::new(rule));
    }

    #[test]
    fn inside_an_epoch_the_order_does_not_matter() {
        let mut lane = EventTime::new(RULE);
        lane.judge(1, at(1_000), at(1_000));
        assert_eq!(lane.judge(1, at(1_000), at(1)), Verdict::Taken);
    }

    #[test]
    fn absurd_times_do_not_move_the_watermark() {
        let mut lane = EventTime::new(RULE);
        lane.judge(1, at(1_000), at(1_500));
        assert_eq!(lane.judge(1, at(1_000), at(1_501)), Verdict::Absurd);
        assert_eq!(lane.judge(1, at(1_000), Timestamp::MAX), Verdict::Absurd);
        lane.end_epoch(at(1_000));
        assert_eq!(lane.watermark(), Some(at(1_400)));
    }

    #[test]
    fn the_watermark_never_goes_back() {
        let mut lane = EventTime::new(RULE);
        lane.judge(1, at(1_000), at(1_000));
        lane.end_epoch(at(1_000));
        // A new source that is 50 ms behind the first, and so in time, starts lower.
        lane.judge(2, at(1_000), at(950));
        lane.end_epoch(at(1_001));
        assert_eq!(lane.watermark(), Some(at(900)));
    }

    #[test]
    fn lanes_agree_on_the_least_watermark_of_those_that_have_a_source() {
        let mut lanes = [EventTime::new(RULE), EventTime::new(RULE), EventTime::new(RULE)];
        assert_eq!(common_watermark(lanes.iter()), None);
        lanes[0].judge(1, at(1_000), at(1_000));
        lanes[1].judge(1, at(1_000), at(600));
        assert_eq!(common_watermark(lanes.iter()), None, "neither has said anything yet");
        lanes.iter_mut().for_each(|lane| lane.end_epoch(at(1_000)));
        assert_eq!(common_watermark(lanes.iter()), Some(at(500)));
        lanes[0].judge(1, at(1_900), at(1_900));
        lanes.iter_mut().for_each(|lane| lane.end_epoch(at(2_001)));
        assert_eq!(common_watermark(lanes.iter()), Some(at(1_800)));
        lanes.iter_mut().for_each(|lane| lane.end_epoch(at(9_999)));
        assert_eq!(common_watermark(lanes.iter()), Some(at(1_901)));
    }
}
