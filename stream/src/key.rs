//! Ordered key spaces, and the table that says which shard owns which range of keys.
//!
//! A shard is a half-open range of keys. What a key is decides the operator: x for strips, a hash
//! for words, plates or objects. Splitting, merging, moving and recovering are the same for all.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// A key of an ordered key space.
///
/// ```
/// use dunlin_stream::Key;
///
/// assert!(Key::of_f64(-122.4) < Key::of_f64(-0.5) && Key::of_f64(-0.5) < Key::of_f64(37.0));
/// assert_eq!(Key::of_f64(0.0), Key::of_f64(-0.0));
/// assert_eq!(Key::of_bytes(b"dunlin"), Key::of_bytes(b"dunlin"));
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Key(pub u64);

impl Key {
    /// The least key.
    pub const MIN: Self = Self(0);

    /// The key of a number that is not NaN; keys are ordered as their numbers are.
    #[inline]
    #[must_use]
    pub fn of_f64(number: f64) -> Self {
        // The bits of positive floats are ordered as they are; those of negative ones backwards.
        let bits = (number + 0.0).to_bits();
        Self(if bits >> 63 == 0 { bits | 1 << 63 } else { !bits })
    }

    /// The number whose key this is; of keys that no number has, infinity or NaN.
    ///
    /// ```
    /// use dunlin_stream::Key;
    ///
    /// assert_eq!(Key::of_f64(-122.4).to_f64(), -122.4);
    /// ```
    #[inline]
    #[must_use]
    pub fn to_f64(self) -> f64 {
        let Self(bits) = self;
        f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
    }

    /// The key of a name: a hash (XXH3) that is the same for ever and on every machine.
    #[inline]
    #[must_use]
    pub fn of_bytes(name: &[u8]) -> Self {
        Self(xxh3_64(name))
    }

    /// The lane, of so many, that records of this key go to.
    ///
    /// # Panics
    /// If there is no lane.
    #[inline]
    #[must_use]
    pub fn lane(self, lanes: usize) -> usize {
        (self.0 % lanes as u64) as usize
    }
}

/// A half-open range of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// The first key inside.
    pub start: Key,
    /// The first key behind; `None` if there is none.
    pub end: Option<Key>,
}

impl KeyRange {
    /// All keys.
    pub const ALL: Self = Self { start: Key::MIN, end: None };

    /// Whether `key` is inside.
    #[must_use]
    pub fn contains(&self, key: Key) -> bool {
        self.start <= key && self.end.is_none_or(|end| key < end)
    }
}

/// Which shard owns which keys: ranges that cover the key space, in order.
///
/// Shards are numbered by their place in this order; the version grows with every change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardTable {
    version: u64,
    /// The first key of each shard, increasing; the first of all is the least key.
    starts: Vec<Key>,
}

impl Default for ShardTable {
    /// One shard owns all.
    fn default() -> Self {
        Self { version: 0, starts: vec![Key::MIN] }
    }
}

impl ShardTable {
    /// `shards` ranges of equal width, for keys that are hashes.
    ///
    /// # Panics
    /// If `shards` is 0.
    #[must_use]
    pub fn even(shards: u32) -> Self {
        assert!(shards > 0, "a table without a shard");
        let width = u64::MAX / u64::from(shards);
        Self { version: 0, starts: (0..u64::from(shards)).map(|i| Key(i * width)).collect() }
    }

    /// A table cut at these keys.
    #[must_use]
    pub fn cut_at(cuts: impl IntoIterator<Item = Key>) -> Self {
        cuts.into_iter().fold(Self::default(), |mut table, cut| {
            table.split(cut);
            table
        })
    }

    /// How often the table was changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many shards there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always a shard")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The shard that owns `key`.
    #[inline]
    #[must_use]
    pub fn shard_of(&self, key: Key) -> usize {
        self.starts.partition_point(|&start| start <= key) - 1
    }

    /// The keys of a shard.
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn range(&self, shard: usize) -> KeyRange {
        KeyRange { start: self.starts[shard], end: self.starts.get(shard + 1).copied() }
    }

    /// The shards that own keys from `first` to `last`, both included.
    #[must_use]
    pub fn shards_between(&self, first: Key, last: Key) -> std::ops::RangeInclusive<usize> {
        self.shard_of(first)..=self.shard_of(last)
    }

    /// Cuts the shard that owns `at` before that key and returns it: it keeps the keys below, the
    /// next one gets the others. `None`, and no change, if a shard begins with `at` already.
    pub fn split(&mut self, at: Key) -> Option<usize> {
        let shard = self.shard_of(at);
        if self.starts[shard] == at {
            return None;
        }
        self.starts.insert(shard + 1, at);
        self.version += 1;
        Some(shard)
    }

    /// Gives a shard the keys of the next one; whether there is a next one.
    pub fn merge(&mut self, shard: usize) -> bool {
        let found = shard + 1 < self.starts.len();
        if found {
            self.starts.remove(shard + 1);
            self.version += 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hashes_never_change() {
        // A log outlives a build: another hash would route its records to other lanes and shards.
        assert_eq!(Key::of_bytes(b""), Key(0x2d06_8005_38d3_94c2));
        assert_eq!(Key::of_bytes(b"dunlin"), Key(xxh3_64(b"dunlin")));
    }

    proptest! {
        #[test]
        fn keys_are_ordered_as_numbers(a in proptest::num::f64::ANY, b in proptest::num::f64::ANY) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(Key::of_f64(a).partial_cmp(&Key::of_f64(b)), a.partial_cmp(&b));
            prop_assert_eq!(Key::of_f64(a).to_f64(), a);
        }

        #[test]
        fn every_key_has_one_owner(
            cuts in proptest::collection::vec(0u64..50, 0..8),
            merged in proptest::collection::vec(0usize..8, 0..4),
            keys in proptest::collection::vec(0u64..50, 1..20),
        ) {
            let mut table = ShardTable::cut_at(cuts.into_iter().map(Key));
            for shard in merged {
                let before = (table.len(), table.version());
                let done = table.merge(shard);
                let change = (before.0 - usize::from(done), before.1 + u64::from(done));
                prop_assert_eq!((table.len(), table.version()), change);
            }
            for key in keys.into_iter().map(Key) {
                let owners: Vec<_> =
                    (0..table.len()).filter(|&shard| table.range(shard).contains(key)).collect();
                prop_assert_eq!(owners, vec![table.shard_of(key)]);
            }
        }
    }
}
