//! CSV with a header: columns `object`, `lon`, `lat` (or `x`, `y`) and, if reports have a time, `time`.

use csv::{ByteRecord, ReaderBuilder};
use dunlin_index::Coord;
use dunlin_stream::Timestamp;

use super::{Intake, Reason};
use crate::server::error::QueryError;

/// Where the columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    object: usize,
    x: usize,
    y: usize,
    time: Option<usize>,
}

impl Columns {
    /// Finds them in the header, or says which is missing.
    fn find(header: &ByteRecord) -> Result<Self, QueryError> {
        let find = |names: &[&str]| {
            header.iter().position(|column| {
                names.iter().any(|name| column.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
            })
        };
        let need = |names: &[&str]| {
            find(names).ok_or_else(|| QueryError::Limit {
                field: "header",
                detail: format!(
                    "the header has no column {}; begin with object,lon,lat,time or object,x,y,time",
                    names.join(" or ")
                ),
            })
        };
        Ok(Self {
            object: need(&["object"])?,
            x: need(&["lon", "x"])?,
            y: need(&["lat", "y"])?,
            time: find(&["time"]),
        })
    }
}

/// Takes the rows of a body.
pub(crate) fn read_csv(body: &[u8], intake: &mut Intake<'_>) -> Result<(), QueryError> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let mut row = ByteRecord::new();
    let mut columns = None;
    while read(&mut reader, &mut row)? {
        let line = row.position().map_or(0, csv::Position::line);
        let Some(columns) = columns else {
            columns = Some(Columns::find(&row)?);
            continue;
        };
        match cells(&row, columns) {
            Ok((object, at, time)) => intake.push(line, object, at, time)?,
            Err(reason) => intake.reject(line, &reason),
        }
    }
    Ok(())
}

fn read(reader: &mut csv::Reader<&[u8]>, row: &mut ByteRecord) -> Result<bool, QueryError> {
    reader.read_byte_record(row).map_err(|error| QueryError::Limit {
        field: "body",
        detail: format!("the body is no CSV: {error}"),
    })
}

fn cells(row: &ByteRecord, columns: Columns) -> Result<(&str, Coord, Option<Timestamp>), Reason> {
    let cell = |column: usize| {
        let bytes = row.get(column).ok_or_else(|| Reason::Form("a cell is missing".to_owned()))?;
        let text = std::str::from_utf8(bytes);
        text.map(str::trim).map_err(|_| Reason::Form("not UTF-8 text".to_owned()))
    };
    let number = |column: usize| {
        let text = cell(column)?;
        text.parse().map_err(|_| Reason::Form(format!("{text:?} is no number")))
    };
    let at = Coord { x: number(columns.x)?, y: number(columns.y)? };
    let time = match columns.time.map(cell).transpose()? {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(Reason::Time)?),
    };
    Ok((cell(columns.object)?, at, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(cells: &[&str]) -> ByteRecord {
        ByteRecord::from(cells.to_vec())
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let columns = Columns::find(&record(&["Lat", " time", "LON", "speed", "object"])).unwrap();
        assert_eq!(columns, Columns { object: 4, x: 2, y: 0, time: Some(1) });
        assert_eq!(Columns::find(&record(&["object", "x", "y"])).unwrap().time, None);
        let error = Columns::find(&record(&["object", "lon"])).unwrap_err().to_string();
        assert!(error.contains("lat or y"), "{error}");
    }

    #[test]
    fn cells_that_do_not_read_are_named() {
        let columns = Columns { object: 0, x: 1, y: 2, time: Some(3) };
        let at = Coord { x: 1.0, y: -2.5 };
        assert_eq!(cells(&record(&["a", "1", " -2.5", ""]), columns), Ok(("a", at, None)));
        for (row, word) in [
            (record(&["a", "1"]), "missing"),
            (record(&["a", "1", "x", ""]), "\"x\" is no number"),
            (record(&["a", "1", "2", "soon"]), "not a time"),
            (ByteRecord::from(vec![&b"\xff"[..], b"1", b"2", b""]), "UTF-8"),
        ] {
            let reason = cells(&row, columns).unwrap_err().to_string();
            assert!(reason.contains(word), "{reason}");
        }
    }
}
