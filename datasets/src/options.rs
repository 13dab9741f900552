//! What to read and how: the format, the names of the columns, the space.

use std::fmt;
use std::str::FromStr;

use dunlin_index::SpaceKind;

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

/// The names under which a file keeps its fields: columns of CSV, keys of JSON.
///
/// ```
/// use dunlin_datasets::Columns;
/// use dunlin_index::SpaceKind;
///
/// let columns = Columns::parse(r#"object=id,time="day, hour""#, SpaceKind::Sphere)?;
/// assert_eq!((columns.object.as_str(), columns.time.as_str()), ("id", "day, hour"));
/// assert_eq!((columns.x.as_str(), columns.y.as_str()), ("lon", "lat"));
/// # Ok::<(), dunlin_datasets::ColumnsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Identifies the object.
    pub object: String,
    /// Event time.
    pub time: String,
    /// Longitude, or x in the plane.
    pub x: String,
    /// Latitude, or y in the plane.
    pub y: String,
}

/// Why a text does not say which columns to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnsError {
    /// A key that is none of the four.
    #[error("unknown column key {key:?}: write {expected}")]
    UnknownKey {
        /// What was written.
        key: String,
        /// What can be written in this space.
        expected: &'static str,
    },
    /// A part without `=`.
    #[error("{part:?} is not KEY=NAME: write {expected}")]
    NoName {
        /// What was written.
        part: String,
        /// What can be written in this space.
        expected: &'static str,
    },
    /// A key that is given twice.
    #[error("column key {0:?} is given twice: write it once")]
    Repeated(String),
    /// A key without a name.
    #[error("column key {0:?} has an empty name: write {0}=NAME, or leave it out")]
    Empty(String),
    /// A quoted name without its end.
    #[error("a quote in {0:?} is not closed: write KEY=\"NAME\", with \"\" for a quote inside")]
    Quote(String),
}

impl Columns {
    /// `object`, `time` and `lon`, `lat` (in the plane `x`, `y`).
    #[must_use]
    pub fn for_space(space: SpaceKind) -> Self {
        let [object, time, x, y] = Self::keys(space).map(str::to_owned);
        Self { object, time, x, y }
    }

    /// Reads `object=ID,time=T,lon=LON,lat=LAT` (in the plane `x=X,y=Y`), in any order; what is
    /// left out keeps its default. A name with commas or outer blanks stands in double quotes.
    ///
    /// # Errors
    /// A key that is unknown or repeated, a name that is empty or whose quote is not closed.
    pub fn parse(text: &str, space: SpaceKind) -> Result<Self, ColumnsError> {
        let mut names: [Option<String>; 4] = [const { None }; 4];
        for part in parts(text)? {
            let (key, name) = key_and_name(part, space)?;
            let place = Self::keys(space).iter().position(|&known| known == key);
            let unknown =
                || ColumnsError::UnknownKey { key: key.to_owned(), expected: Self::example(space) };
            let slot = &mut names[place.ok_or_else(unknown)?];
            if slot.is_some() {
                return Err(ColumnsError::Repeated(key.to_owned()));
            }
            *slot = Some(name);
        }
        let defaults = Self::for_space(space);
        let [object, time, x, y] = names;
        Ok(Self {
            object: object.unwrap_or(defaults.object),
            time: time.unwrap_or(defaults.time),
            x: x.unwrap_or(defaults.x),
            y: y.unwrap_or(defaults.y),
        })
    }

    fn keys(space: SpaceKind) -> [&'static str; 4] {
        match space {
            SpaceKind::Sphere => ["object", "time", "lon", "lat"],
            SpaceKind::Plane => ["object", "time", "x", "y"],
        }
    }

    /// How to name all columns in `space`.
    pub(crate) fn example(space: SpaceKind) -> &'static str {
        match space {
            SpaceKind::Sphere => "object=ID,time=T,lon=LON,lat=LAT",
            SpaceKind::Plane => "object=ID,time=T,x=X,y=Y",
        }
    }
}

/// Cuts at the commas outside quotes; an empty text has no parts.
fn parts(text: &str) -> Result<Vec<&str>, ColumnsError> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(ColumnsError::Quote(text[start..].to_owned()));
    }
    if !text.trim().is_empty() {
        parts.push(&text[start..]);
    }
    Ok(parts)
}

fn key_and_name(part: &str, space: SpaceKind) -> Result<(&str, String), ColumnsError> {
    let expected = Columns::example(space);
    let no_name = || ColumnsError::NoName { part: part.trim().to_owned(), expected };
    let (key, name) = part.split_once('=').ok_or_else(no_name)?;
    let (key, name) = (key.trim(), name.trim());
    let name = match name.strip_prefix('"') {
        None => name.to_owned(),
        Some(rest) => match rest.strip_suffix('"') {
            Some(inner) if !inner.replace("\"\"", "").contains('"') => inner.replace("\"\"", "\""),
            _ => return Err(ColumnsError::Quote(part.trim().to_owned())),
        },
    };
    if name.is_empty() {
        return Err(ColumnsError::Empty(key.to_owned()));
    }
    Ok((key, name))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sphere(text: &str) -> Result<[String; 4], ColumnsError> {
        Columns::parse(text, SpaceKind::Sphere).map(|c| [c.object, c.time, c.x, c.y])
    }

    #[test]
    fn formats_print_as_they_are_written() {
        for (format, name) in Format::NAMES {
            assert_eq!(name.parse(), Ok(format));
            assert_eq!(format.to_string(), name);
        }
        let error = "CSV".parse::<Format>().unwrap_err();
        assert!(error.to_string().contains("geolife"), "{error}");
    }

    #[test]
    fn what_is_left_out_keeps_its_default() {
        assert_eq!(sphere("").unwrap(), ["object", "time", "lon", "lat"]);
        assert_eq!(sphere("lat=Y , object = taxi id").unwrap(), ["taxi id", "time", "lon", "Y"]);
        let plane = Columns::parse("x=east,y=north", SpaceKind::Plane).unwrap();
        assert_eq!((plane.x.as_str(), plane.y.as_str()), ("east", "north"));
    }

    #[test]
    fn quoted_names_keep_everything() {
        let names = sphere(r#"object="a, ""b"" ",time=" t=1""#).unwrap();
        assert_eq!(names, [r#"a, "b" "#, " t=1", "lon", "lat"]);
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let message = |text| sphere(text).unwrap_err().to_string();
        assert!(
            message("id=a").contains("object=ID,time=T,lon=LON,lat=LAT"),
            "{}",
            message("id=a")
        );
        assert!(message("x=a").contains("unknown column key \"x\""));
        assert!(message("time").contains("not KEY=NAME"));
        assert!(message("time=a,").contains("not KEY=NAME"));
        assert!(message("time=a,time=b").contains("twice"));
        assert!(message("time=").contains("empty name"));
        assert!(message("time=\"\"").contains("empty name"));
        assert!(message("time=\"a").contains("not closed"));
        assert!(message("time=\"a\"b\"\"").contains("not closed"));
    }
}
