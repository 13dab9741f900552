//! State by name, for operators whose shards own ranges of hashes.
//!
//! A record looks its name up, and with many names each look misses the caches. So a name lies in
//! its entry, if it has at most 24 bytes, and not somewhere on the heap.

use compact_str::CompactString;
use foldhash::fast::FixedState;
use indexmap::IndexMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Key;
use crate::wire::{self, DecodeError};

/// A value for each name, and which names were touched since the epoch began. All that an operator
/// must be able to do with its state, a shard's part of the names can do.
///
/// ```
/// use dunlin_stream::KeyedState;
///
/// let mut counts = KeyedState::<u64>::default();
/// ["b", "a", "b"].iter().for_each(|word| *counts.touch(word) += 1);
/// assert_eq!(counts.take_touched(), [("a".into(), 1), ("b".into(), 2)]);
/// assert_eq!(counts.take_touched(), []);
/// ```
#[derive(Clone, Debug)]
pub struct KeyedState<V> {
    values: IndexMap<CompactString, Cell<V>, FixedState>,
    /// Where the touched names are.
    touched: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Cell<V> {
    value: V,
    touched: bool,
}

impl<V> Default for KeyedState<V> {
    fn default() -> Self {
        Self { values: IndexMap::default(), touched: Vec::new() }
    }
}

impl<V: Default> KeyedState<V> {
    /// The value of a name, which counts as touched.
    pub fn touch(&mut self, name: &str) -> &mut V {
        let at = match self.values.get_index_of(name) {
            Some(at) => at,
            None => self.values.insert_full(name.into(), Cell::default()).0,
        };
        let cell = &mut self.values[at];
        if !std::mem::replace(&mut cell.touched, true) {
            self.touched.push(at);
        }
        &mut cell.value
    }

    /// The value of a name, if it was ever touched.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        self.values.get(name).map(|cell| &cell.value)
    }

    /// All names and values, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.values.iter().map(|(name, cell)| (&**name, &cell.value))
    }

    /// The touched names, in order, with their values; then none is touched any more.
    pub fn take_touched(&mut self) -> Vec<(CompactString, V)>
    where
        V: Clone,
    {
        let Self { values, touched } = self;
        let name = |at: usize| values.get_index(at).map_or("", |(name, _)| name.as_str());
        let beginnings = touched.drain(..).map(|at| (beginning(name(at)), at));
        let mut order: Vec<(u128, usize)> = beginnings.collect();
        order.sort_unstable_by(|&(a, a_at), &(b, b_at)| {
            a.cmp(&b).then_with(|| name(a_at).cmp(name(b_at)))
        });
        let take = |(_, at): (u128, usize)| {
            let (name, cell) = values.get_index_mut(at)?;
            cell.touched = false;
            Some((name.clone(), cell.value.clone()))
        };
        order.into_iter().filter_map(take).collect()
    }

    /// Hands the names whose hashes are `at` or greater to `upper`, between epochs.
    pub fn split(&mut self, at: Key, upper: &mut Self) {
        let below = |(name, _): &(CompactString, _)| Key::of_bytes(name.as_bytes()) < at;
        (self.values, upper.values) = self.values.drain(..).partition(below);
    }

    /// Takes over the names of another shard, between epochs.
    pub fn merge(&mut self, upper: Self) {
        self.values.extend(upper.values);
    }
}

impl<V: Default + Serialize + DeserializeOwned> KeyedState<V> {
    /// The state at the end of an epoch.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        wire::encode(&self.iter().collect::<Vec<_>>())
    }

    /// Takes over the state of a snapshot.
    ///
    /// # Errors
    /// Bytes that are no such snapshot.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        let values: Vec<(CompactString, V)> = wire::decode(state)?;
        let cell = |(name, value)| (name, Cell { value, touched: false });
        self.values = values.into_iter().map(cell).collect();
        Ok(())
    }
}

/// The first bytes of a name as a number, which is ordered as they are and compared at once.
fn beginning(name: &str) -> u128 {
    const BYTES: usize = size_of::<u128>();
    let mut bytes = [0; BYTES];
    let length = name.len().min(BYTES);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_touched_is_told_once_and_in_order(
            epochs in prop::collection::vec(prop::collection::vec("[ab\u{0}é]{0,2}|é{8}[a\u{0}]{0,9}", 0..40), 0..4),
        ) {
            let (mut state, mut counts) = (KeyedState::<u64>::default(), BTreeMap::new());
            for names in &epochs {
                for name in names {
                    *state.touch(name) += 1;
                    *counts.entry(name.as_str()).or_insert(0) += 1;
                }
                let told = state.take_touched();
                let touched = counts.iter().filter(|(name, _)| names.iter().any(|it| it == **name));
                prop_assert!(told.iter().map(|(name, count)| (name.as_str(), count)).eq(
                    touched.map(|(name, count)| (*name, count))
                ));
                prop_assert!(state.take_touched().is_empty());
            }
            prop_assert!(counts.iter().all(|(name, count)| state.get(name) == Some(count)));
        }
    }
}
