//! Movement as CSV, fast enough to make the files of a benchmark.
//!
//! Numbers are written with fixed decimals: 7 on the sphere (a centimetre), 6 in the plane.

use std::io::{self, Write};

use dunlin_index::{Coord, SpaceKind};
use dunlin_stream::Timestamp;

use super::Movement;

/// What to write of a movement.
#[derive(Clone, Copy, Debug)]
pub struct CsvOptions<'a> {
    /// How many times every object reports; the first time is before the first step.
    pub steps: u64,
    /// How long a step lasts, in milliseconds.
    pub step_ms: u64,
    /// The time of the first reports.
    pub start: Timestamp,
    /// Names the columns of the position and decides the decimals.
    pub space: SpaceKind,
    /// What ids begin with, before at least six digits; commas and quotes are not escaped.
    pub prefix: &'a str,
}

const BUFFER_BYTES: usize = 64 * 1024;

/// Writes `object,time,lon,lat` (in the plane `object,time,x,y`), ordered by time, then object, and
/// returns the number of rows. `progress` is told the rows so far after every step.
///
/// # Errors
/// What `writer` says; and times beyond the year 9998.
pub fn write_csv(
    writer: &mut dyn Write,
    movement: &mut dyn Movement,
    options: &CsvOptions,
    progress: &mut dyn FnMut(u64),
) -> io::Result<u64> {
    let (header, scale) = match options.space {
        SpaceKind::Sphere => ("object,time,lon,lat\n", Scale { decimals: 7, factor: 1e7 }),
        SpaceKind::Plane => ("object,time,x,y\n", Scale { decimals: 6, factor: 1e6 }),
    };
    writer.write_all(header.as_bytes())?;
    let (mut buffer, mut rows) = (Vec::with_capacity(2 * BUFFER_BYTES), 0);
    for step in 0..options.steps {
        let time = format!(",{},", time_of(options, step)?);
        if step > 0 {
            movement.step(options.step_ms as f64 / 1000.0);
        }
        for (index, at) in movement.positions().iter().enumerate() {
            write_row(&mut buffer, options.prefix, index as u64, &time, *at, scale);
            if buffer.len() >= BUFFER_BYTES {
                writer.write_all(&buffer)?;
                buffer.clear();
            }
        }
        rows += movement.positions().len() as u64;
        progress(rows);
    }
    writer.write_all(&buffer)?;
    writer.flush()?;
    Ok(rows)
}

fn time_of(options: &CsvOptions, step: u64) -> io::Result<Timestamp> {
    let late =
        || io::Error::new(io::ErrorKind::InvalidInput, "the last step is after the year 9998");
    let elapsed = step.checked_mul(options.step_ms).and_then(|ms| i64::try_from(ms).ok());
    let millis = elapsed.and_then(|ms| options.start.as_millis().checked_add(ms));
    Timestamp::from_millis(millis.ok_or_else(late)?).map_err(|_| late())
}

fn write_row(out: &mut Vec<u8>, prefix: &str, index: u64, time: &str, at: Coord, scale: Scale) {
    out.extend_from_slice(prefix.as_bytes());
    write_digits(out, index, 6);
    out.extend_from_slice(time.as_bytes());
    write_fixed(out, at.x, scale);
    out.push(b',');
    write_fixed(out, at.y, scale);
    out.push(b'\n');
}

/// How many decimals, and ten to that power.
#[derive(Clone, Copy, Debug)]
struct Scale {
    decimals: usize,
    factor: f64,
}

/// Above this, a number has no decimals left to round.
const EXACT_MAX: f64 = (1u64 << 53) as f64;

fn write_fixed(out: &mut Vec<u8>, value: f64, scale: Scale) {
    let scaled = (value * scale.factor).round();
    if scaled.abs() >= EXACT_MAX || !scaled.is_finite() {
        out.extend_from_slice(value.to_string().as_bytes());
        return;
    }
    if scaled < 0.0 {
        out.push(b'-');
    }
    let (scaled, factor) = (scaled.abs() as u64, scale.factor as u64);
    write_digits(out, scaled / factor, 1);
    out.push(b'.');
    write_digits(out, scaled % factor, scale.decimals);
}

/// Decimal digits, with zeros in front up to `width`.
fn write_digits(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value > 0 {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Area, Population, Uniform};

    fn fixed(value: f64, scale: Scale) -> String {
        let mut out = Vec::new();
        write_fixed(&mut out, value, scale);
        String::from_utf8(out).unwrap()
    }

    const SEVEN: Scale = Scale { decimals: 7, factor: 1e7 };

    #[test]
    fn numbers_have_fixed_decimals() {
        for (value, expected) in [
            (116.39, "116.3900000"),
            (-122.39488, "-122.3948800"),
            (0.0, "0.0000000"),
            (-0.000_000_04, "0.0000000"),
            (-0.000_000_06, "-0.0000001"),
            (179.999_999_99, "180.0000000"),
        ] {
            assert_eq!(fixed(value, SEVEN), expected);
        }
        assert_eq!(fixed(-1.5e20, SEVEN), "-150000000000000000000");
        assert_eq!(fixed(f64::NAN, SEVEN), "NaN");
    }

    fn csv(space: SpaceKind, seed: u64, steps: u64) -> (String, u64) {
        let corner = |x, y| Coord { x, y };
        let area = Area::new(space, corner(10.0, 20.0), corner(11.0, 22.0)).unwrap();
        let mut movement = Uniform::new(area, Population { objects: 3, seed, speed: 0.01 });
        let start = "2008-02-02 12:00:00".parse().unwrap();
        let options = CsvOptions { steps, step_ms: 1_500, start, space, prefix: "o" };
        let mut out = Vec::new();
        let rows = write_csv(&mut out, &mut movement, &options, &mut |_| ()).unwrap();
        (String::from_utf8(out).unwrap(), rows)
    }

    #[test]
    fn rows_are_ordered_by_time_then_object() {
        let (text, rows) = csv(SpaceKind::Sphere, 1, 2);
        assert_eq!(rows, 6);
        let starts: Vec<&str> = text.lines().map(|line| &line[..line.len().min(32)]).collect();
        assert_eq!(starts[0], "object,time,lon,lat");
        assert_eq!(starts[1], "o000000,2008-02-02T12:00:00.000Z");
        assert_eq!(starts[6], "o000002,2008-02-02T12:00:01.500Z");
        assert!(csv(SpaceKind::Plane, 1, 0).0 == "object,time,x,y\n");
    }

    #[test]
    fn the_same_seed_writes_the_same_bytes() {
        assert_eq!(csv(SpaceKind::Sphere, 1, 9), csv(SpaceKind::Sphere, 1, 9));
        assert_ne!(csv(SpaceKind::Sphere, 1, 9), csv(SpaceKind::Sphere, 2, 9));
    }

    #[test]
    fn times_end_in_the_year_9998() {
        let corner = |x, y| Coord { x, y };
        let area = Area::new(SpaceKind::Plane, corner(0.0, 0.0), corner(1.0, 1.0)).unwrap();
        let mut movement = Uniform::new(area, Population { objects: 1, seed: 0, speed: 0.0 });
        let (start, space) = (Timestamp::MAX, SpaceKind::Plane);
        let options = CsvOptions { steps: 2, step_ms: 1, start, space, prefix: "" };
        let outcome = write_csv(&mut io::sink(), &mut movement, &options, &mut |_| ());
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
