//! Events of streams: CSV under a header, or one JSON object a line.
//!
//! ```text
//! stream,object,time                        {"stream":"cam7","object":"B123","time":"…"}
//! cam7,B123,2016-09-19 08:00:01
//! ```
//!
//! A file whose first line with anything in it begins with `{` is JSON. A row whose object is empty
//! (in JSON also `null`) and that is right otherwise is a plate that was not read: no event and no
//! bad row, counted apart.

use std::borrow::Cow;
use std::io::BufRead;
use std::path::PathBuf;

use dunlin_index::Slot;
use dunlin_stream::Timestamp;

use super::csv::{self, Fields};
use super::error::{Field, ReadError, RowError};
use super::input::{Input, Progress};
use super::interner::Interner;
use super::json::{self, Object, id, instant, value};
use super::read_files;
use super::rejected::Rejected;
use super::sink::{Sink, Table, text, time};
use crate::columns::EventColumns;
use crate::events::Events;
use crate::options::EventOptions;

/// Reads files of events, one after the other, into columns.
///
/// Gzipped files are recognised by their content. Bad rows are counted in [`Rejected`] and passed
/// over; rows without an object are counted apart, [`Rejected::without_object`]. `progress` is
/// called about once for every mebibyte read, and once at the end.
///
/// # Errors
/// A file that is missing, unreadable or damaged, a CSV header without a needed column, and, when
/// [`EventOptions::strict`], the first bad row.
///
/// ```
/// use dunlin_datasets::{EventOptions, read_events};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("passages.csv");
/// std::fs::write(&path, "stream,object,time\ncam7,B123,2016-09-19 08:00:01\ncam7,,1474272002\n")?;
///
/// let (events, rejected) = read_events(&[path], &EventOptions::default(), &mut |_| ())?;
/// assert_eq!(events.stream_names.name(events.streams[0]), "cam7");
/// assert_eq!((events.len(), rejected.total(), rejected.without_object()), (1, 0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_events(
    paths: &[PathBuf],
    options: &EventOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Events, Rejected), ReadError> {
    let mut table = EventTable::default();
    let read = |input: Input, sink: &mut Sink<_>| read_file(&options.columns, input, sink);
    let mut rejected = read_files(paths, options.strict, &mut table, progress, read)?;
    rejected.count_without_object(table.without_object);
    Ok((table.into_events(), rejected))
}

fn read_file(
    columns: &EventColumns,
    mut input: Input,
    sink: &mut Sink<EventTable>,
) -> Result<(), ReadError> {
    let start = input.fill_buf().map_err(|source| sink.read_error(source))?;
    if start.trim_ascii_start().starts_with(b"{") {
        json::each_object(input, sink, |json| from_json(json, columns))
    } else {
        csv::read(input, columns.wanted(), sink, from_fields)
    }
}

/// An event as a format reads it; its names may be empty.
struct Row<'a> {
    stream: Cow<'a, str>,
    object: Cow<'a, str>,
    time: Timestamp,
}

/// The columns of [`Events`] while rows come in.
#[derive(Default)]
struct EventTable {
    times: Vec<Timestamp>,
    streams: Vec<Slot>,
    objects: Vec<Slot>,
    stream_names: Interner,
    object_names: Interner,
    without_object: u64,
}

impl EventTable {
    fn into_events(self) -> Events {
        Events {
            times: self.times,
            streams: self.streams,
            objects: self.objects,
            stream_names: self.stream_names.into_names(),
            object_names: self.object_names.into_names(),
        }
    }
}

impl Table for EventTable {
    type Row<'r> = Row<'r>;

    fn reserve(&mut self, rows: usize) {
        // Without the memory they grow step by step.
        let _ = self.times.try_reserve(rows);
        let _ = self.streams.try_reserve(rows);
        let _ = self.objects.try_reserve(rows);
    }

    fn size(&self) -> (usize, usize) {
        (self.times.len(), self.times.capacity())
    }

    fn push(&mut self, row: &Row) -> Result<(), RowError> {
        if row.stream.is_empty() {
            return Err(RowError::EmptyStream);
        }
        if row.object.is_empty() {
            self.without_object += 1;
        } else {
            self.times.push(row.time);
            self.streams.push(self.stream_names.intern(&row.stream));
            self.objects.push(self.object_names.intern(&row.object));
        }
        Ok(())
    }
}

#[inline]
fn from_fields<'a>([stream, object, at]: Fields<'a, 3>) -> Result<Row<'a>, RowError> {
    let (stream, object) = (text(stream, Field::Stream)?, text(object, Field::Object)?);
    Ok(Row { stream: stream.into(), object: object.into(), time: time(at)? })
}

fn from_json<'a>(json: &Object<'a>, columns: &EventColumns) -> Result<Row<'a>, RowError> {
    let field = |column: &str, usual| value(json, column).or_else(|| value(json, usual));
    let null = || json.get(&columns.object).or_else(|| json.get("object")).map(|_| "".into());
    let object = match field(&columns.object, "object") {
        None => null().ok_or(RowError::MissingField(Field::Object))?,
        object => id(object, Field::Object)?,
    };
    let stream = id(field(&columns.stream, "stream"), Field::Stream)?;
    Ok(Row { stream, object, time: instant(field(&columns.time, "time"))? })
}
