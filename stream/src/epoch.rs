//! Epochs: the slices of a stream inside which nothing is ordered and at whose end everything
//! agrees.
//!
//! With slices of length Δ, a record stamped `t` belongs to `max(previous, ⌊t/Δ⌋)`: epochs never
//! go back, and they are a pure function of the stream, so a replay cuts it at the same places.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The number of one epoch: the window `[epoch · Δ, (epoch + 1) · Δ)` since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub i64);

/// Assigns epochs to stamps.
///
/// ```
/// use dunlin_stream::{Epoch, EpochClock, Timestamp};
///
/// let mut clock = EpochClock::new(10_000);
/// let at = |millis| Timestamp::from_millis(millis).unwrap();
/// assert_eq!(clock.assign(at(19_999)), Epoch(1));
/// assert_eq!(clock.assign(at(20_000)), Epoch(2));
/// assert_eq!(clock.assign(at(3_000)), Epoch(2)); // never back
/// assert_eq!(clock.end(Epoch(2)), at(30_000));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EpochClock {
    length_ms: i64,
    last: Option<Epoch>,
}

impl EpochClock {
    /// The longest epoch: a year, so that the end of every accepted time's epoch prints.
    pub const LENGTH_MS_MAX: i64 = 365 * 86_400_000;

    /// A clock whose epochs last `length_ms` milliseconds.
    ///
    /// # Panics
    /// If `length_ms` is not in `1..=LENGTH_MS_MAX`.
    #[must_use]
    pub fn new(length_ms: i64) -> Self {
        assert!((1..=Self::LENGTH_MS_MAX).contains(&length_ms), "epoch length {length_ms} ms");
        Self { length_ms, last: None }
    }

    /// A clock that goes on after `last`.
    ///
    /// # Panics
    /// As [`EpochClock::new`].
    #[must_use]
    pub fn resume(length_ms: i64, last: Option<Epoch>) -> Self {
        Self { last, ..Self::new(length_ms) }
    }

    /// The last epoch assigned.
    #[must_use]
    pub fn last(&self) -> Option<Epoch> {
        self.last
    }

    /// The epoch of the next record, stamped `at`.
    pub fn assign(&mut self, at: Timestamp) -> Epoch {
        let stamped = Epoch(at.as_millis().div_euclid(self.length_ms));
        let epoch = self.last.map_or(stamped, |last| last.max(stamped));
        self.last = Some(epoch);
        epoch
    }

    /// The first instant after `epoch`.
    #[must_use]
    pub fn end(&self, epoch: Epoch) -> Timestamp {
        Timestamp::from_millis_unchecked((epoch.0 + 1) * self.length_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_round_down() {
        let mut clock = EpochClock::new(1_000);
        assert_eq!(clock.assign(Timestamp::from_millis_unchecked(-1)), Epoch(-1));
        assert_eq!(clock.end(Epoch(-1)), Timestamp::from_millis_unchecked(0));
    }

    #[test]
    #[should_panic(expected = "epoch length 0 ms")]
    fn an_empty_epoch_is_a_bug() {
        let _ = EpochClock::new(0);
    }
}
