//! The times of objects' last reports, in four bytes each.
//!
//! ```text
//! base                    base + 49 days
//!   |---- near: milliseconds ----|          beside the object
//!   elsewhere: far, in full                 in a table of its own, by slot
//! ```
//!
//! Objects of one feed report within days of each other. Where many do not, the base goes to where the
//! reports are now.

use std::collections::BTreeMap;

use dunlin_index::Slot;
use dunlin_stream::Timestamp;

/// A time as it lies beside its object: the difference from the base in milliseconds, or one of two
/// marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Near(u32);

impl Near {
    /// Before any time.
    pub(super) const NEVER: Self = Self(u32::MAX);
    /// The time is in the table.
    const FAR: Self = Self(u32::MAX - 1);
}

/// The greatest difference.
const SPAN_MS: i64 = u32::MAX as i64 - 2;
/// So many far times are no reason to look for another base.
const FAR_FEW: usize = 1_024;
/// Nor is this share of all objects.
const FAR_SHARE: usize = 8;

/// What the times beside the objects are counted from, and those that are far from it.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// In milliseconds; `None` before the first time.
    base: Option<i64>,
    far: BTreeMap<Slot, Timestamp>,
    /// How many were far under this base from the beginning.
    far_at_first: usize,
}

impl Times {
    /// The time of an object.
    #[inline]
    pub(super) fn get(&self, slot: Slot, near: Near) -> Timestamp {
        match (near, self.base) {
            (Near::FAR, _) => self.far[&slot],
            (Near(offset), Some(base)) if near != Near::NEVER => {
                Timestamp::from_millis_unchecked(base + i64::from(offset))
            }
            _ => Timestamp::from_millis_unchecked(i64::MIN),
        }
    }

    /// Gives an object another time: what is to lie beside it.
    #[inline]
    pub(super) fn put(&mut self, slot: Slot, was: Near, time: Timestamp) -> Near {
        match self.near(time) {
            Some(near) if was != Near::FAR => near,
            near => self.put_rarely(slot, near, time),
        }
    }

    fn near(&self, time: Timestamp) -> Option<Near> {
        let offset = time.as_millis().checked_sub(self.base?)?;
        (0..=SPAN_MS).contains(&offset).then_some(Near(offset as u32))
    }

    /// Of a time that is far, or the object's last was.
    fn put_rarely(&mut self, slot: Slot, near: Option<Near>, time: Timestamp) -> Near {
        self.far.remove(&slot);
        if self.base.is_none() {
            self.base = Some(base_about(time));
        }
        near.or_else(|| self.near(time)).unwrap_or_else(|| {
            self.far.insert(slot, time);
            Near::FAR
        })
    }

    /// An object has no time any more.
    pub(super) fn forget(&mut self, slot: Slot, was: Near) {
        if was == Near::FAR {
            self.far.remove(&slot);
        }
    }

    /// Whether so many of all objects are far that [`Times::count_from`] should be asked for another
    /// base.
    pub(super) fn is_elsewhere(&self, objects: usize) -> bool {
        self.far.len() > 2 * self.far_at_first + FAR_FEW + objects / FAR_SHARE
    }

    /// Counts from another base, in the middle of whose span `now` lies. O(objects).
    pub(super) fn count_from<'a>(
        &mut self,
        now: Timestamp,
        objects: impl Iterator<Item = (Slot, &'a mut Near)>,
    ) {
        let before = std::mem::take(self);
        self.base = Some(base_about(now));
        for (slot, near) in objects {
            if *near != Near::NEVER {
                let time = before.get(slot, *near);
                *near = self.put(slot, Near::NEVER, time);
            }
        }
        self.far_at_first = self.far.len();
    }
}

fn base_about(time: Timestamp) -> i64 {
    time.as_millis().saturating_sub(SPAN_MS / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEVER: Timestamp = Timestamp::from_millis_unchecked(i64::MIN);

    /// Most near some base, some at the edges of its span, some anywhere.
    fn times() -> impl Strategy<Value = i64> {
        let edge = prop::sample::select(vec![-SPAN_MS / 2, SPAN_MS / 2 + 1, SPAN_MS, 0]);
        prop_oneof![
            6 => -1_000i64..1_000,
            3 => (edge, -2i64..3).prop_map(|(edge, more)| edge + more),
            1 => -100_000_000_000_000i64..100_000_000_000_000,
        ]
    }

    proptest! {
        #[test]
        fn times_are_those_that_were_put(
            steps in prop::collection::vec((0u32..20, prop::option::of(times()), 0u8..20), 1..300),
        ) {
            let mut times = Times::default();
            let mut near = [Near::NEVER; 20];
            let mut expected = [NEVER; 20];
            for (slot, time, turn) in steps {
                let (index, slot) = (slot as usize, Slot(slot));
                let time = time.map(Timestamp::from_millis_unchecked);
                match time {
                    Some(time) => near[index] = times.put(slot, near[index], time),
                    None => {
                        times.forget(slot, near[index]);
                        near[index] = Near::NEVER;
                    }
                }
                expected[index] = time.unwrap_or(NEVER);
                if let (0, Some(now)) = (turn, time) {
                    times.count_from(now, (0..).map(Slot).zip(&mut near));
                }
                let far = near.iter().filter(|&&it| it == Near::FAR).count();
                prop_assert_eq!(times.far.len(), far);
                for (index, slot) in (0..20).map(Slot).enumerate() {
                    prop_assert_eq!(times.get(slot, near[index]), expected[index]);
                    prop_assert_eq!(near[index] == Near::NEVER, expected[index] == NEVER);
                }
            }
        }
    }

    #[test]
    fn the_base_follows_the_reports_and_does_not_go_to_and_fro() {
        const OBJECTS: u32 = 10_000;
        let day = |day: i64| Timestamp::from_millis_unchecked(day * 86_400_000);
        let mut times = Times::default();
        let mut near = vec![Near::NEVER; OBJECTS as usize];
        let mut report = |times: &mut Times, slot: u32, at: Timestamp| {
            near[slot as usize] = times.put(Slot(slot), near[slot as usize], at);
            let is_due = times.is_elsewhere(near.len());
            if is_due {
                times.count_from(at, (0..).map(Slot).zip(&mut near));
            }
            is_due
        };
        (0..OBJECTS).for_each(|slot| assert!(!report(&mut times, slot, day(0))));
        // A year later: once enough have come, the base goes there.
        let moved = (0..OBJECTS).filter(|&slot| report(&mut times, slot, day(365))).count();
        assert!((1..4).contains(&moved), "{moved}");
        assert!(times.far.len() < FAR_FEW + OBJECTS as usize / FAR_SHARE);
        // Half of them there and half here: no base suits all.
        let at = |slot: u32| day(i64::from(slot % 2) * 365);
        let moved =
            (0..10 * OBJECTS).filter(|it| report(&mut times, it % OBJECTS, at(*it))).count();
        assert!(moved < 4, "{moved}");
    }
}
