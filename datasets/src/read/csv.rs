//! Comma-separated values under a header.
//!
//! Fields are cut as RFC 4180 has them: a field that begins with a quote runs to its closing quote,
//! over commas and lines; `""` inside stands for one quote. A row without quotes, nearly every one,
//! is cut in place. Rows may be shorter or longer than the header, empty lines are passed over.
//! A quote that is not closed within 1 MiB costs that one row, not the rest of the file.
//!
//! ```text
//! block ─┬─ lines without a quote ──> pieces, read on all threads ──> rows ─┬─> Sink, in order
//!        └─ all others, one after the other ────────────────────────────────┘
//! ```

use std::io::{self, BufRead};
use std::ops::Range;

use super::error::{Field, ReadError, RowError};
use super::lines::{LINE_BYTES_MAX, Line, Lines};
use super::sink::{Row, Sink, Table, coord, text, time};
use super::stretch::{Stretch, Stretches};
use crate::columns::Wanted;

/// The wanted fields of a row, as far as it has them.
pub(crate) type Fields<'a, const N: usize> = [Option<&'a [u8]>; N];

/// Reads a CSV file with the wanted columns, of which `row` makes a row; a file without any line
/// has no rows.
pub(crate) fn read<R: BufRead, T: Table, const N: usize>(
    input: R,
    wanted: Wanted<N>,
    sink: &mut Sink<T>,
    row: impl for<'r> Fn(Fields<'r, N>) -> Result<T::Row<'r>, RowError> + Sync,
) -> Result<(), ReadError> {
    read_rows(Rows::new(input), wanted, sink, row)
}

fn read_rows<R: BufRead, T: Table, const N: usize>(
    mut rows: Rows<R>,
    wanted: Wanted<N>,
    sink: &mut Sink<T>,
    row: impl for<'r> Fn(Fields<'r, N>) -> Result<T::Row<'r>, RowError> + Sync,
) -> Result<(), ReadError> {
    let Some(header) = rows.next().map_err(|source| sink.read_error(source))? else {
        return Ok(());
    };
    let places = places(&header, wanted, sink)?;
    let width = 1 + places.iter().max().copied().unwrap_or_default();
    rows.width = width;
    loop {
        while let Some(stretch) = rows.stretch().map_err(|source| sink.read_error(source))? {
            let passed = stretch.read(sink, &Vec::new(), |line, fields| {
                if line.is_empty() {
                    return None;
                }
                fields.clear();
                cut(line.bytes(), width, fields);
                Some(row(places.map(|place| Some(&line.bytes()[fields.get(place)?.clone()]))))
            })?;
            rows.lines.pass(passed);
        }
        let Some(cut) = rows.next().map_err(|source| sink.read_error(source))? else {
            return Ok(());
        };
        let fields = || places.map(|place| cut.field(place));
        sink.take(cut.line, cut.flaw.map_or_else(|| row(fields()), Err))?;
    }
}

/// The position that a row gives in its object, time, x and y.
#[inline]
pub(crate) fn position<'a>([object, at, x, y]: Fields<'a, 4>) -> Result<Row<'a>, RowError> {
    let object = text(object, Field::Object)?.into();
    Ok(Row { object, time: time(at)?, at: coord(x, y)? })
}

/// Finds the columns by name; the first of several equal names counts.
fn places<T: Table, const N: usize>(
    header: &Cut,
    wanted: Wanted<N>,
    sink: &Sink<T>,
) -> Result<[usize; N], ReadError> {
    let found: Vec<String> = (0..header.fields.len())
        .filter_map(|index| header.field(index))
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(wanted.names) {
        let exact = found.iter().position(|name| name == column);
        let trimmed = || found.iter().position(|name| name.trim() == column.trim());
        *place = exact.or_else(trimmed).ok_or_else(|| ReadError::MissingColumn {
            path: sink.path.to_owned(),
            line: header.line,
            column: column.to_owned(),
            found: found.clone(),
            example: wanted.example,
        })?;
    }
    Ok(places)
}

/// A row cut into fields.
pub(crate) struct Cut<'a> {
    /// The physical line where the row begins.
    pub(crate) line: u64,
    bytes: &'a [u8],
    fields: &'a [Range<usize>],
    flaw: Option<RowError>,
}

