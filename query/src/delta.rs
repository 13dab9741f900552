//! Deltas: what an epoch changed in an answer.
//!
//! A delta lists the objects that left, and with their new rank those that entered or changed
//! their order; the others keep the order they had. So it leads from the previous answer to the
//! next without knowing how ties are broken:
//!
//! ```text
//! previous  a b c d      leave c, enter x at 0, reorder b at 3      next  x a d b
//! ```

use dunlin_index::Slot;

use crate::member::Member;

/// One change of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The object is no longer in the answer.
    Leave(Slot),
    /// The object is new in the answer, at this index.
    Enter(usize, Member),
    /// The object is at this index now, in another order than before to those that keep theirs.
    Reorder(usize, Member),
    /// The object keeps its order, but it or the focus may have moved.
    Move(Member),
}

/// The changes from one answer to the next: first those that leave, then the others by index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    changes: Vec<Change>,
}

impl Delta {
    /// The changes from `previous` to `next`; `moved` says which objects may have moved.
    #[must_use]
    pub fn between(previous: &[Member], next: &[Member], moved: impl Fn(Slot) -> bool) -> Self {
        let mut before: Vec<_> =
            (0..).zip(previous).map(|(rank, m)| (m.slot, rank, m.key)).collect();
        before.sort_unstable_by_key(|&(slot, ..)| slot);
        let mut after: Vec<_> = next.iter().map(|member| member.slot).collect();
        after.sort_unstable();
        let left = previous.iter().filter(|member| after.binary_search(&member.slot).is_err());
        let mut changes: Vec<_> = left.map(|member| Change::Leave(member.slot)).collect();
        let mut last_kept = None;
        for (rank, &member) in next.iter().enumerate() {
            let found = before.binary_search_by_key(&member.slot, |&(slot, ..)| slot);
            let Ok(found) = found else {
                changes.push(Change::Enter(rank, member));
                continue;
            };
            let (_, rank_before, key) = before[found];
            if last_kept.is_some_and(|last| rank_before < last) {
                changes.push(Change::Reorder(rank, member));
                continue;
            }
            last_kept = Some(rank_before);
            if key != member.key || moved(member.slot) {
                changes.push(Change::Move(member));
            }
        }
        Self { changes }
    }

    /// The changes.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Makes the previous answer the next.
    pub fn apply(&self, answer: &mut Vec<Member>) {
        let out = |member: &Member| {
            self.changes.iter().any(|change| match change {
                Change::Leave(slot) => *slot == member.slot,
                Change::Reorder(_, moved) => moved.slot == member.slot,
                _ => false,
            })
        };
        answer.retain(|member| !out(member));
        for change in &self.changes {
            match *change {
                Change::Leave(_) => {}
                Change::Enter(rank, member) | Change::Reorder(rank, member) => {
                    answer.insert(rank, member);
                }
                Change::Move(member) => {
                    let old = answer.iter_mut().find(|old| old.slot == member.slot);
                    *old.expect("what moves was in the previous answer") = member;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answers() -> impl Strategy<Value = Vec<Member>> {
        let slots = prop::sample::subsequence((0..12).collect::<Vec<u32>>(), 0..12).prop_shuffle();
        slots.prop_flat_map(|slots| {
            let len = slots.len();
            (Just(slots), prop::collection::vec(0u8..4, len)).prop_map(|(slots, keys)| {
                let members = slots.into_iter().zip(keys);
                members
                    .map(|(slot, key)| Member { key: f64::from(key), slot: Slot(slot) })
                    .collect()
            })
        })
    }

    proptest! {
        #[test]
        fn a_delta_leads_to_the_next_answer(previous in answers(), next in answers()) {
            let delta = Delta::between(&previous, &next, |_| false);
            let mut answer = previous;
            delta.apply(&mut answer);
            prop_assert_eq!(answer, next);
        }
    }

    #[test]
    fn a_delta_says_no_more_than_needed() {
        let member = |slot, key| Member { key, slot: Slot(slot) };
        let previous = [member(0, 1.0), member(1, 2.0), member(2, 3.0)];
        assert_eq!(Delta::between(&previous, &previous, |_| false), Delta::default());
        let next = [member(0, 1.0), member(3, 1.5), member(2, 3.0)];
        let delta = Delta::between(&previous, &next, |_| false);
        assert_eq!(delta.changes(), [Change::Leave(Slot(1)), Change::Enter(1, member(3, 1.5))]);
    }
}
