//! State by name, for operators whose shards own ranges of hashes.

use indexmap::IndexMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

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
    values: IndexMap<Box<str>, Cell<V>, Xxh3DefaultBuilder>,
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
    pub fn take_touched(&mut self) -> Vec<(Box<str>, V)>
    where
        V: Clone,
    {
        let mut touched = Vec::with_capacity(self.touched.len());
        for at in self.touched.drain(..) {
            self.values[at].touched = false;
            let found = self.values.get_index(at);
            touched.extend(found.map(|(name, cell)| (name.clone(), cell.value.clone())));
        }
        touched.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        touched
    }

    /// Hands the names whose hashes are `at` or greater to `upper`, between epochs.
    pub fn split(&mut self, at: Key, upper: &mut Self) {
        let below = |(name, _): &(Box<str>, _)| Key::of_bytes(name.as_bytes()) < at;
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
        let values: Vec<(Box<str>, V)> = wire::decode(state)?;
        let cell = |(name, value)| (name, Cell { value, touched: false });
        self.values = values.into_iter().map(cell).collect();
        Ok(())
    }
}