impl<'a> Cut<'a> {
    /// The field at `index`, if the row is that long.
    #[inline]
    pub(crate) fn field(&self, index: usize) -> Option<&'a [u8]> {
        let range = self.fields.get(index)?;
        Some(&self.bytes[range.clone()])
    }
}

/// The rows of a CSV input.
pub(crate) struct Rows<R> {
    lines: Lines<R>,
    fields: Vec<Range<usize>>,
    quoted: QuotedRow,
    /// How many fields of a row are wanted.
    width: usize,
    stretches: Stretches,
}

impl<R: BufRead> Rows<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            lines: Lines::new(input),
            fields: Vec::new(),
            quoted: QuotedRow::default(),
            width: usize::MAX,
            stretches: Stretches::without(Some(b'"')),
        }
    }

    /// The next row, if there is one.
    #[inline]
    pub(crate) fn next(&mut self) -> io::Result<Option<Cut<'_>>> {
        self.fields.clear();
        while self.lines.advance()? {
            let line = self.lines.line();
            if line.is_empty() {
                continue;
            }
            if !line.whole || memchr::memchr(b'"', line.raw).is_some() {
                return self.next_quoted().map(Some);
            }
            cut(line.bytes(), self.width, &mut self.fields);
            let Line { number, raw, .. } = self.lines.line();
            return Ok(Some(Cut { line: number, bytes: raw, fields: &self.fields, flaw: None }));
        }
        Ok(None)
    }

    /// The stretch that lies ahead, if it is long enough to be read at once.
    fn stretch(&mut self) -> io::Result<Option<Stretch<'_>>> {
        self.stretches.next(&mut self.lines)
    }

    #[cold]
    fn next_quoted(&mut self) -> io::Result<Cut<'_>> {
        let line = self.lines.line().number;
        let flaw = self.quoted.read(&mut self.lines, &mut self.fields)?;
        Ok(Cut { line, bytes: &self.quoted.text, fields: &self.fields, flaw })
    }
}

/// Cuts a line without quotes, as far as its first `width` fields.
#[inline]
pub(crate) fn cut(bytes: &[u8], width: usize, fields: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for (place, &byte) in bytes.iter().enumerate() {
        if byte == b',' {
            fields.push(start..place);
            start = place + 1;
            if fields.len() >= width {
                return;
            }
        }
    }
    fields.push(start..bytes.len());
}

/// A row with quotes in it, freed from them.
#[derive(Default)]
struct QuotedRow {
    /// The contents of all fields, one after the other.
    text: Vec<u8>,
    /// Where the open field begins in `text`.
    start: usize,
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    FieldStart,
    Plain,
    Quoted,
    /// After a quote inside a quoted field: its end, or the first half of `""`.
    QuoteInQuoted,
}

impl QuotedRow {
    /// Reads the row that begins with the current line, and what is wrong with it.
    fn read<R: BufRead>(
        &mut self,
        lines: &mut Lines<R>,
        fields: &mut Vec<Range<usize>>,
    ) -> io::Result<Option<RowError>> {
        self.text.clear();
        (self.start, self.state) = (0, State::FieldStart);
        loop {
            let line = lines.line();
            if !line.whole || self.text.len() + line.raw.len() > LINE_BYTES_MAX {
                return Ok(Some(RowError::TooLong));
            }
            line.bytes().iter().for_each(|&byte| self.step(byte, fields));
            if self.state != State::Quoted {
                self.end_field(fields);
                return Ok(None);
            }
            self.text.extend_from_slice(&line.raw[line.bytes().len()..]);
            self.text.push(b'\n');
            if !lines.advance()? {
                return Ok(Some(RowError::OpenQuote));
            }
        }
    }

    fn step(&mut self, byte: u8, fields: &mut Vec<Range<usize>>) {
        match (self.state, byte) {
            (State::FieldStart, b'"') => self.state = State::Quoted,
            (State::Quoted, b'"') => self.state = State::QuoteInQuoted,
            (State::Quoted, _) => self.text.push(byte),
            (State::QuoteInQuoted, b'"') => {
                self.text.push(byte);
                self.state = State::Quoted;
            }
            (_, b',') => self.end_field(fields),
            _ => {
                self.text.push(byte);
                self.state = State::Plain;
            }
        }
    }

