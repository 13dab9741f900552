//! Stretches of a file in which every line feed ends a row: nearly all of it, read on all threads.
//!
//! ```text
//! stretch ─┬─ piece ──> rows ─┐
//!          ├─ piece ──> rows ─┼─> Sink, in order
//!          └─ piece ──> rows ─┘
//! ```
//!
//! So is JSON with an object a line, and CSV where no line has a quote. A stretch can be cut at any line
//! feed. Rows are made of their lines side by side; what becomes of them is decided one after the other.

use std::io::{self, BufRead};

use rayon::prelude::*;

use super::error::{ReadError, RowError};
use super::lines::{LINE_BYTES_MAX, Line, Lines, Passed};
use super::sink::{Sink, Table};

/// Stretches from this length on are read on all threads.
const STRETCH_BYTES_MIN: usize = 16 * 1024;

/// Finds the stretches of an input.
pub(crate) struct Stretches {
    /// Stretches from this length on are read as such.
    pub(crate) bytes_min: usize,
    /// What no stretch has in it.
    stop: Option<u8>,
    /// The line that ends the last stretch that was too short.
    end: u64,
}

impl Stretches {
    /// Those without the byte `stop`; none at all where there is one thread only.
    pub(crate) fn without(stop: Option<u8>) -> Self {
        let alone = rayon::current_num_threads() == 1;
        Self { bytes_min: if alone { usize::MAX } else { STRETCH_BYTES_MIN }, stop, end: 0 }
    }

    /// The stretch that lies ahead, if it is long enough; else the lines up to its end are to be
    /// read one by one.
    pub(crate) fn next<'a, R: BufRead>(
        &mut self,
        lines: &'a mut Lines<R>,
    ) -> io::Result<Option<Stretch<'a>>> {
        let first_line = lines.next_number();
        if self.bytes_min == usize::MAX || first_line <= self.end {
            return Ok(None);
        }
        let length = lines.ahead(self.stop)?;
        let text = lines.stretch(length);
        if length < self.bytes_min {
            self.end = first_line + memchr::memchr_iter(b'\n', text).count() as u64;
            return Ok(None);
        }
        Ok(Some(Stretch { first_line, text }))
    }
}

/// Whole lines that lie in one block, each a row.
pub(crate) struct Stretch<'a> {
    /// The physical line where it begins.
    first_line: u64,
    /// The lines, each with its line feed.
    text: &'a [u8],
}

/// What was read of a piece of a stretch.
struct Piece<P> {
    lines: usize,
    /// Each row with its line, counted from the piece's first.
    rows: Vec<(usize, P)>,
}

impl<'a> Stretch<'a> {
    /// Reads all rows, each thread some, and says what is passed then. `row` makes a row of a line, or
    /// nothing if the line says nothing, with working memory that begins as `scratch`.
    pub(crate) fn read<T: Table, W: Clone + Sync>(
        &self,
        sink: &mut Sink<T>,
        scratch: &W,
        row: impl Fn(&Line<'a>, &mut W) -> Option<Result<T::Row<'a>, RowError>> + Sync,
    ) -> Result<Passed, ReadError> {
        let pieces = cut_in_pieces(self.text, rayon::current_num_threads());
        let pieces = pieces.into_par_iter();
        let read = |piece| {
            let mut scratch = scratch.clone();
            read_piece(piece, |line| row(line, &mut scratch))
        };
        let pieces: Vec<_> = pieces.map(read).collect();
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
}

fn read_piece<'a, P>(
    piece: &'a [u8],
    mut read: impl FnMut(&Line<'a>) -> Option<Result<P, RowError>>,
) -> Piece<Result<P, RowError>> {
    let lines = memchr::memchr_iter(b'\n', piece).count();
    let mut rows = Vec::with_capacity(lines);
    let mut rest = piece;
    for number in 0..lines {
        let end = memchr::memchr(b'\n', rest).expect("a piece ends with a line feed");
        let whole = end <= LINE_BYTES_MAX;
        let line = Line { number: number as u64, raw: &rest[..end], whole };
        rest = &rest[end + 1..];
        let row = if whole { read(&line) } else { Some(Err(RowError::TooLong)) };
        rows.extend(row.map(|row| (number, row)));
    }
    Piece { lines, rows }
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
