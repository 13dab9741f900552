//! Where rows of every format end: in a table, or in the account of rejected ones.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::path::Path;

use dunlin_index::{Coord, SpaceKind};
use dunlin_stream::Timestamp;

use super::calendar;
use super::decimal;
use super::error::{Field, ReadError, RowError};
use super::rejected::Rejected;
use crate::Trace;

/// Rows of one kind, collected in columns.
pub(crate) trait Table {
    /// A row as a format reads it, not checked yet.
    type Row<'r>: Send;

    /// Makes room for so many rows more, as far as there is memory.
    fn reserve(&mut self, rows: usize);

    /// How many rows there are, and for how many there is room.
    fn size(&self) -> (usize, usize);

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

    fn reserve(&mut self, rows: usize) {
        self.trace.reserve(rows);
    }

    fn size(&self) -> (usize, usize) {
        (self.trace.len(), self.trace.times.capacity())
    }

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
    /// The share of all bytes that is read.
    pub(crate) share_read: &'a Cell<f64>,
}

/// Rows of all files are estimated from this share of their bytes on.
const SHARE_MIN: f64 = 1.0 / 32.0;
/// By how much more than the estimate there is room for.
const SURPLUS: f64 = 1.08;

impl<T: Table> Sink<'_, T> {
    /// Makes room for so many rows; if there is none, for all that are to be expected: columns that
    /// grow step by step are copied over and over, and every copy touches new memory.
    pub(crate) fn expect(&mut self, rows: usize) {
        let (len, room) = self.table.size();
        let share = self.share_read.get();
        if len + rows > room && share >= SHARE_MIN {
            let all = (len + rows) as f64 / share.min(1.0) * SURPLUS;
            self.table.reserve(all as usize - len);
        }
    }

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
    match field.and_then(calendar::fixed) {
        Some(time) => Ok(time),
        None => Ok(text(field, Field::Time)?.parse()?),
    }
}

/// A field as a coordinate; `nan` and `inf` are numbers here, and refused by the space.
#[inline]
pub(crate) fn number(field: Option<&[u8]>, which: Field) -> Result<f64, RowError> {
    match field.and_then(|field| decimal::parse(field.trim_ascii())) {
        Some(number) => Ok(number),
        None => text(field, which)?.trim().parse().map_err(|_| RowError::NotANumber(which)),
    }
}

/// Both coordinates of a position.
#[inline]
pub(crate) fn coord(x: Option<&[u8]>, y: Option<&[u8]>) -> Result<Coord, RowError> {
    Ok(Coord { x: number(x, Field::X)?, y: number(y, Field::Y)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_at_once_for_all_rows_to_be_expected() {
        let mut table = Positions { space: SpaceKind::Plane, trace: Trace::default() };
        let mut room = |share: f64, rows: usize| {
            let (mut rejected, share_read) = (Rejected::default(), Cell::new(share));
            let path = Path::new("rows.csv");
            let rejected = &mut rejected;
            let share_read = &share_read;
            let table = &mut table;
            let mut sink = Sink { path, gzip: false, strict: false, table, rejected, share_read };
            sink.expect(rows);
            sink.table.size().1
        };
        // Too early to tell; a quarter of the bytes; the same, for which there is room; no memory has
        // so much room; a share of nothing.
        assert_eq!(room(0.01, 100), 0);
        assert!((400..500).contains(&room(0.25, 100)));
        assert!((400..500).contains(&room(0.25, 300)));
        assert!((400..500).contains(&room(0.25, usize::MAX / 8)));
        assert!((400..500).contains(&room(f64::NAN, 1_000)));
    }
}