    fn end_field(&mut self, fields: &mut Vec<Range<usize>>) {
        fields.push(self.start..self.text.len());
        (self.start, self.state) = (self.text.len(), State::FieldStart);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::rejected::Rejected;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::path::Path;

    type Fields = Vec<Vec<u8>>;

    /// Every row of a text, and whether it ends with an open quote.
    fn ours(text: &str, block: usize) -> (Vec<Fields>, bool) {
        let mut rows = Rows::new(io::BufReader::with_capacity(block, text.as_bytes()));
        let (mut all, mut open) = (Vec::new(), false);
        while let Some(cut) = rows.next().unwrap() {
            open = cut.flaw == Some(RowError::OpenQuote);
            if !open {
                all.push(
                    cut.fields.iter().map(|range| cut.bytes[range.clone()].to_vec()).collect(),
                );
            }
        }
        (all, open)
    }

    fn theirs(text: &str) -> Vec<Fields> {
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.has_headers(false).flexible(true).from_reader(text.as_bytes());
        let rows = reader.byte_records().map(|row| row.unwrap());
        rows.map(|row| row.iter().map(<[u8]>::to_vec).collect()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn fields_are_those_of_the_csv_crate(
            parts in proptest::collection::vec(
                proptest::sample::select(vec!["a", "bc", ",", "\"", "\"", "\n", "\r\n"]), 0..30),
            block in 1usize..20,
        ) {
            let text = parts.concat();
            let ((ours, open), mut theirs) = (ours(&text, block), theirs(&text));
            // The csv crate takes an open quote for a field that ends with the file.
            if open {
                theirs.pop();
            }
            prop_assert_eq!(ours, theirs);
        }
    }

    /// Rows of one field as they were read; an `a` is refused.
    #[derive(Default)]
    struct Seen(Vec<Option<Vec<u8>>>);

    impl Table for Seen {
        type Row<'r> = Option<&'r [u8]>;

        fn reserve(&mut self, rows: usize) {
            self.0.reserve(rows);
        }

        fn size(&self) -> (usize, usize) {
            (self.0.len(), self.0.capacity())
        }

        fn push(&mut self, row: &Self::Row<'_>) -> Result<(), RowError> {
            self.0.push(row.map(<[u8]>::to_vec));
            if *row == Some(b"a") { Err(RowError::EmptyObject) } else { Ok(()) }
        }
    }

    /// What the sink gets of column b, and of the rows that were refused.
    fn taken(
        text: &str,
        block: usize,
        stretch_bytes_min: usize,
    ) -> (Vec<Option<Vec<u8>>>, Rejected) {
        let (mut table, mut rejected) = (Seen::default(), Rejected::default());
        let mut sink = Sink {
            path: Path::new("rows.csv"),
            gzip: false,
            strict: false,
            table: &mut table,
            rejected: &mut rejected,
            share_read: &Cell::new(0.5),
        };
        let mut rows = Rows::new(io::BufReader::with_capacity(block, text.as_bytes()));
        rows.stretches.bytes_min = stretch_bytes_min;
        let wanted = Wanted { names: ["b"], example: "" };
        read_rows(rows, wanted, &mut sink, |[field]| match field {
            Some(b"bc") => Err(RowError::OpenQuote),
            field => Ok(field),
        })
        .unwrap();
        (table.0, rejected)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn stretches_do_not_show(
            parts in proptest::collection::vec(
                proptest::sample::select(vec!["a", "bc", ",", ",", "\"", "\n", "\n", "\r\n"]), 0..60),
            block in 1usize..80,
            stretch_bytes_min in 1usize..20,
            threads in 1usize..5,
        ) {
            let text = format!("x,b\n{}", parts.concat());
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let stretches = pool.install(|| taken(&text, block, stretch_bytes_min));
            prop_assert_eq!(stretches, taken(&text, block, usize::MAX));
        }
    }

    #[test]
    fn fields_beyond_the_wanted_are_not_cut() {
        let mut fields = Vec::new();
        cut(b"a,b,c,d", 2, &mut fields);
        assert_eq!(fields, [0..1, 2..3]);
        fields.clear();
        cut(b"a,b", 5, &mut fields);
        assert_eq!(fields, [0..1, 2..3]);
    }
}
