//! Where rows of every format end: in a table, or in the account of rejected ones.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use dunlin_index::{Coord, SpaceKind};
use dunlin_stream::Timestamp;

use super::calendar;
use super::error::{Field, ReadError, RowError};
use super::rejected::Rejected;
use crate::Trace;

/// Rows of one kind, collected in columns.
pub(crate) trait Table {
    /// A row as a format reads it, not checked yet.
    type Row<'r>: Send;

    /// Takes a row, or says what is wrong with it.
    fn push(&mut self, row: &Self::Row<'_>) -> Result<(), RowError>;
}

/// A position as a format reads it; it is not checked yet.
pub(crate) struct Row<'a> {
    pub(crate) object: Cow<'a, str>,
    pub(crate) time: Timestamp,
    pub(crate) at: Coord,
}

/// Positions that fit a space.
pub(crate) struct Positions {
    pub(crate) space: SpaceKind,
    pub(crate) trace: Trace,
}

impl Table for Positions {
    type Row<'r> = Row<'r>;

    fn push(&mut self, row: &Row) -> Result<(), RowError> {
        if row.object.is_empty() {
            return Err(RowError::EmptyObject);
        }
        let at = self.space.check(row.at)?;
        self.trace.push(row.time, &row.object, at);
        Ok(())
    }
}

/// Takes the rows of one file.
pub(crate) struct Sink<'a, T> {
    pub(crate) path: &'a Path,
    pub(crate) gzip: bool,
    pub(crate) strict: bool,
    pub(crate) table: &'a mut T,
    pub(crate) rejected: &'a mut Rejected,
}

impl<T: Table> Sink<'_, T> {
    /// Takes a row, good or bad; a bad one is an error only when reading is strict.
    #[inline]
    pub(crate) fn take(
        &mut self,
        line: u64,
        row: Result<T::Row<'_>, RowError>,
    ) -> Result<(), ReadError> {
        match row.and_then(|row| self.table.push(&row)) {
            Ok(()) => Ok(()),
            Err(reason) => self.reject(line, reason),
        }
    }

    /// A failure of the file under the rows.
    pub(crate) fn read_error(&self, source: io::Error) -> ReadError {
        ReadError::read(self.path, self.gzip, source)
    }

    #[cold]
    fn reject(&mut self, line: u64, reason: RowError) -> Result<(), ReadError> {
        if self.strict {
            return Err(ReadError::Row { path: self.path.to_owned(), line, reason });
        }
        self.rejected.add(self.path, line, reason);
        Ok(())
    }
}

/// A field as text.
#[inline]
pub(crate) fn text(field: Option<&[u8]>, which: Field) -> Result<&str, RowError> {
    let bytes = field.ok_or(RowError::MissingField(which))?;
    std::str::from_utf8(bytes).map_err(|_| RowError::NotText(which))
}

/// A field as a time.
#[inline]
pub(crate) fn time(field: Option<&[u8]>) -> Result<Timestamp, RowError> {
    Ok(calendar::parse(text(field, Field::Time)?)?)
}

/// A field as a coordinate; `nan` and `inf` are numbers here, and refused by the space.
#[inline]
pub(crate) fn number(field: Option<&[u8]>, which: Field) -> Result<f64, RowError> {
    text(field, which)?.trim().parse().map_err(|_| RowError::NotANumber(which))
}

/// Both coordinates of a position.
#[inline]
pub(crate) fn coord(x: Option<&[u8]>, y: Option<&[u8]>) -> Result<Coord, RowError> {
    Ok(Coord { x: number(x, Field::X)?, y: number(y, Field::Y)? })
}
