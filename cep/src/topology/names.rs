//! Names in use, and the slots that stand for them until nothing uses them any more.
//!
//! ```text
//! table   hash ──> slot
//! texts   n0 n1 –  n3      keys  k0 k1 –  k3      free [2]
//! ```
//!
//! A new name takes the least free slot, so which slots stand for which names depends on nothing
//! but the order in which names came and were let go. Invariant: `free` holds the slots without a
//! name, the least last; an empty text stands for no name.

use dunlin_index::Slot;
use dunlin_stream::{Key, Strings};
use hashbrown::HashTable;
use smallvec::SmallVec;

/// Names of up to so many bytes take no memory of their own.
const INLINE: usize = 16;

/// The names that are in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    table: HashTable<u32>,
    texts: Vec<SmallVec<[u8; INLINE]>>,
    keys: Vec<Key>,
    free: Vec<u32>,
}

impl Names {
    /// The slot of a name, whose key is `key`; a free one if it has none yet.
    #[inline]
    pub(crate) fn intern(&mut self, name: &str, key: Key) -> Slot {
        let is_it = |&slot: &u32| self.texts[slot as usize].as_slice() == name.as_bytes();
        match self.table.find(key.0, is_it) {
            Some(&slot) => Slot(slot),
            None => self.insert(name, key),
        }
    }

    fn insert(&mut self, name: &str, key: Key) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| self.add_slot());
        self.texts[slot as usize] = SmallVec::from_slice(name.as_bytes());
        self.keys[slot as usize] = key;
        let keys = &self.keys;
        self.table.insert_unique(key.0, slot, |&slot| keys[slot as usize].0);
        Slot(slot)
    }

    fn add_slot(&mut self) -> u32 {
        self.texts.push(SmallVec::new());
        self.keys.push(Key::MIN);
        u32::try_from(self.keys.len() - 1).expect("fewer than 2^32 names")
    }

    /// Reads what looking for these keys will read, so that memory answers many reads at a time.
    pub(crate) fn read_ahead(&self, keys: &[Key]) {
        let read =
            |key: &Key| self.table.find(key.0, |&slot| !self.texts[slot as usize].is_empty());
        std::hint::black_box(
            keys.iter().filter_map(read).map(|&slot| slot as usize).sum::<usize>(),
        );
    }

    /// The bytes of a name.
    #[inline]
    pub(crate) fn bytes_of(&self, slot: Slot) -> &[u8] {
        &self.texts[slot.index()]
    }

    /// The name of a slot.
    pub(crate) fn name(&self, slot: Slot) -> &str {
        std::str::from_utf8(self.bytes_of(slot)).expect("names came as text")
    }

    /// The key of a name.
    #[inline]
    pub(crate) fn key(&self, slot: Slot) -> Key {
        self.keys[slot.index()]
    }

    /// Whether a slot stands for a name.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.texts.get(slot.index()).is_some_and(|text| !text.is_empty())
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many slots there are, free ones included.
    pub(crate) fn slots(&self) -> usize {
        self.texts.len()
    }

    /// Lets go the names that are not used, by slot; a slot without a name is not.
    pub(crate) fn retain(&mut self, used: &[bool]) {
        self.table.retain(|slot| used[*slot as usize]);
        let slots = used.iter().rposition(|&used| used).map_or(0, |last| last + 1);
        self.texts.truncate(slots);
        self.keys.truncate(slots);
        for (text, _) in self.texts.iter_mut().zip(used).filter(|(_, used)| !**used) {
            *text = SmallVec::new();
        }
        self.find_free();
        self.texts.shrink_to(2 * slots);
        self.keys.shrink_to(2 * slots);
        let keys = &self.keys;
        if self.table.len() < self.table.capacity() / 4 {
            self.table.shrink_to(2 * self.table.len(), |&slot| keys[slot as usize].0);
        }
    }

    fn find_free(&mut self) {
        let free = (0..).zip(&self.texts).filter(|(_, text)| text.is_empty());
        self.free = free.map(|(slot, _)| slot).collect();
        self.free.reverse();
    }

    /// The names by slot; an empty text is a free slot.
    pub(crate) fn column(&self) -> Strings {
        (0..).zip(&self.texts).map(|(slot, _)| self.name(Slot(slot))).collect()
    }

    /// The names of a [`column`](Names::column).
    pub(crate) fn from_column(column: &Strings) -> Self {
        let mut names = Self::default();
        for name in column.iter() {
            let slot = names.add_slot();
            let key = Key::of_bytes(name.as_bytes());
            if !name.is_empty() {
                names.free.push(slot);
                names.insert(name, key);
            }
        }
        names.find_free();
        names
    }

    /// How many bytes of memory the names take, free room included.
    pub(crate) fn bytes(&self) -> usize {
        let spilled = self.texts.iter().filter(|text| text.spilled());
        self.table.allocation_size()
            + self.texts.capacity() * size_of::<SmallVec<[u8; INLINE]>>()
            + spilled.map(SmallVec::capacity).sum::<usize>()
            + self.keys.capacity() * size_of::<Key>()
            + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn intern(names: &mut Names, name: &str) -> Slot {
        names.intern(name, Key::of_bytes(name.as_bytes()))
    }

    proptest! {
        /// Names keep their slots while they are used; new ones take the least that is free.
        #[test]
        fn names_are_those_of_a_plain_map(
            steps in prop::collection::vec(
                (prop::collection::vec(0..30u32, 0..12), prop::collection::vec(any::<bool>(), 40)),
                1..12,
            ),
            length in 1..30usize,
        ) {
            let (mut names, mut map) = (Names::default(), BTreeMap::<u32, String>::new());
            for (comes, used) in steps {
                for name in comes.iter().map(|number| format!("{number:0length$}")) {
                    let known = map.iter().find(|(_, known)| **known == name).map(|known| *known.0);
                    let least = (0..).find(|slot| !map.contains_key(slot)).expect("a free one");
                    let slot = known.unwrap_or(least);
                    prop_assert_eq!(intern(&mut names, &name), Slot(slot));
                    map.insert(slot, name);
                }
                for (slot, name) in &map {
                    prop_assert_eq!(names.name(Slot(*slot)), name);
                    prop_assert_eq!(names.key(Slot(*slot)), Key::of_bytes(name.as_bytes()));
                }
                map.retain(|slot, _| used[*slot as usize]);
                let slots = 0..u32::try_from(names.slots()).unwrap();
                names.retain(&slots.map(|slot| map.contains_key(&slot)).collect::<Vec<_>>());
                for slot in 0..40 {
                    prop_assert_eq!(names.has(Slot(slot)), map.contains_key(&slot));
                }
                prop_assert_eq!(names.slots(), map.keys().last().map_or(0, |last| *last as usize + 1));
                names = Names::from_column(&names.column());
            }
        }
    }

    #[test]
    fn memory_is_given_back() {
        let mut names = Names::default();
        for round in 0..50 {
            for number in 0..1_000 {
                intern(&mut names, &format!("a name of more than sixteen bytes {round} {number}"));
            }
            assert!(names.bytes() < 250_000, "{} bytes after {round} rounds", names.bytes());
            let used: Vec<bool> = (0..names.slots()).map(|slot| slot % 1_000 == 7).collect();
            names.retain(&used);
        }
    }
}
