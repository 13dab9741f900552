//! The names under which a file keeps its fields: columns of CSV, keys of JSON.
//!
//! [`Columns`] are those of positions, [`EventColumns`] those of events. Both read `KEY=NAME,…`; a
//! name with commas or outer blanks stands in double quotes, `""` inside for one quote.

use dunlin_index::SpaceKind;

/// The names of the fields of a position.
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
    /// A key that is none of those that can be written.
    #[error("unknown column key {key:?}: write {expected}")]
    UnknownKey {
        /// What was written.
        key: String,
        /// What can be written.
        expected: &'static str,
    },
    /// A part without `=`.
    #[error("{part:?} is not KEY=NAME: write {expected}")]
    NoName {
        /// What was written.
        part: String,
        /// What can be written.
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
        let [object, time, x, y] = names(text, Self::keys(space), Self::example(space))?;
        Ok(Self { object, time, x, y })
    }

    fn keys(space: SpaceKind) -> [&'static str; 4] {
        match space {
            SpaceKind::Sphere => ["object", "time", "lon", "lat"],
            SpaceKind::Plane => ["object", "time", "x", "y"],
        }
    }

    /// What a header must have.
    pub(crate) fn wanted(&self, space: SpaceKind) -> Wanted<'_, 4> {
        let names = [&*self.object, &*self.time, &*self.x, &*self.y];
        Wanted { names, example: Self::example(space) }
    }

    /// How to name all columns in `space`.
    fn example(space: SpaceKind) -> &'static str {
        match space {
            SpaceKind::Sphere => "object=ID,time=T,lon=LON,lat=LAT",
            SpaceKind::Plane => "object=ID,time=T,x=X,y=Y",
        }
    }
}

/// The names of the fields of an event.
///
/// ```
/// use dunlin_datasets::EventColumns;
///
/// let columns = EventColumns::parse("stream=CAM,object=PLATE")?;
/// assert_eq!((columns.stream.as_str(), columns.object.as_str()), ("CAM", "PLATE"));
/// assert_eq!(columns.time, "time");
/// # Ok::<(), dunlin_datasets::ColumnsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventColumns {
    /// Identifies the stream.
    pub stream: String,
    /// Identifies the object.
    pub object: String,
    /// Event time.
    pub time: String,
}

impl EventColumns {
    const KEYS: [&'static str; 3] = ["stream", "object", "time"];
    const EXAMPLE: &'static str = "stream=CAM,object=PLATE,time=T";

    /// Reads `stream=CAM,object=PLATE,time=T`, in any order; what is left out keeps its default.
    ///
    /// # Errors
    /// A key that is unknown or repeated, a name that is empty or whose quote is not closed.
    pub fn parse(text: &str) -> Result<Self, ColumnsError> {
        let [stream, object, time] = names(text, Self::KEYS, Self::EXAMPLE)?;
        Ok(Self { stream, object, time })
    }

    /// What a header must have.
    pub(crate) fn wanted(&self) -> Wanted<'_, 3> {
        Wanted { names: [&*self.stream, &*self.object, &*self.time], example: Self::EXAMPLE }
    }
}

impl Default for EventColumns {
    /// `stream`, `object` and `time`.
    fn default() -> Self {
        let [stream, object, time] = Self::KEYS.map(str::to_owned);
        Self { stream, object, time }
    }
}

/// The columns that a header must have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a, const N: usize> {
    /// Their names.
    pub(crate) names: [&'a str; N],
    /// How other names are given.
    pub(crate) example: &'static str,
}

/// The name that a text gives to each key; a key that is left out is its own name.
fn names<const N: usize>(
    text: &str,
    keys: [&str; N],
    expected: &'static str,
) -> Result<[String; N], ColumnsError> {
    let mut names = [const { None }; N];
    for part in parts(text)? {
        let (key, name) = key_and_name(part, expected)?;
        let place = keys.iter().position(|&known| known == key);
        let unknown = || ColumnsError::UnknownKey { key: key.to_owned(), expected };
        let slot = &mut names[place.ok_or_else(unknown)?];
        if slot.is_some() {
            return Err(ColumnsError::Repeated(key.to_owned()));
        }
        *slot = Some(name);
    }
    let mut keys = keys.into_iter();
    Ok(names.map(|name: Option<String>| {
        let key = keys.next().expect("there are as many keys as names");
        name.unwrap_or_else(|| key.to_owned())
    }))
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

fn key_and_name<'a>(
    part: &'a str,
    expected: &'static str,
) -> Result<(&'a str, String), ColumnsError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sphere(text: &str) -> Result<[String; 4], ColumnsError> {
        Columns::parse(text, SpaceKind::Sphere).map(|c| [c.object, c.time, c.x, c.y])
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

    #[test]
    fn events_have_keys_of_their_own() {
        let columns = EventColumns::parse("time=T,stream=\"camera, no\"").unwrap();
        let named = [&columns.stream, &columns.object, &columns.time];
        assert_eq!(named, ["camera, no", "object", "T"]);
        assert_eq!(EventColumns::parse("").unwrap(), EventColumns::default());
        let error = EventColumns::parse("lon=X").unwrap_err().to_string();
        assert!(error.contains("stream=CAM,object=PLATE,time=T"), "{error}");
    }
}
