//! Readers of positions and of events.
//!
//! ```text
//! Input (gunzip) ─> format (csv, tdrive, geolife, json) ─> Sink ─> table, Rejected
//! ```
//!
//! [`read_positions`] and [`events::read_events`] take the files one after the other; each format
//! turns its bytes into rows, and the sink decides what becomes of a row.

mod calendar;
mod csv;
mod decimal;
mod detect;
pub(crate) mod error;
pub(crate) mod events;
mod geojson;
mod geolife;
mod gunzip;
pub(crate) mod input;
mod interner;
mod json;
pub(crate) mod lines;
pub(crate) mod rejected;
mod sink;
mod stretch;
mod tdrive;

use std::cell::Cell;
use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use crate::options::ReadOptions;
use crate::trace::Trace;
use detect::Layout;
use error::ReadError;
use input::{Input, Meter, Progress};
use rejected::Rejected;
use sink::{Positions, Sink, Table};

/// Reads files of positions, one after the other, into one trace.
///
/// Gzipped files are recognised by their content. Bad rows are counted in [`Rejected`] and passed
/// over. `progress` is called about once for every mebibyte read, and once at the end.
///
/// # Errors
/// A file that is missing, unreadable or damaged, a CSV header without a needed column, and, when
/// [`ReadOptions::strict`], the first bad row.
pub fn read_positions(
    paths: &[PathBuf],
    options: &ReadOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Trace, Rejected), ReadError> {
    let mut table = Positions { space: options.space, trace: Trace::default() };
    let read = |input: Input, sink: &mut Sink<_>| read_file(options, input, sink);
    let rejected = read_files(paths, options.strict, &mut table, progress, read)?;
    Ok((table.trace, rejected))
}

fn read_file(
    options: &ReadOptions,
    mut input: Input,
    sink: &mut Sink<Positions>,
) -> Result<(), ReadError> {
    let start = input.fill_buf().map_err(|source| sink.read_error(source))?;
    match detect::layout(options.format, sink.path, start) {
        Layout::Csv => csv::read(input, options.columns.wanted(options.space), sink, csv::position),
        Layout::TDrive => tdrive::read(input, sink),
        Layout::GeoLife => geolife::read(input, sink),
        Layout::JsonLines => json::read(input, &options.columns, sink),
        Layout::GeoJson => geojson::read(input, &options.columns, sink),
    }
}

/// Reads every file into `table`; what is no file is an error before any is read.
fn read_files<T: Table>(
    paths: &[PathBuf],
    strict: bool,
    table: &mut T,
    progress: &mut dyn FnMut(Progress),
    read_file: impl Fn(Input, &mut Sink<T>) -> Result<(), ReadError>,
) -> Result<Rejected, ReadError> {
    let bytes_total = paths.iter().map(|path| file_bytes(path)).sum::<Result<u64, _>>()?;
    let share_read = Cell::new(0.0);
    let mut meter = Meter::new(bytes_total, progress, &share_read);
    let mut rejected = Rejected::default();
    for path in paths {
        let input = Input::open(path, &mut meter)?;
        let gzip = input.is_gzip();
        let rejected = &mut rejected;
        let mut sink =
            Sink { path, gzip, strict, table: &mut *table, rejected, share_read: &share_read };
        read_file(input, &mut sink)?;
        meter.end_file();
    }
    meter.end();
    Ok(rejected)
}

/// The size of a file; what cannot be opened is an error before any file is read.
fn file_bytes(path: &Path) -> Result<u64, ReadError> {
    let metadata = fs::metadata(path).map_err(|source| ReadError::open(path, source))?;
    if metadata.is_dir() {
        return Err(ReadError::Directory { path: path.to_owned() });
    }
    Ok(metadata.len())
}
