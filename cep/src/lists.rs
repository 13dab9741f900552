//! Sorted lists of numbers by object, which forget what has expired.
//!
//! Expired numbers go with a sweep, eight times in τ.

use dunlin_index::Slot;
use dunlin_stream::Timestamp;
use indexmap::IndexMap;

use crate::rule::Rule;

/// Lists of numbers by object.
#[derive(Debug)]
pub(crate) struct Lists<N> {
    lists: IndexMap<Slot, Vec<N>, foldhash::fast::FixedState>,
    sweep_ms: i64,
    swept: Option<Timestamp>,
}

impl<N: Copy + Ord> Lists<N> {
    pub(crate) fn new(rule: &Rule) -> Self {
        Self { lists: IndexMap::default(), sweep_ms: rule.tau_ms / 8 + 1, swept: None }
    }

    /// Adds a number, usually one of the last, if it is not there yet.
    pub(crate) fn insert(&mut self, object: Slot, number: N) {
        let list = self.lists.entry(object).or_default();
        let place = list.iter().rposition(|have| *have <= number).map_or(0, |place| place + 1);
        if place == 0 || list[place - 1] != number {
            list.insert(place, number);
        }
    }

    pub(crate) fn of(&self, object: Slot) -> &[N] {
        self.lists.get(&object).map_or(&[], Vec::as_slice)
    }

    /// Sweeps, if it is time to.
    pub(crate) fn expire(&mut self, now: Timestamp, is_live: impl Fn(N) -> bool) {
        let since = *self.swept.get_or_insert(now);
        if now.as_millis() - since.as_millis() >= self.sweep_ms {
            self.swept = Some(now);
            self.lists.retain(|_, list| {
                list.retain(|number| is_live(*number));
                !list.is_empty()
            });
        }
    }
}
