//! Object names and the small numbers that stand for them.
//!
//! A name is interned once; everything inside works on its [`Slot`]. Names compare as bytes, which
//! is how ties between objects at equal distance are broken.
//!
//! ```text
//! texts     slot ──> name                  most in a cell of as few bytes as suit the names
//! lookup    hash of a name ──> slot        a name that has no entry is a label
//! ```

mod texts;

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use self::texts::{Texts, Wanted};

/// The number of an object: its row in every column that is kept per object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot as an index.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The names of all objects, by slot and back.
///
/// ```
/// use dunlin_index::ObjectNames;
///
/// let mut names = ObjectNames::default();
/// let taxi = names.intern("taxi 7");
/// assert_eq!(names.intern("taxi 7"), taxi);
/// assert_eq!(names.name(taxi), "taxi 7");
/// assert_eq!(names.slot("bus"), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ObjectNames {
    texts: Arc<Texts>,
    lookup: HashTable<u32>,
}

/// Names that are looked up together.
const AHEAD: usize = 64;

impl ObjectNames {
    /// The slot of `name`, a new one if it has none yet.
    ///
    /// # Panics
    /// After 2³² names.
    pub fn intern(&mut self, name: &str) -> Slot {
        if let Some(slot) = self.slot(name) {
            return slot;
        }
        let slot = Slot(u32::try_from(self.texts.len()).expect("fewer than 2^32 objects"));
        self.intern_at(slot, name);
        slot
    }

    /// Gives a slot, new or removed before, a name that no slot has yet.
    pub fn intern_at(&mut self, slot: Slot, name: &str) {
        Arc::make_mut(&mut self.texts).set(slot, name);
        let texts = &self.texts;
        let hash_again = |&slot: &u32| hash(texts.bytes(Slot(slot)));
        self.lookup.insert_unique(hash(name.as_bytes()), slot.0, hash_again);
    }

    /// Takes a slot's name away; it may get another.
    pub fn remove(&mut self, slot: Slot) {
        let entry = self.lookup.find_entry(hash(self.texts.bytes(slot)), |&it| it == slot.0);
        if let Ok(entry) = entry {
            entry.remove();
        }
        Arc::make_mut(&mut self.texts).set(slot, "");
    }

    /// Gives a slot a name, instead of the one it had, by which it is not looked up: for who is told
    /// slots together with their names, and needs no memory for a lookup.
    pub fn label(&mut self, slot: Slot, name: &str) {
        Arc::make_mut(&mut self.texts).set(slot, name);
    }

    /// The slot of `name`, if it has one.
    #[inline]
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Slot> {
        let wanted = Wanted::new(name);
        let hash = hash(name.as_bytes());
        let found = self.lookup.find(hash, |&slot| self.texts.is(Slot(slot), &wanted));
        found.map(|&slot| Slot(slot))
    }

    /// The slot of each of `names`, if it has one, faster than one by one: memory answers many reads
    /// at a time, while a lookup waits for one after the other.
    pub fn slots<'a>(&self, names: impl Iterator<Item = &'a str>, slots: &mut Vec<Option<Slot>>) {
        let mut names = names.peekable();
        let mut ahead: Vec<(Wanted<'a>, u64)> = Vec::with_capacity(AHEAD);
        let mut first: Vec<Option<u32>> = Vec::with_capacity(AHEAD);
        while names.peek().is_some() {
            ahead.clear();
            let names = names.by_ref().take(AHEAD);
            ahead.extend(names.map(|name| (Wanted::new(name), hash(name.as_bytes()))));
            // The first slot under a like hash, which mostly is the one.
            first.clear();
            first.extend(ahead.iter().map(|&(_, hash)| self.lookup.find(hash, |_| true).copied()));
            slots.extend(first.iter().zip(&ahead).map(|(first, (wanted, _))| {
                first.filter(|&slot| self.texts.is(Slot(slot), wanted)).map(Slot)
            }));
            let done = slots.len() - ahead.len();
            for ((first, (wanted, _)), slot) in first.iter().zip(&ahead).zip(&mut slots[done..]) {
                if slot.is_none() && first.is_some() {
                    *slot = self.slot(wanted.name);
                }
            }
        }
    }

    /// All slots whose name `wanted` has, labels included, each with its slot there. One pass over
    /// the names: two milliseconds for a million.
    #[must_use]
    pub fn named_as(&self, wanted: &Self) -> Vec<(Slot, Slot)> {
        let mut marks = vec![0u64; MARKS / 64];
        for slot in 0..wanted.len() as u32 {
            let mark = texts::mark(wanted.texts.bytes(Slot(slot))) % MARKS;
            marks[mark / 64] |= 1 << (mark % 64);
        }
        let is_marked = |mark: usize| marks[mark % MARKS / 64] >> (mark % 64) & 1 == 1;
        let may_be = self.texts.marks().map(|mark| mark.is_none_or(is_marked));
        let slots = (0..).map(Slot).zip(may_be).filter(|&(_, may_be)| may_be);
        slots.filter_map(|(slot, _)| Some((slot, wanted.slot(self.name(slot))?))).collect()
    }

    /// The name of `slot`.
    ///
    /// # Panics
    /// If the slot is not one of these names'.
    #[must_use]
    pub fn name(&self, slot: Slot) -> &str {
        self.texts.name(slot)
    }

    /// Reads the names of slots, and does nothing with them: memory answers many such reads at a
    /// time, while one that needs a name would wait for each.
    pub fn read_ahead(&self, slots: &[Slot]) {
        std::hint::black_box(slots.iter().fold(0, |seen, &slot| seen ^ self.texts.touch(slot)));
    }

    /// The names of now by slot, for as long as they are wanted. Nothing is copied until a name
    /// changes while they are.
    #[must_use]
    pub fn share(&self) -> SharedNames {
        SharedNames(self.texts.clone())
    }

    /// How the names of two slots compare, as bytes.
    #[inline]
    #[must_use]
    pub fn compare(&self, a: Slot, b: Slot) -> Ordering {
        self.texts.compare(a, b)
    }

    /// How many names there are, those that were taken away included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.len() == 0
    }
}

