//! Names to slots, fast where names are short and come in no order.
//!
//! A lookup in [`ObjectNames`] follows two pointers after the hash. With a hundred thousand plates
//! each of them misses the caches, which costs more than all the rest of reading a row. Names of at
//! most 16 bytes are therefore also kept whole as keys of a flat table: one miss.

use dunlin_index::{ObjectNames, Slot};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// The names of one kind, each with its slot.
#[derive(Default)]
pub(crate) struct Interner {
    names: ObjectNames,
    short: HashMap<ShortName, Slot, FixedState>,
}

impl Interner {
    /// The slot of `name`, a new one if it has none yet.
    #[inline]
    pub(crate) fn intern(&mut self, name: &str) -> Slot {
        match ShortName::of(name) {
            Some(key) => *self.short.entry(key).or_insert_with(|| self.names.intern(name)),
            None => self.names.intern(name),
        }
    }

    /// All names, in the order in which they first appeared.
    pub(crate) fn into_names(self) -> ObjectNames {
        self.names
    }
}

/// A name of at most 15 bytes: its bytes from the lowest on, its length in the highest byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ShortName(u64, u64);

const BYTES_MAX: usize = 15;

impl ShortName {
    /// Cut from at most two words, which may overlap, since a loop over the bytes would end at
    /// another length each time.
    #[inline]
    fn of(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        let length = bytes.len();
        let (low, high) = match length {
            0 => (0, 0),
            1..4 => {
                let at = |place: usize| u64::from(bytes[place]) << (8 * place);
                (at(0) | at(length / 2) | at(length - 1), 0)
            }
            4..8 => {
                let [first, last] = [bytes.first_chunk()?, bytes.last_chunk()?];
                let [first, last] = [first, last].map(|word| u64::from(u32::from_le_bytes(*word)));
                (first | last << (8 * (length - 4)), 0)
            }
            8 => (u64::from_le_bytes(*bytes.first_chunk()?), 0),
            9..=BYTES_MAX => {
                let [first, last] = [bytes.first_chunk()?, bytes.last_chunk()?];
                let last = u64::from_le_bytes(*last) >> (8 * (16 - length));
                (u64::from_le_bytes(*first), last)
            }
            _ => return None,
        };
        Some(Self(low, high | (length as u64) << 56))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_hold_every_byte() {
        let bytes = "a\u{0}bcdefghijklmno";
        for length in 0..=BYTES_MAX {
            let ShortName(low, high) = ShortName::of(&bytes[..length]).unwrap();
            let mut key = [low.to_le_bytes(), high.to_le_bytes()].concat();
            assert_eq!(key.pop(), Some(length as u8));
            assert_eq!(&key[..length], &bytes.as_bytes()[..length]);
            assert!(key[length..].iter().all(|&byte| byte == 0));
        }
        assert!(ShortName::of(&bytes[..16]).is_none());
    }

    proptest! {
        #[test]
        fn slots_are_those_of_the_names_alone(
            names in proptest::collection::vec("[a-c\u{0}é]{0,18}|[ab]{0,2}", 0..60),
        ) {
            let (mut interner, mut plain) = (Interner::default(), ObjectNames::default());
            for name in &names {
                prop_assert_eq!(interner.intern(name), plain.intern(name), "{:?}", name);
            }
            let interned = interner.into_names();
            prop_assert_eq!(interned.len(), plain.len());
            for slot in (0..plain.len() as u32).map(Slot) {
                prop_assert_eq!(interned.name(slot), plain.name(slot));
            }
        }
    }
}
