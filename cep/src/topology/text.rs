//! Texts in a column: one behind the other, and where each ends.
//!
//! ```text
//! text   "c7c12c7"
//! ends    2  5  7
//! ```
//!
//! Invariant: the ends do not decrease, stand between characters, and the last is the length of the
//! text. A column that is read from bytes is held to it.

use serde::{Deserialize, Serialize};

/// A column of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct TextColumn {
    text: String,
    ends: Vec<u32>,
}

/// A column as it lies in bytes that anybody may have written.
#[derive(Deserialize)]
#[serde(rename = "TextColumn")]
struct Unchecked {
    text: String,
    ends: Vec<u32>,
}

impl TryFrom<Unchecked> for TextColumn {
    type Error = &'static str;

    fn try_from(Unchecked { text, ends }: Unchecked) -> Result<Self, Self::Error> {
        let last = ends.last().map_or(0, |&end| end as usize);
        let are_between = || ends.iter().all(|&end| text.is_char_boundary(end as usize));
        if last == text.len() && ends.is_sorted() && (text.is_ascii() || are_between()) {
            Ok(Self { text, ends })
        } else {
            Err("the ends of texts do not fit them")
        }
    }
}

impl TextColumn {
    /// Adds a text.
    ///
    /// # Panics
    /// If the column is longer than 4 GiB then.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(u32::try_from(self.text.len()).expect("less than 4 GiB of names"));
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The texts, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = &self.text[start..end as usize];
            start = end as usize;
            text
        })
    }

    /// Takes the marked texts out, in order.
    pub(crate) fn take(&mut self, marks: &[bool]) -> Self {
        let (mut taken, mut kept) = (Self::default(), Self::default());
        for (text, &is_marked) in self.iter().zip(marks) {
            if is_marked { taken.push(text) } else { kept.push(text) }
        }
        *self = kept;
        taken
    }
}

impl<T: AsRef<str>> FromIterator<T> for TextColumn {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut column = Self::default();
        texts.into_iter().for_each(|text| column.push(text.as_ref()));
        column
    }
}

#[cfg(test)]
mod tests {
    use dunlin_stream::wire;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_and_what_is_kept_are_all(
            rows in prop::collection::vec(("[aä]{0,3}", any::<bool>()), 0..12),
        ) {
            let marks: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let mut column: TextColumn = rows.iter().map(|row| &row.0).collect();
            prop_assert_eq!(wire::decode(&wire::encode(&column)), Ok(column.clone()));
            let taken = column.take(&marks);
            let with = |mark| rows.iter().filter(move |row| row.1 == mark).map(|row| &row.0[..]);
            prop_assert!(taken.iter().eq(with(true)));
            prop_assert!(column.iter().eq(with(false)));
        }

        #[test]
        fn no_column_is_read_that_would_not_hold(
            text in "[aä]{0,4}",
            ends in prop::collection::vec(0..8u32, 0..4),
        ) {
            let bytes = wire::encode(&(&text, &ends));
            let starts = [0].into_iter().chain(ends.iter().copied());
            let mut spans = starts.zip(&ends).map(|(start, &end)| start as usize..end as usize);
            let is_right = spans.all(|span| text.get(span).is_some())
                && ends.last().map_or(0, |&end| end as usize) == text.len();
            prop_assert_eq!(wire::decode::<TextColumn>(&bytes).is_ok(), is_right);
        }
    }
}
