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
use serde_json_borrow::{ObjectAsVec, Value};

use super::error::{Field, ReadError, RowError};
use super::lines::{Line, Lines};
use super::sink::{Positions, Row, Sink, Table};
use super::stretch::Stretches;
use crate::columns::Columns;

/// A JSON object of any content, whose names and texts lie in the input.
pub(crate) type Object<'a> = ObjectAsVec<'a>;

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
    row: impl for<'r> Fn(&Object<'r>) -> Result<T::Row<'r>, RowError> + Sync,
) -> Result<(), ReadError> {
    read_objects(Lines::new(input), Stretches::without(None), sink, row)
}

fn read_objects<R: BufRead, T: Table>(
    mut lines: Lines<R>,
    mut stretches: Stretches,
    sink: &mut Sink<T>,
    row: impl for<'r> Fn(&Object<'r>) -> Result<T::Row<'r>, RowError> + Sync,
) -> Result<(), ReadError> {
    loop {
        while let Some(stretch) =
            stretches.next(&mut lines).map_err(|source| sink.read_error(source))?
        {
            let passed = stretch
                .read(sink, &(), |line, ()| (!line.is_blank()).then(|| row(&parse(line)?)))?;
            lines.pass(passed);
        }
        if !lines.advance().map_err(|source| sink.read_error(source))? {
            return Ok(());
        }
        let line = lines.line();
        if !line.is_blank() {
            sink.take(line.number, parse(&line).and_then(|json| row(&json)))?;
        }
    }
}

fn parse<'a>(line: &Line<'a>) -> Result<Object<'a>, RowError> {
    if !line.whole {
        return Err(RowError::TooLong);
    }
    match serde_json::from_slice(line.bytes()) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(RowError::NotJson),
    }
}

fn is_feature(json: &Object) -> bool {
    is_text(value(json, "type"), "Feature")
}

fn position<'a>(json: &Object<'a>, columns: &Columns) -> Result<Row<'a>, RowError> {
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
pub(crate) fn feature<'a>(json: &Object<'a>, columns: &Columns) -> Result<Row<'a>, RowError> {
    let geometry = value(json, "geometry").and_then(Value::as_object);
    let geometry = geometry.ok_or(RowError::NotAPoint)?;
    if !is_text(value(geometry, "type"), "Point") {
        return Err(RowError::NotAPoint);
    }
    let at = pair(value(geometry, "coordinates").unwrap_or(&Value::Null))?;
    let properties = value(json, "properties").and_then(Value::as_object);
    let property = |name| properties.and_then(|properties| value(properties, name));
    let object = property(&columns.object).or_else(|| value(json, "id"));
    Ok(Row { object: id(object, Field::Object)?, time: instant(property(&columns.time))?, at })
}

/// The value under a key, the last if there are several; `null` counts as none.
pub(crate) fn value<'j, 'a>(json: &'j Object<'a>, key: &str) -> Option<&'j Value<'a>> {
    let values = json.iter().filter(|(name, _)| *name == key).map(|(_, value)| value);
    values.last().filter(|value| !value.is_null())
}

/// Whether a value is this text.
pub(crate) fn is_text(value: Option<&Value>, text: &str) -> bool {
    value.and_then(Value::as_str) == Some(text)
}

/// A name: a string, or an integer as it prints.
pub(crate) fn id<'a>(value: Option<&Value<'a>>, which: Field) -> Result<Cow<'a, str>, RowError> {
    match value.ok_or(RowError::MissingField(which))? {
        Value::Str(id) => Ok(id.clone()),
        number => Ok(integer(number).ok_or(RowError::NotAnId(which))?.into()),
    }
}

/// An integer as it prints.
fn integer(value: &Value) -> Option<String> {
    let negative = || value.as_i64().map(|number| number.to_string());
    value.as_u64().map(|number| number.to_string()).or_else(negative)
}

/// A time: a string, or an integer.
pub(crate) fn instant(value: Option<&Value>) -> Result<Timestamp, RowError> {
    match value.ok_or(RowError::MissingField(Field::Time))? {
        Value::Str(time) => Ok(time.parse()?),
        number => Ok(integer(number).ok_or(ParseTimeError::Form)?.parse()?),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::rejected::Rejected;
    use dunlin_index::SpaceKind;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::io::BufReader;
    use std::path::Path;

    /// The rows of a text, object and x, and those that were refused.
    fn read_all(text: &str, block: usize, bytes_min: usize) -> (Vec<(String, f64)>, Rejected) {
        let mut table = Positions { space: SpaceKind::Plane, trace: crate::Trace::default() };
        let mut rejected = Rejected::default();
        let mut sink = Sink {
            path: Path::new("rows.ndjson"),
            gzip: false,
            strict: false,
            table: &mut table,
            rejected: &mut rejected,
            share_read: &Cell::new(0.5),
        };
        let lines = Lines::new(BufReader::with_capacity(block, text.as_bytes()));
        let mut stretches = Stretches::without(None);
        stretches.bytes_min = bytes_min;
        let columns = Columns::for_space(SpaceKind::Plane);
        read_objects(lines, stretches, &mut sink, |json| position(json, &columns)).unwrap();
        let trace = table.trace;
        let name = |row: usize| trace.names.name(trace.objects[row]).to_owned();
        ((0..trace.len()).map(|row| (name(row), trace.at[row].x)).collect(), rejected)
    }

    /// Lines, good ones and others.
    fn lines() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => (0..3, -9.0..9.0f64)
                .prop_map(|(object, x)| format!(r#"{{"object":"o{object}","time":5,"at":[{x},0]}}"#)),
            1 => prop::sample::select(vec![
                "", " ", "{}", "[]", "7", "{", r#"{"object":7,"time":"5","x":1,"y":2}"#,
                r#"{"object":"\u00e9\"","time":5,"at":[1,2]}"#,
                r#"{"object":"","time":5,"at":[1,2]}"#,
            ]).prop_map(str::to_owned),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn stretches_do_not_show(
            lines in prop::collection::vec((lines(), any::<bool>()), 0..20),
            is_cut: bool, block in 1usize..300, bytes_min in 1usize..100, threads in 1usize..5,
        ) {
            let ends = lines.iter().map(|(line, returns)| (line, if *returns { "\r\n" } else { "\n" }));
            let mut text: String = ends.flat_map(|(line, end)| [line, end]).collect();
            if is_cut {
                text.pop();
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let stretches = pool.install(|| read_all(&text, block, bytes_min));
            prop_assert_eq!(stretches, read_all(&text, block, usize::MAX));
        }
    }

    #[test]
    fn of_several_values_under_one_key_the_last_counts() {
        let text = r#"{"object":"a","at":[1,2],"object":"b","time":null,"time":5,"at":[3,4]}"#;
        assert_eq!(read_all(text, 100, usize::MAX).0, [("b".to_owned(), 3.0)]);
    }

    #[test]
    fn whole_numbers_are_names_as_they_print() {
        for number in ["0", "-7", "18446744073709551615", "-9223372036854775808"] {
            let text = format!(r#"{{"object":{number},"time":5,"at":[1,2]}}"#);
            assert_eq!(read_all(&text, 100, usize::MAX).0, [(number.to_owned(), 1.0)]);
        }
        for number in ["1.0", "1e3", "18446744073709551616"] {
            let text = format!(r#"{{"object":{number},"time":5,"at":[1,2]}}"#);
            assert_eq!(read_all(&text, 100, usize::MAX).0, []);
        }
    }
}
