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
        return members.clear();
    }
    if members.len() <= RANKED_MAX && k <= RANKED_MAX && keep_first_by_rank(members, k) {
        return;
    }
    if members.len() > k {
        members.select_nth_unstable_by(k - 1, |a, b| a.compare(b, names));
        members.truncate(k);
    }
    sort(members, names);
}

/// The most members that are ordered by counting ranks: n² comparisons, none of them a branch.
const RANKED_MAX: usize = 40;

/// Keys that are compared together; more of them are made up by infinite ones.
const LANES: usize = 8;

/// [`keep_first`] for few members, no two of which have one key; says no if two have.
#[inline]
fn keep_first_by_rank(members: &mut Vec<Member>, k: usize) -> bool {
    let mut keys = [f64::INFINITY; RANKED_MAX];
    let mut ranked = [Member { key: 0.0, slot: Slot(0) }; RANKED_MAX];
    keys.iter_mut().zip(members.iter()).for_each(|(key, member)| *key = member.key);
    let keys = &keys[..members.len().next_multiple_of(LANES)];
    let mut rank_sum = 0;
    for member in members.iter() {
        let rank = rank(keys, member.key);
        ranked[rank] = *member;
        rank_sum += rank;
    }
    // Equal keys share the smaller rank, so the ranks sum to less than 0 + 1 + … + (n - 1).
    if rank_sum != members.len() * members.len().saturating_sub(1) / 2 {
        return false;
    }
    members.truncate(k);
    let kept = members.len();
    members.copy_from_slice(&ranked[..kept]);
    true
}

/// How many of `keys` are smaller than `key`.
#[inline]
fn rank(keys: &[f64], key: f64) -> usize {
    keys.iter().map(|&other| usize::from(other < key)).sum()
}

/// The `k`-th smallest of `keys`, 1 ≤ k ≤ their number; reorders them.
#[inline]
pub(crate) fn kth_smallest(keys: &mut [f64], k: usize) -> f64 {
    if keys.len() <= RANKED_MAX {
        let at_rank = keys.iter().find(|&&key| rank(keys, key) == k - 1);
        if let Some(&key) = at_rank {
            return key;
        }
    }
    *keys.select_nth_unstable_by(k - 1, f64::total_cmp).1
}
