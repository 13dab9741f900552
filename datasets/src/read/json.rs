//! Positions in JSON, one object a line, and what other readers of JSON share.
//!
//! ```text
//! {"object":"t7","at":[116.39,39.91],"time":"2008-02-02 13:30:00"}
//! {"object":"t7","lon":116.39,"lat":39.91,"time":1201959000}
//! {"type":"Feature","geometry":{"type":"Point","coordinates":[116.39,39.91]},"properties":{…}}
//! ```
//!
//! Without `at` and the like, the keys are those of [`Columns`]. A feature has its object and time
//! among its properties; without that property, its `id` is the object.

use std::borrow::Cow;
use std::io::BufRead;

use dunlin_index::Coord;
use dunlin_stream::{ParseTimeError, Timestamp};
use serde_json::{Map, Value};

use super::error::{Field, ReadError, RowError};
use super::lines::{Line, Lines};
use super::sink::{Positions, Row, Sink, Table};
use crate::columns::Columns;

/// A JSON object of any content.
pub(crate) type Object = Map<String, Value>;

/// Reads one JSON object a line, a position or a feature each.
pub(crate) fn read<R: BufRead>(
    input: R,
    columns: &Columns,
    sink: &mut Sink<Positions>,
) -> Result<(), ReadError> {
    each_object(input, sink, |json| match is_feature(json) {
        true => feature(json, columns),
        false => position(json, columns),
    })
}

/// Reads one JSON object a line, of which `row` makes a row.
pub(crate) fn each_object<R: BufRead, T: Table>(
    input: R,
    sink: &mut Sink<T>,
    row: impl for<'r> Fn(&'r Object) -> Result<T::Row<'r>, RowError>,
) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while lines.advance().map_err(|source| sink.read_error(source))? {
        let line = lines.line();
        if line.is_blank() {
            continue;
        }
        match parse(&line) {
            Ok(json) => sink.take(line.number, row(&json))?,
            Err(reason) => sink.take(line.number, Err(reason))?,
        }
    }
    Ok(())
}

fn parse(line: &Line) -> Result<Object, RowError> {
    if !line.whole {
        return Err(RowError::TooLong);
    }
    serde_json::from_slice(line.bytes()).map_err(|_| RowError::NotJson)
}

fn is_feature(json: &Object) -> bool {
    json.get("type").is_some_and(|kind| kind == "Feature")
}

fn position<'a>(json: &'a Object, columns: &Columns) -> Result<Row<'a>, RowError> {
    let object = value(json, &columns.object).or_else(|| value(json, "object"));
    let at = match value(json, "at") {
        Some(at) => pair(at)?,
        None => Coord {
            x: number(value(json, &columns.x), Field::X)?,
            y: number(value(json, &columns.y), Field::Y)?,
        },
    };
    let time = value(json, &columns.time).or_else(|| value(json, "time"));
    Ok(Row { object: id(object, Field::Object)?, time: instant(time)?, at })
}

/// The row of a GeoJSON feature.
pub(crate) fn feature<'a>(json: &'a Object, columns: &Columns) -> Result<Row<'a>, RowError> {
    let geometry = json.get("geometry").and_then(Value::as_object).ok_or(RowError::NotAPoint)?;
    if geometry.get("type").is_none_or(|kind| kind != "Point") {
        return Err(RowError::NotAPoint);
    }
    let at = pair(geometry.get("coordinates").unwrap_or(&Value::Null))?;
    let properties = json.get("properties").and_then(Value::as_object);
    let property = |name| properties.and_then(|properties| value(properties, name));
    let object = property(&columns.object).or_else(|| value(json, "id"));
    Ok(Row { object: id(object, Field::Object)?, time: instant(property(&columns.time))?, at })
}

/// The value under a key; `null` counts as none.
pub(crate) fn value<'a>(json: &'a Object, key: &str) -> Option<&'a Value> {
    json.get(key).filter(|value| !value.is_null())
}

/// A name: a string, or an integer as it prints.
pub(crate) fn id(value: Option<&Value>, which: Field) -> Result<Cow<'_, str>, RowError> {
    match value.ok_or(RowError::MissingField(which))? {
        Value::String(id) => Ok(id.into()),
        Value::Number(id) if !id.is_f64() => Ok(id.to_string().into()),
        _ => Err(RowError::NotAnId(which)),
    }
}

/// A time: a string, or an integer.
pub(crate) fn instant(value: Option<&Value>) -> Result<Timestamp, RowError> {
    match value.ok_or(RowError::MissingField(Field::Time))? {
        Value::String(time) => Ok(time.parse()?),
        Value::Number(time) => Ok(time.to_string().parse()?),
        _ => Err(ParseTimeError::Form.into()),
    }
}

fn pair(value: &Value) -> Result<Coord, RowError> {
    let list = value.as_array().ok_or(RowError::NotAPair)?;
    Ok(Coord { x: number(list.first(), Field::X)?, y: number(list.get(1), Field::Y)? })
}

fn number(value: Option<&Value>, which: Field) -> Result<f64, RowError> {
    let value = value.ok_or(RowError::MissingField(which))?;
    value.as_f64().ok_or(RowError::NotANumber(which))
}
