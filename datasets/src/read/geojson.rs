//! A GeoJSON document: a collection of point features, or one feature.
//!
//! Features are taken one by one as the document streams by, so its size does not matter. The
//! number of a feature, from 1, stands for its line. Members may come in any order (RFC 7946), so
//! whether the document is a single feature shows only at its end.

use std::fmt;
use std::io::{self, BufRead};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json_borrow::Value;

use super::error::{ReadError, RowError};
use super::json::{Object, feature, is_text, value};
use super::sink::{Positions, Sink};
use crate::columns::Columns;

/// Reads a document; one without any content has no rows.
pub(crate) fn read<R: BufRead>(
    mut input: R,
    columns: &Columns,
    sink: &mut Sink<Positions>,
) -> Result<(), ReadError> {
    if is_blank(&mut input).map_err(|source| sink.read_error(source))? {
        return Ok(());
    }
    let mut json = serde_json::Deserializer::from_reader(input);
    let mut reading = Reading { columns, sink, stopped: None };
    let outcome = reading.document(&mut json).and_then(|known| json.end().map(|()| known));
    match (reading.stopped, outcome) {
        (Some(error), _) => Err(error),
        (None, Ok(true)) => Ok(()),
        (None, Ok(false)) => Err(ReadError::NotGeoJson { path: sink.path.to_owned() }),
        (None, Err(error)) if error.is_io() => Err(sink.read_error(error.into())),
        (None, Err(source)) => Err(ReadError::Json { path: sink.path.to_owned(), source }),
    }
}

/// Consumes white space and says whether nothing follows.
fn is_blank<R: BufRead>(input: &mut R) -> io::Result<bool> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(true);
        }
        let blank = buffer.len() - buffer.trim_ascii_start().len();
        let more = blank < buffer.len();
        input.consume(blank);
        if more {
            return Ok(false);
        }
    }
}

struct Reading<'a, 's> {
    columns: &'a Columns,
    sink: &'a mut Sink<'s, Positions>,
    /// Why the sink wants no more; serde's errors carry only text.
    stopped: Option<ReadError>,
}

impl Reading<'_, '_> {
    /// Reads the top-level object and says whether it is one of GeoJSON's.
    fn document<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<bool, D::Error> {
        json.deserialize_map(Document(self))
    }

    /// Takes a feature; an error only stops the parser, the reason is kept.
    fn take<E: Error>(&mut self, number: u64, json: &Value) -> Result<(), E> {
        let row = match json {
            Value::Object(json) => feature(json, self.columns),
            _ => Err(RowError::NotJson),
        };
        self.sink.take(number, row).map_err(|error| {
            self.stopped = Some(error);
            E::custom("stopped at a bad feature")
        })
    }
}

/// What of the top-level object makes a feature.
const MEMBERS: [&str; 4] = ["type", "geometry", "properties", "id"];

/// The top-level object.
struct Document<'r, 'a, 's>(&'r mut Reading<'a, 's>);

impl<'de> Visitor<'de> for Document<'_, '_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a FeatureCollection or a Feature")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let (mut members, mut has_features) = (Vec::new(), false);
        while let Some(key) = map.next_key::<String>()? {
            let known = MEMBERS.into_iter().find(|member| *member == key);
            match (known, key.as_str()) {
                (_, "features") => {
                    map.next_value_seed(Features(self.0))?;
                    has_features = true;
                }
                (Some(member), _) => members.push((member, map.next_value()?)),
                (None, _) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let members = Object::from(members);
        if is_text(value(&members, "type"), "Feature") {
            self.0.take(1, &Value::Object(members))?;
            return Ok(true);
        }
        Ok(has_features || is_text(value(&members, "type"), "FeatureCollection"))
    }
}

/// The list of features, taken one by one.
struct Features<'r, 'a, 's>(&'r mut Reading<'a, 's>);

impl<'de> DeserializeSeed<'de> for Features<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Features<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut features: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(json) = features.next_element::<Value>()? {
            number += 1;
            self.0.take(number, &json)?;
        }
        Ok(())
    }
}
