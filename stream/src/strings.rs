//! A column of strings: one text, and where each string ends in it.
//!
//! ```text
//! text   "c7c12c7"
//! ends    2  5  7
//! ```
//!
//! Invariant: the ends do not decrease, stand between characters, and the last is the length of the
//! text. On the wire the lengths stand for the ends, a byte each as a rule; what is read is held to
//! the invariant.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event_time::RowsOfTime;
use crate::{Epoch, Key, Router, Routes};

/// Strings in one piece of memory.
///
/// ```
/// use dunlin_stream::Strings;
///
/// let words: Strings = ["turn", "as", "one"].into_iter().collect();
/// assert_eq!((words.len(), words.get(1)), (3, "as"));
/// assert!(words.iter().eq(["turn", "as", "one"]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    /// Room for so many strings of the length of a name.
    #[must_use]
    pub fn with_capacity(strings: usize) -> Self {
        const USUAL_BYTES: usize = 8;
        let text = String::with_capacity(strings * USUAL_BYTES);
        Self { text, ends: Vec::with_capacity(strings) }
    }

    /// Adds a string at the end.
    ///
    /// # Panics
    /// If all strings together are 4 GiB or longer.
    #[inline]
    pub fn push(&mut self, string: &str) {
        self.text.push_str(string);
        self.ends.push(u32::try_from(self.text.len()).expect("less than 4 GiB of text"));
    }

    /// Adds all strings of another column at the end.
    ///
    /// # Panics
    /// If all strings together are 4 GiB or longer.
    pub fn append(&mut self, other: &Self) {
        let start = self.text.len();
        self.text.push_str(&other.text);
        assert!(u32::try_from(self.text.len()).is_ok(), "less than 4 GiB of text");
        // Not one of the ends is beyond the text's.
        self.ends.extend(other.ends.iter().map(|&end| start as u32 + end));
    }

    /// The string of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[start as usize..self.ends[row] as usize]
    }

    /// All strings, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let string = &self.text[start..end as usize];
            start = end as usize;
            string
        })
    }

    /// How many strings there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes of text there are.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Lets all strings go and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

impl<T: AsRef<str>> FromIterator<T> for Strings {
    fn from_iter<I: IntoIterator<Item = T>>(strings: I) -> Self {
        let mut column = Self::default();
        strings.into_iter().for_each(|string| column.push(string.as_ref()));
        column
    }
}

impl Serialize for Strings {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        (&self.text, Lens(&self.ends)).serialize(serializer)
    }
}

/// Strings that serialize as a column of them does, without being copied into one first.
#[derive(Clone, Debug)]
pub struct AsStrings<I>(pub I);

impl<'a, I: ExactSizeIterator<Item = &'a str> + Clone> Serialize for AsStrings<I> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        (Text(self.0.clone()), LensOf(self.0.clone())).serialize(serializer)
    }
}

/// All strings as one.
struct Text<I>(I);

impl<'a, I: Iterator<Item = &'a str> + Clone> Serialize for Text<I> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.collect_str(self)
    }
}

impl<'a, I: Iterator<Item = &'a str> + Clone> fmt::Display for Text<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.clone().try_for_each(|string| f.write_str(string))
    }
}

/// The lengths of strings.
struct LensOf<I>(I);

impl<'a, I: ExactSizeIterator<Item = &'a str> + Clone> Serialize for LensOf<I> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.collect_seq(self.0.clone().map(str::len))
    }
}

/// The lengths of strings by their ends.
struct Lens<'a>(&'a [u32]);

impl Serialize for Lens<'_> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let mut start = 0;
        serializer.collect_seq(self.0.iter().map(|&end| end - std::mem::replace(&mut start, end)))
    }
}

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (text, mut ends) = <(String, Vec<u32>)>::deserialize(deserializer)?;
        let mut end = 0u32;
        for len in &mut ends {
            let next = end.checked_add(*len).filter(|&next| text.is_char_boundary(next as usize));
            end = next.ok_or_else(|| D::Error::custom("a string ends outside the text"))?;
            *len = end;
        }
        if end as usize == text.len() {
            Ok(Self { text, ends })
        } else {
            Err(D::Error::custom("text behind the last string"))
        }
    }
}

/// Strings alone are records without an event time, such as words.
impl RowsOfTime for Strings {
    fn rows(&self) -> usize {
        self.len()
    }

    fn take_rows(&mut self, marks: &[bool]) -> Self {
        let (mut taken, mut kept) = (Self::default(), Self::default());
        for (string, &is_marked) in self.iter().zip(marks) {
            if is_marked { taken.push(string) } else { kept.push(string) }
        }
        *self = kept;
        taken
    }
}

/// Routes each string to the shard that owns its hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByHash;

impl Router for ByHash {
    type Batch = Strings;
    type Ops = Strings;

    fn route(&mut self, _: Epoch, strings: Strings, to: &mut Routes<'_, Strings>) {
        if to.table().len() == 1 {
            return to.to(0).append(&strings);
        }
        strings.iter().for_each(|string| to.by_key(Key::of_bytes(string.as_bytes())).push(string));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire;

    proptest! {
        #[test]
        fn what_is_taken_and_what_is_kept_are_all(
            rows in prop::collection::vec(("[aä]{0,3}", any::<bool>()), 0..12),
        ) {
            let marks: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let mut column: Strings = rows.iter().map(|row| &row.0).collect();
            prop_assert_eq!(wire::decode(&wire::encode(&column)), Ok(column.clone()));
            prop_assert_eq!(wire::encode(&AsStrings(column.iter())), wire::encode(&column));
            let taken = column.take_rows(&marks);
            let with = |mark| rows.iter().filter(move |row| row.1 == mark).map(|row| &row.0[..]);
            prop_assert!(taken.iter().eq(with(true)));
            prop_assert!((0..column.len()).map(|row| column.get(row)).eq(with(false)));
        }

        #[test]
        fn a_column_behind_another_is_both(
            [first, second] in prop::array::uniform2(prop::collection::vec("[aä]{0,3}", 0..6)),
        ) {
            let column = |strings: &[String]| strings.iter().collect::<Strings>();
            let mut both = column(&first);
            both.append(&column(&second));
            prop_assert_eq!(both, column(&[first, second].concat()));
        }

        #[test]
        fn no_column_is_read_that_would_not_hold(
            text in "[aä]{0,4}",
            lens in prop::collection::vec(prop_oneof![0..4u32, Just(u32::MAX)], 0..4),
        ) {
            let bytes = wire::encode(&(&text, &lens));
            let mut rest = Some(text.as_str());
            for &len in &lens {
                rest = rest.and_then(|rest| rest.get(len as usize..));
            }
            prop_assert_eq!(wire::decode::<Strings>(&bytes).is_ok(), rest == Some(""));
        }
    }
}