/// The names of objects at one time, by slot.
#[derive(Clone, Debug)]
pub struct SharedNames(Arc<Texts>);

impl SharedNames {
    /// The name of `slot`.
    ///
    /// # Panics
    /// If the slot is not one of these names'.
    #[must_use]
    pub fn name(&self, slot: Slot) -> &str {
        self.0.name(slot)
    }
}

/// The same for ever and on every machine, though nothing relies on it.
#[inline]
fn hash(name: &[u8]) -> u64 {
    FixedState::default().hash_one(name)
}

/// How many marks names are told apart by.
const MARKS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Names about the borders between lengths of cells, prefixes of each other, zeros.
    fn names() -> impl Strategy<Value = String> {
        prop_oneof!["[ab\\x00]{0,9}", "[ab]{13,18}", "(é|a){7,9}", "[ab]{37,41}", "[ab]{300}"]
    }

    #[test]
    fn shared_names_stay_as_they_were() {
        let mut names = ObjectNames::default();
        let (a, b) = (names.intern("a"), names.intern(&"b".repeat(40)));
        let before = names.share();
        names.remove(a);
        names.label(b, "c");
        names.intern_at(a, "d");
        assert_eq!((before.name(a), before.name(b)), ("a", &*"b".repeat(40)));
        assert_eq!((names.name(a), names.name(b)), ("d", "c"));
    }

    proptest! {
        #[test]
        fn names_are_kept_and_compare_as_bytes(all in prop::collection::vec(names(), 1..40)) {
            let mut interned = ObjectNames::default();
            let slots: Vec<_> = all.iter().map(|name| interned.intern(name)).collect();
            for (a, &slot) in all.iter().zip(&slots) {
                prop_assert_eq!(interned.name(slot), a);
                for (b, &other) in all.iter().zip(&slots) {
                    prop_assert_eq!(slot == other, a == b);
                    prop_assert_eq!(interned.compare(slot, other), a.as_bytes().cmp(b.as_bytes()));
                }
            }
        }

        #[test]
        fn slots_are_used_again(
            steps in prop::collection::vec((any::<bool>(), 0u32..30, names()), 1..300),
        ) {
            let (mut names, mut labels) = (ObjectNames::default(), ObjectNames::default());
            let (mut expected, mut labelled) = (BTreeMap::new(), BTreeMap::new());
            for (stays, slot, name) in steps {
                labels.label(Slot(slot), &name);
                labelled.insert(slot, name.clone());
                if expected.remove(&slot).is_some() {
                    names.remove(Slot(slot));
                }
                if stays && !expected.values().any(|other| *other == name) {
                    names.intern_at(Slot(slot), &name);
                    expected.insert(slot, name);
                }
            }
            let mut slots = Vec::new();
            names.slots(labelled.values().map(String::as_str), &mut slots);
            prop_assert_eq!(slots.len(), labelled.len());
            for ((&slot, name), found) in labelled.iter().zip(slots) {
                prop_assert_eq!(labels.name(Slot(slot)), name);
                prop_assert_eq!(labels.slot(name), None);
                let owner = expected.iter().find(|(_, other)| *other == name);
                prop_assert_eq!(found, owner.map(|(&slot, _)| Slot(slot)));
                prop_assert_eq!(names.slot(name), found);
            }
            let named = labelled.iter().filter_map(|(&slot, name)| {
                Some((Slot(slot), names.slot(name)?))
            });
            let unlabelled = labels.named_as(&names).into_iter();
            let labelled_ones = unlabelled.filter(|(slot, _)| labelled.contains_key(&slot.0));
            prop_assert_eq!(labelled_ones.collect::<Vec<_>>(), named.collect::<Vec<_>>());
        }
    }

    #[test]
    fn many_names_are_found_together() {
        let all: Vec<String> = (0..10_000).map(|i| format!("v{i}")).collect();
        let mut names = ObjectNames::default();
        for name in all.iter().step_by(2) {
            names.intern(name);
        }
        let mut slots = Vec::new();
        names.slots(all.iter().map(String::as_str), &mut slots);
        let expected = |i: u32| i.is_multiple_of(2).then_some(Slot(i / 2));
        assert_eq!(slots, (0..10_000).map(expected).collect::<Vec<_>>());
    }
}
