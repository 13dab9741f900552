//! What to read and how: the format, the names of the columns, the space, how strictly.

use std::fmt;
use std::str::FromStr;

use dunlin_index::SpaceKind;

use crate::columns::{Columns, EventColumns};

/// How a file of positions is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// Found out for each file from its name and its first lines.
    #[default]
    Auto,
    /// Comma-separated values under a header; columns are found by name.
    Csv,
    /// T-Drive: `id,time,lon,lat` without a header.
    TDrive,
    /// GeoLife `.plt`: six header lines, `lat,lon,0,feet,days,date,time`; the folder is the object.
    GeoLife,
    /// One JSON object a line: `{"object":"t7","at":[116.39,39.91],"time":"…"}`.
    Ndjson,
    /// GeoJSON: a collection of point features, one feature, or one feature a line.
    GeoJson,
}

impl Format {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::Auto, "auto"),
        (Self::Csv, "csv"),
        (Self::TDrive, "tdrive"),
        (Self::GeoLife, "geolife"),
        (Self::Ndjson, "ndjson"),
        (Self::GeoJson, "geojson"),
    ];
}

/// A text that names no [`Format`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {0:?}: use auto, csv, tdrive, geolife, ndjson or geojson")]
pub struct FormatError(String);

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found.map(|&(format, _)| format).ok_or_else(|| FormatError(text.to_owned()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(format, _)| format == self);
        f.write_str(named.expect("every format has a name").1)
    }
}

/// How to read files of positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// The layout of every file.
    pub format: Format,
    /// The names of the fields, where a format has names.
    pub columns: Columns,
    /// The space that positions must fit.
    pub space: SpaceKind,
    /// Whether the first bad row is an error instead of one more in the count.
    pub strict: bool,
}

impl ReadOptions {
    /// Default columns of `space`, any format, bad rows counted.
    #[must_use]
    pub fn for_space(space: SpaceKind) -> Self {
        Self { format: Format::Auto, columns: Columns::for_space(space), space, strict: false }
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self::for_space(SpaceKind::default())
    }
}

/// How to read files of events.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EventOptions {
    /// The names of the fields.
    pub columns: EventColumns,
    /// Whether the first bad row is an error instead of one more in the count.
    pub strict: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_print_as_they_are_written() {
        for (format, name) in Format::NAMES {
            assert_eq!(name.parse(), Ok(format));
            assert_eq!(format.to_string(), name);
        }
        let error = "CSV".parse::<Format>().unwrap_err();
        assert!(error.to_string().contains("geolife"), "{error}");
    }
}
