//! A member of an answer, and the order of answers.

use std::cmp::Ordering;

use dunlin_index::{ObjectNames, Slot};

/// An object in an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// The key of its distance (see [`dunlin_index::Space`]); zero where the question has none.
    pub key: f64,
    /// The object.
    pub slot: Slot,
}

impl Member {
    /// Orders by (distance, name): every answer is unique, whatever the order of search.
    #[inline]
    pub(crate) fn compare(&self, other: &Self, names: &ObjectNames) -> Ordering {
        self.key.total_cmp(&other.key).then_with(|| names.compare(self.slot, other.slot))
    }
}

/// Puts `members` in answer order.
#[inline]
pub(crate) fn sort(members: &mut [Member], names: &ObjectNames) {
    members.sort_unstable_by(|a, b| a.compare(b, names));
}

/// Cuts `members` down to the `k` first in answer order, in that order.
#[inline]
pub(crate) fn keep_first(members: &mut Vec<Member>, k: usize, names: &ObjectNames) {
    if k == 0 {
        members.clear();
    } else if members.len() > k {
        members.select_nth_unstable_by(k - 1, |a, b| a.compare(b, names));
        members.truncate(k);
    }
    sort(members, names);
}
