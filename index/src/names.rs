//! Object names and the small numbers that stand for them.
//!
//! A name is interned once; everything inside works on its [`Slot`]. Names compare as bytes, which
//! is how ties between objects at equal distance are broken.

use std::cmp::Ordering;

use foldhash::fast::FixedState;
use indexmap::IndexSet;

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
    names: IndexSet<Box<str>, FixedState>,
}

impl ObjectNames {
    /// The slot of `name`, a new one if it has none yet.
    ///
    /// # Panics
    /// After 2³² names.
    pub fn intern(&mut self, name: &str) -> Slot {
        let index = match self.names.get_index_of(name) {
            Some(index) => index,
            None => self.names.insert_full(name.into()).0,
        };
        Slot(u32::try_from(index).expect("fewer than 2^32 objects"))
    }

    /// The slot of `name`, if it has one.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Slot> {
        let index = self.names.get_index_of(name)?;
        Some(Slot(u32::try_from(index).expect("fewer than 2^32 objects")))
    }

    /// The name of `slot`.
    ///
    /// # Panics
    /// If the slot is not one of these names'.
    #[must_use]
    pub fn name(&self, slot: Slot) -> &str {
        &self.names[slot.index()]
    }

    /// How the names of two slots compare, as bytes.
    #[must_use]
    pub fn compare(&self, a: Slot, b: Slot) -> Ordering {
        self.name(a).as_bytes().cmp(self.name(b).as_bytes())
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}
