//! Object names and the small numbers that stand for them.
//!
//! A name is interned once; everything inside works on its [`Slot`]. Names compare as bytes, which
//! is how ties between objects at equal distance are broken.
//!
//! ```text
//! cells     | v 1 2 3 4 5 6 . . . . . . . . 7 |     a name of up to 15 bytes, and how many
//!           | offset (8) | length (4) | . . 255 | ──> long     a longer one
//! lookup    hash of a name ──> slot                            a name that has no entry is a label
//! ```
//!
//! So most names cost 16 bytes and one line of the cache, without an allocation of their own.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

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
        let slot = Slot(u32::try_from(self.texts.cells.len()).expect("fewer than 2^32 objects"));
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
        let found = self.lookup.find(wanted.hash, |&slot| self.texts.is(Slot(slot), &wanted));
        found.map(|&slot| Slot(slot))
    }

    /// The slot of each of `names`, if it has one, faster than one by one: memory answers many reads
    /// at a time, while a lookup waits for one after the other.
    pub fn slots<'a>(&self, names: impl Iterator<Item = &'a str>, slots: &mut Vec<Option<Slot>>) {
        let mut names = names.peekable();
        let mut ahead: Vec<(Wanted<'a>, Option<u32>)> = Vec::with_capacity(AHEAD);
        while names.peek().is_some() {
            ahead.clear();
            ahead.extend(names.by_ref().take(AHEAD).map(|name| (Wanted::new(name), None)));
            // The first slot under a like hash, which mostly is the one.
            for (wanted, first) in &mut ahead {
                *first = self.lookup.find(wanted.hash, |_| true).copied();
            }
            slots.extend(ahead.iter().map(|(wanted, first)| {
                let first = (*first).filter(|&slot| self.texts.is(Slot(slot), wanted));
                first.map(Slot)
            }));
            let done = slots.len() - ahead.len();
            for ((wanted, first), slot) in ahead.iter().zip(&mut slots[done..]) {
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
        for mark in wanted.texts.cells.iter().map(mark) {
            marks[mark / 64] |= 1 << (mark % 64);
        }
        // Where a long name lies says nothing of it.
        let may_be = |cell: &Cell| {
            let mark = mark(cell);
            cell[INLINE_MAX] == LONG || marks[mark / 64] >> (mark % 64) & 1 == 1
        };
        let slots = (0..).map(Slot).zip(&self.texts.cells).filter(|(_, cell)| may_be(cell));
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
        let touch = |seen: u8, slot: &Slot| {
            seen ^ self.texts.cells.get(slot.index()).map_or(0, |cell| cell[INLINE_MAX])
        };
        std::hint::black_box(slots.iter().fold(0, touch));
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
        self.texts.cells.len()
    }

    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.cells.is_empty()
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

/// A name as it stands in its column: inline if short, filled up with zeros, the length last; so
/// short names compare as their cells do.
type Cell = [u8; 16];

const INLINE_MAX: usize = 15;
/// The last byte of the cell of a longer name.
const LONG: u8 = u8::MAX;
/// Bytes of names that are gone, up to which they are left where they are.
const GARBAGE_MIN: usize = 4_096;

/// Marks that short names are told apart by.
const MARKS: usize = 1 << 16;

/// One of [`MARKS`] marks, the same for equal cells.
#[inline]
fn mark(cell: &Cell) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let number = u128::from_le_bytes(*cell);
    let mixed = (number as u64).wrapping_mul(ODD) ^ (number >> 64) as u64;
    (mixed.wrapping_mul(ODD) >> 48) as usize
}

/// The cell of a short name.
#[inline]
fn inline_cell(name: &[u8]) -> Option<Cell> {
    let mut cell = [0; 16];
    cell.get_mut(..name.len()).filter(|_| name.len() <= INLINE_MAX)?.copy_from_slice(name);
    cell[INLINE_MAX] = name.len() as u8;
    Some(cell)
}

/// A name that is looked for.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    name: &'a str,
    hash: u64,
    cell: Option<Cell>,
}

impl<'a> Wanted<'a> {
    #[inline]
    fn new(name: &'a str) -> Self {
        Self { name, hash: hash(name.as_bytes()), cell: inline_cell(name.as_bytes()) }
    }
}

/// Names by slot.
#[derive(Clone, Debug, Default)]
struct Texts {
    cells: Vec<Cell>,
    /// The long names, and what is left of some that are gone.
    long: Vec<u8>,
    garbage: usize,
}

impl Texts {
    fn name(&self, slot: Slot) -> &str {
        std::str::from_utf8(self.bytes(slot)).expect("names are kept whole")
    }

    #[inline]
    fn bytes(&self, slot: Slot) -> &[u8] {
        let cell = &self.cells[slot.index()];
        if cell[INLINE_MAX] == LONG {
            let (offset, len) = place_of(cell);
            &self.long[offset..offset + len]
        } else {
            &cell[..usize::from(cell[INLINE_MAX])]
        }
    }

    #[inline]
    fn is(&self, slot: Slot, wanted: &Wanted<'_>) -> bool {
        match wanted.cell {
            Some(cell) => self.cells[slot.index()] == cell,
            None => self.bytes(slot) == wanted.name.as_bytes(),
        }
    }

    #[inline]
    fn compare(&self, a: Slot, b: Slot) -> Ordering {
        let (a_cell, b_cell) = (&self.cells[a.index()], &self.cells[b.index()]);
        if a_cell[INLINE_MAX] == LONG || b_cell[INLINE_MAX] == LONG {
            self.bytes(a).cmp(self.bytes(b))
        } else {
            a_cell.cmp(b_cell)
        }
    }

    fn set(&mut self, slot: Slot, name: &str) {
        if slot.index() >= self.cells.len() {
            self.cells.resize(slot.index() + 1, [0; 16]);
        }
        if self.cells[slot.index()][INLINE_MAX] == LONG {
            self.garbage += place_of(&self.cells[slot.index()]).1;
        }
        self.cells[slot.index()] = match inline_cell(name.as_bytes()) {
            Some(cell) => cell,
            None => push_long(&mut self.long, name.as_bytes()),
        };
        if self.garbage > GARBAGE_MIN.max(self.long.len() / 2) {
            self.clear_garbage();
        }
    }

    fn clear_garbage(&mut self) {
        let mut long = Vec::with_capacity(self.long.len() - self.garbage);
        for cell in self.cells.iter_mut().filter(|cell| cell[INLINE_MAX] == LONG) {
            let (offset, len) = place_of(cell);
            *cell = push_long(&mut long, &self.long[offset..offset + len]);
        }
        self.long = long;
        self.garbage = 0;
    }
}

/// Where a long name lies: offset and length.
#[inline]
fn place_of(cell: &Cell) -> (usize, usize) {
    let number =
        |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    (number(&cell[..8]), number(&cell[8..12]))
}

fn push_long(long: &mut Vec<u8>, name: &[u8]) -> Cell {
    let mut cell = [0; 16];
    let len = u32::try_from(name.len()).expect("a name of less than 4 GiB");
    cell[..8].copy_from_slice(&(long.len() as u64).to_le_bytes());
    cell[8..12].copy_from_slice(&len.to_le_bytes());
    cell[INLINE_MAX] = LONG;
    long.extend_from_slice(name);
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Short and long names about the border between them, prefixes of each other, zeros.
    fn names() -> impl Strategy<Value = String> {
        prop_oneof!["[ab\\x00]{0,3}", "[ab]{13,18}", "(é|a){7,9}", "[ab]{300}"]
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
    fn names_that_are_gone_cost_no_memory() {
        let mut names = ObjectNames::default();
        for turn in 0..10_000 {
            names.intern_at(Slot(7), &format!("an object with a long name {turn}"));
            names.remove(Slot(7));
        }
        assert!(names.texts.long.len() < 3 * GARBAGE_MIN, "{}", names.texts.long.len());
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
