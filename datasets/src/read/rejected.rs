//! The account of rows that could not be used.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::RowError;

/// How many rows were rejected and why, with the first few as examples.
///
/// Prints as a few lines for a person: the total, the count of each reason, the examples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    total: u64,
    reasons: Vec<(RowError, u64)>,
    examples: Vec<RejectedRow>,
    without_object: u64,
}

/// One rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, or the number of the feature in a GeoJSON document.
    pub line: u64,
    /// What is wrong with it.
    pub reason: RowError,
}

impl Rejected {
    /// How many examples are kept.
    pub const EXAMPLES_MAX: usize = 5;

    /// How many rows were rejected.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Every reason with its count, in the order of their first appearance.
    #[must_use]
    pub fn reasons(&self) -> &[(RowError, u64)] {
        &self.reasons
    }

    /// The first rejected rows, at most [`Rejected::EXAMPLES_MAX`].
    #[must_use]
    pub fn examples(&self) -> &[RejectedRow] {
        &self.examples
    }

    /// How many rows of events had no object, such as a plate that could not be read. They are
    /// neither events nor bad rows: the total leaves them out.
    #[must_use]
    pub fn without_object(&self) -> u64 {
        self.without_object
    }

    pub(crate) fn count_without_object(&mut self, count: u64) {
        self.without_object += count;
    }

    pub(crate) fn add(&mut self, path: &Path, line: u64, reason: RowError) {
        self.total += 1;
        match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.reasons.push((reason, 1)),
        }
        if self.examples.len() < Self::EXAMPLES_MAX {
            self.examples.push(RejectedRow { path: path.to_owned(), line, reason });
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = if self.total == 1 { "row" } else { "rows" };
        write!(f, "{} {rows} rejected", self.total)?;
        for (reason, count) in &self.reasons {
            write!(f, "\n  {count:>8}  {reason}")?;
        }
        for row in &self.examples {
            write!(f, "\n  {row}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RejectedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::error::Field;

    #[test]
    fn reasons_are_counted_and_the_first_rows_kept() {
        let mut rejected = Rejected::default();
        for line in 1..=7 {
            rejected.add(Path::new("a.csv"), line, RowError::EmptyObject);
        }
        rejected.add(Path::new("b.csv"), 9, RowError::MissingField(Field::Time));
        assert_eq!(rejected.total(), 8);
        let reasons = [(RowError::EmptyObject, 7), (RowError::MissingField(Field::Time), 1)];
        assert_eq!(rejected.reasons(), reasons);
        let lines: Vec<u64> = rejected.examples().iter().map(|row| row.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_account_prints_for_a_person() {
        let mut rejected = Rejected::default();
        rejected.add(Path::new("a.csv"), 4, RowError::EmptyObject);
        let expected = "1 row rejected\n         1  object is empty\n  a.csv:4: object is empty";
        assert_eq!(rejected.to_string(), expected);
    }
}
