//! Closed spans of time, and the two that matter at an instant T: what counts at T, and what
//! counted one millisecond before.

use dunlin_stream::Timestamp;

use crate::rule::Rule;

/// A closed span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl Span {
    /// What counts at `time`: `[time − τ, time]`.
    pub(crate) fn at(time: Timestamp, rule: &Rule) -> Self {
        Self { from: shift(time, -rule.tau_ms), to: time }
    }

    /// What counted a millisecond before.
    pub(crate) fn before(time: Timestamp, rule: &Rule) -> Self {
        Self::at(shift(time, -1), rule)
    }

    /// The part of the span that is within `ms` of `time`.
    #[inline]
    pub(crate) fn near(self, time: Timestamp, ms: i64) -> Self {
        Self { from: self.from.max(shift(time, -ms)), to: self.to.min(shift(time, ms)) }
    }

    #[inline]
    pub(crate) fn contains(self, time: Timestamp) -> bool {
        self.from <= time && time <= self.to
    }
}

/// A time some milliseconds later.
#[inline]
pub(crate) fn shift(time: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millis_unchecked(time.as_millis() + ms)
}
