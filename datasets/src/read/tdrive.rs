//! T-Drive (taxis of Beijing): `id,time,lon,lat` without a header, white space around fields.

use std::io::BufRead;

use super::error::{Field, ReadError, RowError};
use super::lines::{Line, Lines};
use super::sink::{Positions, Row, Sink, coord, text, time};

/// Reads a file in T-Drive's own layout.
pub(crate) fn read<R: BufRead>(input: R, sink: &mut Sink<Positions>) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    while lines.advance().map_err(|source| sink.read_error(source))? {
        let line = lines.line();
        if !line.is_blank() {
            sink.take(line.number, row(&line))?;
        }
    }
    Ok(())
}

fn row<'a>(line: &Line<'a>) -> Result<Row<'a>, RowError> {
    if !line.whole {
        return Err(RowError::TooLong);
    }
    let mut fields = line.bytes().split(|&byte| byte == b',');
    Ok(Row {
        object: text(fields.next(), Field::Object)?.trim().into(),
        time: time(fields.next())?,
        at: coord(fields.next(), fields.next())?,
    })
}

/// Whether a line is a row of this layout: an integer, a calendar time, two numbers.
pub(crate) fn is_row(line: &[u8]) -> bool {
    let mut fields = line.split(|&byte| byte == b',');
    let id = fields.next().unwrap_or_default().trim_ascii();
    let day = fields.next().unwrap_or_default();
    let is_calendar = day.trim_ascii().get(4) == Some(&b'-') && time(Some(day)).is_ok();
    !id.is_empty()
        && id.iter().all(u8::is_ascii_digit)
        && is_calendar
        && coord(fields.next(), fields.next()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_from_headers() {
        assert!(is_row(b"2237,2008-02-02 13:47:30,0.0,0.0"));
        assert!(is_row(b" 1 , 2008-02-02T13:47:30Z , 116.3, 39.9,extra"));
        for other in [
            &b"object,time,lon,lat"[..],
            b"",
            b"t1,2008-02-02 13:47:30,0.0,0.0",
            b"1,1201953600,0.0,0.0",
            b"1,2008-02-02 13:47:30,0.0",
            b"1,2008-02-02 13:47:30,east,0.0",
        ] {
            assert!(!is_row(other), "{}", String::from_utf8_lossy(other));
        }
    }
}
