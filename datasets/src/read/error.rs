//! Why a file, or one row of it, cannot be read.
//!
//! A [`ReadError`] ends the reading; a [`RowError`] costs one row, unless reading is strict.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use dunlin_index::PositionError;
use dunlin_stream::ParseTimeError;

/// Why files cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file is missing or may not be read.
    #[error("cannot open {}: {source}; check the name and the permissions", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The path names a folder.
    #[error("{} is a directory: name the files in it", path.display())]
    Directory {
        /// The folder.
        path: PathBuf,
    },
    /// Reading began and failed.
    #[error("cannot read {}: {source}; check the disk and try again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The compressed data is cut short or altered.
    #[error(
        "{} is a damaged or truncated gzip file ({source}): check it with gzip -t, fetch it again",
        path.display()
    )]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: io::Error,
    },
    /// The header of a CSV file lacks a column.
    #[error(
        "{}:{line}: no column {column:?} among {}; name the columns with --columns {example}",
        path.display(), list(found)
    )]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The line of the header.
        line: u64,
        /// The column that is needed.
        column: String,
        /// The columns that the file has.
        found: Vec<String>,
        /// How columns are named.
        example: &'static str,
    },
    /// A GeoJSON document ends early or is no JSON.
    #[error("{} is not a whole GeoJSON document: {source}; check where it says", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        source: serde_json::Error,
    },
    /// A JSON document of another kind.
    #[error(
        "{} is JSON but neither a GeoJSON FeatureCollection nor a Feature; \
         for one JSON object a line use --format ndjson",
        path.display()
    )]
    NotGeoJson {
        /// The file.
        path: PathBuf,
    },
    /// A bad row, when reading is strict.
    #[error("{}:{line}: {reason}; correct the row, or leave out --strict to skip such rows", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1, or the number of the feature in a GeoJSON document.
        line: u64,
        /// What is wrong with it.
        reason: RowError,
    },
}

impl ReadError {
    pub(crate) fn open(path: &Path, source: io::Error) -> Self {
        Self::Open { path: path.to_owned(), source }
    }

    /// A failure after the file was opened: the decoder's complaints are of three kinds.
    pub(crate) fn read(path: &Path, gzip: bool, source: io::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let path = path.to_owned();
        if gzip && matches!(source.kind(), InvalidData | InvalidInput | UnexpectedEof) {
            Self::Gzip { path, source }
        } else {
            Self::Read { path, source }
        }
    }
}

fn list(found: &[String]) -> String {
    let quoted: Vec<String> = found.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The stream's name.
    Stream,
    /// The object's id.
    Object,
    /// The event time.
    Time,
    /// The longitude, or x.
    X,
    /// The latitude, or y.
    Y,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::Object => "object",
            Self::Time => "time",
            Self::X => "longitude or x",
            Self::Y => "latitude or y",
        })
    }
}

/// Why a row cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row has no such field.
    #[error("no {0}")]
    MissingField(Field),
    /// The field is not text.
    #[error("{0} is not UTF-8 text")]
    NotText(Field),
    /// The object's id is the empty text.
    #[error("object is empty")]
    EmptyObject,
    /// The stream's name is the empty text.
    #[error("stream is empty")]
    EmptyStream,
    /// A name in JSON is neither a string nor an integer.
    #[error("{0} is neither a string nor an integer")]
    NotAnId(Field),
    /// The time does not read.
    #[error(transparent)]
    Time(#[from] ParseTimeError),
    /// A coordinate does not read.
    #[error("{0} is not a number")]
    NotANumber(Field),
    /// A position in JSON is not a list.
    #[error("position is not a list of two numbers")]
    NotAPair,
    /// The position does not fit the space.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// The line is not a JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// A GeoJSON feature whose geometry is not a point.
    #[error("not a Point feature")]
    NotAPoint,
    /// A row of more than a mebibyte.
    #[error("row is longer than 1 MiB")]
    TooLong,
    /// A quoted field that the file never closes.
    #[error("quote is never closed")]
    OpenQuote,
}
