//! Stretches of a CSV file without a quote: nearly all of it, and read on all threads.
//!
//! ```text
//! stretch ─┬─ piece ──> rows ─┐
//!          ├─ piece ──> rows ─┼─> Sink, in order
//!          └─ piece ──> rows ─┘
//! ```
//!
//! Where no line has a quote every line feed ends a row, so a stretch can be cut at any of them. Rows
//! are made of their fields side by side; what becomes of them is decided one after the other.

use rayon::prelude::*;

use super::csv::{Fields, cut};
use super::error::{ReadError, RowError};
use super::lines::{LINE_BYTES_MAX, Line, Passed};
use super::sink::{Sink, Table};

/// Whole lines without a quote that lie in one block.
pub(crate) struct Stretch<'a> {
    /// The physical line where it begins.
    pub(crate) first_line: u64,
    /// The lines, each with its line feed.
    pub(crate) text: &'a [u8],
    /// How many fields of a row are wanted.
    pub(crate) width: usize,
}

/// What was read of a piece of a stretch.
struct Piece<P> {
    lines: usize,
    /// Each row with its line, counted from the piece's first.
    rows: Vec<(usize, P)>,
}

impl<'a> Stretch<'a> {
    /// Reads all rows, each thread some, and says what is passed then.
    pub(crate) fn read<T: Table, const N: usize>(
        &self,
        places: &[usize; N],
        sink: &mut Sink<T>,
        row: impl Fn(Fields<'a, N>) -> Result<T::Row<'a>, RowError> + Sync,
    ) -> Result<Passed, ReadError> {
        let pieces = cut_in_pieces(self.text, rayon::current_num_threads());
        let pieces = pieces.into_par_iter();
        let pieces: Vec<_> = pieces.map(|piece| self.read_piece(piece, places, &row)).collect();
        sink.expect(pieces.iter().map(|piece| piece.rows.len()).sum());
        let mut lines = 0;
        for piece in pieces {
            for (line, row) in piece.rows {
                sink.take(self.first_line + (lines + line) as u64, row)?;
            }
            lines += piece.lines;
        }
        Ok(Passed { bytes: self.text.len(), lines: lines as u64 })
    }

    fn read_piece<P, const N: usize>(
        &self,
        piece: &'a [u8],
        places: &[usize; N],
        row: impl Fn(Fields<'a, N>) -> Result<P, RowError>,
    ) -> Piece<Result<P, RowError>> {
        let lines = memchr::memchr_iter(b'\n', piece).count();
        let (mut rows, mut fields) = (Vec::with_capacity(lines), Vec::new());
        let mut rest = piece;
        for number in 0..lines {
            let end = memchr::memchr(b'\n', rest).expect("a piece ends with a line feed");
            let whole = end <= LINE_BYTES_MAX;
            let line = Line { number: number as u64, raw: &rest[..end], whole };
            rest = &rest[end + 1..];
            if line.is_empty() {
                continue;
            }
            let bytes = line.bytes();
            fields.clear();
            cut(bytes, self.width, &mut fields);
            let field = |place: usize| Some(&bytes[fields.get(place)?.clone()]);
            let made = if whole { row(places.map(field)) } else { Err(RowError::TooLong) };
            rows.push((number, made));
        }
        Piece { lines, rows }
    }
}

/// Cuts whole lines into at most `count` pieces of whole lines, of about the same length.
fn cut_in_pieces(mut text: &[u8], count: usize) -> Vec<&[u8]> {
    let mut pieces = Vec::with_capacity(count);
    for left in (1..=count).rev() {
        let share = text.len().div_ceil(left);
        let Some(end) = memchr::memchr(b'\n', &text[share.saturating_sub(1)..]) else { break };
        let (piece, rest) = text.split_at(share + end);
        pieces.push(piece);
        text = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_lines_of_about_the_same_length() {
        let text = "aaaa\nb\n\ncc\ndddd\ne\n";
        let pieces = |count| {
            let pieces = cut_in_pieces(text.as_bytes(), count);
            pieces.into_iter().map(|piece| str::from_utf8(piece).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(pieces(1), [text]);
        assert_eq!(pieces(2), ["aaaa\nb\n\ncc\n", "dddd\ne\n"]);
        assert_eq!(pieces(3), ["aaaa\nb\n", "\ncc\ndddd\n", "e\n"]);
        assert_eq!(pieces(9).len(), 5);
        assert_eq!(pieces(9).concat(), text);
        assert!(cut_in_pieces(b"", 3).is_empty());
    }
}
