//! GeoLife `.plt` files: six header lines, then `lat,lon,0,altitude in feet,days,date,time`.
//!
//! The file does not say whose track it is: `…/<user>/Trajectory/<file>.plt` names the user, any
//! other place the file itself. Times are UTC; latitude stands before longitude.

use std::io::BufRead;
use std::path::Path;

use super::error::{Field, ReadError, RowError};
use super::lines::{Line, Lines};
use super::sink::{Positions, Row, Sink, coord, text};

const HEADER_LINES: u64 = 6;
const HEADER_START: &[u8] = b"geolife trajectory";

/// Reads one track.
pub(crate) fn read<R: BufRead>(input: R, sink: &mut Sink<Positions>) -> Result<(), ReadError> {
    let object = object(sink.path);
    let mut lines = Lines::new(input);
    while lines.advance().map_err(|source| sink.read_error(source))? {
        let line = lines.line();
        if line.number > HEADER_LINES && !line.is_blank() {
            sink.take(line.number, row(&line, &object))?;
        }
    }
    Ok(())
}

fn row<'a>(line: &Line, object: &'a str) -> Result<Row<'a>, RowError> {
    if !line.whole {
        return Err(RowError::TooLong);
    }
    let mut fields = line.bytes().split(|&byte| byte == b',');
    let (lat, lon) = (fields.next(), fields.next());
    let (date, time) = (fields.nth(3), fields.next());
    let (date, time) = (text(date, Field::Time)?, text(time, Field::Time)?);
    let time = format!("{} {}", date.trim(), time.trim()).parse()?;
    Ok(Row { object: object.into(), time, at: coord(lon, lat)? })
}

/// Whose track the file at `path` is.
fn object(path: &Path) -> String {
    let folder = path.parent().filter(|folder| folder.ends_with("Trajectory"));
    let user = folder.and_then(Path::parent).and_then(Path::file_name);
    let name = user.or(path.file_name()).unwrap_or_default().to_string_lossy();
    let name = name.trim();
    if user.is_some() {
        return name.to_owned();
    }
    let stem = name.strip_suffix(".gz").unwrap_or(name);
    stem.strip_suffix(".plt").unwrap_or(stem).to_owned()
}

/// Whether a file's first line is the header of this format.
pub(crate) fn is_header(line: &[u8]) -> bool {
    let start = line.get(..HEADER_START.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(HEADER_START))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_the_folder_over_trajectory() {
        let object = |path| object(Path::new(path));
        assert_eq!(object("Data/000/Trajectory/20081023025304.plt"), "000");
        assert_eq!(object("/Data/017/Trajectory/20081023025304.plt.gz"), "017");
        assert_eq!(object("tracks/walk.plt"), "walk");
        assert_eq!(object("walk.plt.gz"), "walk");
        assert_eq!(object("Trajectory/walk.plt"), "walk");
    }

    #[test]
    fn the_header_is_known() {
        assert!(is_header(b"Geolife trajectory\r"));
        assert!(!is_header(b"Geo"));
    }
}
