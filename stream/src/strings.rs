//! A column of strings: one text, and where each string ends in it.

use serde::{Deserialize, Serialize};

use crate::event_time::RowsOfTime;

/// Strings in one piece of memory, and on the wire without a length for each to be read first.
///
/// ```
/// use dunlin_stream::Strings;
///
/// let words: Strings = ["turn", "as", "one"].into_iter().collect();
/// assert_eq!((words.len(), words.get(1)), (3, "as"));
/// assert!(words.iter().eq(["turn", "as", "one"]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strings {
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    /// Adds a string at the end.
    ///
    /// # Panics
    /// If all strings together are 4 GiB or longer.
    pub fn push(&mut self, string: &str) {
        self.text.push_str(string);
        self.ends.push(u32::try_from(self.text.len()).expect("less than 4 GiB of text"));
    }

    /// The string of a row; what came damaged over the wire, with ends that make no sense, reads as
    /// empty strings.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        self.text.get(start as usize..self.ends[row] as usize).unwrap_or_default()
    }

    /// All strings, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// How many strings there are.
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

impl<'a> FromIterator<&'a str> for Strings {
    fn from_iter<I: IntoIterator<Item = &'a str>>(strings: I) -> Self {
        let mut column = Self::default();
        strings.into_iter().for_each(|string| column.push(string));
        column
    }
}

/// Strings alone are records without an event time, such as words.
impl RowsOfTime for Strings {
    fn rows(&self) -> usize {
        self.len()
    }

    fn take_rows(&mut self, marks: &[bool]) -> Self {
        let side = |marked| {
            let rows = self.iter().zip(marks).filter(move |&(_, &mark)| mark == marked);
            rows.map(|(string, _)| string).collect()
        };
        let (out, rest) = (side(true), side(false));
        *self = rest;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn marked_rows_are_taken_out_in_order() {
        let mut strings: Strings = ["a", "", "ccc", "dd"].into_iter().collect();
        let out = strings.take_rows(&[false, true, false, true]);
        assert!(strings.iter().eq(["a", "ccc"]) && out.iter().eq(["", "dd"]));
    }

    #[test]
    fn damaged_ends_do_not_panic() {
        let bytes = wire::encode(&("é", vec![1u32, 9, 0, 2]));
        let strings: Strings = wire::decode(&bytes).unwrap();
        assert!(strings.iter().eq(["", "", "", "é"]));
    }
}
