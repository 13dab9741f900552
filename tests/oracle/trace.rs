//! Traces for the oracle: made from a seed, or read from a file in the plainest way.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use dunlin::stream::Timestamp;
use geo::line_measures::{Distance, Haversine};

/// One report of one object.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) object: String,
    pub(crate) time_ms: i64,
    pub(crate) at: [f64; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Sphere,
    Plane,
}

impl Space {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sphere => "sphere",
            Self::Plane => "plane",
        }
    }

    pub(crate) fn columns(self) -> [&'static str; 4] {
        match self {
            Self::Sphere => ["object", "time", "lon", "lat"],
            Self::Plane => ["object", "time", "x", "y"],
        }
    }

    /// A neighbourhood, in units of coordinates.
    pub(crate) fn unit(self) -> f64 {
        match self {
            Self::Sphere => 0.1,
            Self::Plane => 5.0,
        }
    }

    /// A neighbourhood, in units of distance.
    pub(crate) fn radius(self) -> f64 {
        match self {
            Self::Sphere => 1_000.0,
            Self::Plane => 1.0,
        }
    }

    /// The nearest position that the space has.
    pub(crate) fn clamp(self, [x, y]: [f64; 2]) -> [f64; 2] {
        match self {
            Self::Sphere => [x.clamp(-180.0, 180.0), y.clamp(-90.0, 90.0)],
            Self::Plane => [x, y],
        }
    }

    pub(crate) fn distance(self, a: [f64; 2], b: [f64; 2]) -> f64 {
        match self {
            Self::Sphere => Haversine.distance(geo::Point::from(a), geo::Point::from(b)),
            Self::Plane => {
                let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
                (dx * dx + dy * dy).sqrt()
            }
        }
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.bits() % count as u64) as usize
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.bits() as f64 / u64::MAX as f64
    }
}

/// How the objects of a made trace are spread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spread {
    /// On the points of a small lattice: many ties and shared places.
    Lattice,
    /// In a city, around a centre.
    City,
    /// On both sides of the antimeridian.
    Antimeridian,
    /// Around the north pole.
    Pole,
}

impl Spread {
    pub(crate) fn space(self) -> Space {
        match self {
            Self::Lattice => Space::Plane,
            _ => Space::Sphere,
        }
    }

    fn place(self, random: &mut Random) -> [f64; 2] {
        let (u, v) = (random.share(), random.share());
        match self {
            Self::Lattice => [(u * 8.0).floor() - 4.0, (v * 8.0).floor() - 4.0],
            Self::City => [116.3 + 0.2 * u * v, 39.8 + 0.2 * v],
            Self::Antimeridian if u < 0.5 => [180.0 - 0.1 * u, 0.1 * v],
            Self::Antimeridian => [-180.0 + 0.1 * u, 0.1 * v],
            Self::Pole => [360.0 * u - 180.0, 90.0 - 0.2 * v * v],
        }
    }
}

/// `count` reports of `objects` objects within `seconds`; no object reports twice at one time. Some
/// times are before 1970, and some names need care.
pub(crate) fn made(
    spread: Spread,
    objects: usize,
    count: usize,
    seconds: usize,
    seed: u64,
) -> Vec<Row> {
    let mut random = Random(seed);
    let mut seen = std::collections::BTreeSet::new();
    let mut rows = Vec::new();
    while rows.len() < count {
        let (object, time) = (random.below(objects), random.below(seconds * 1000) as i64 - 20_000);
        if seen.insert((object, time)) {
            let name = if object % 10 == 3 { "cab é" } else { "o" };
            let at = spread.place(&mut random);
            rows.push(Row { object: format!("{name}{object}"), time_ms: time, at });
        }
    }
    rows
}

/// The rows as CSV, in their order. Times are written in full: small numbers would count seconds.
pub(crate) fn csv(rows: &[Row], space: Space) -> String {
    let mut text = space.columns().join(",");
    for row in rows {
        let time = Timestamp::from_millis_unchecked(row.time_ms);
        let [x, y] = row.at;
        write!(text, "\n{},{time},{x},{y}", row.object).expect("memory takes all");
    }
    text
}

/// Reads a gzipped CSV file whose fields have no quotes.
pub(crate) fn read(path: &Path, columns: [&str; 4]) -> Result<Vec<Row>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().context("no header")?.split(',').collect();
    let place = |name: &str| {
        header.iter().position(|column| *column == name).with_context(|| format!("no {name}"))
    };
    let [object, time, x, y] = columns;
    let places = [place(object)?, place(time)?, place(x)?, place(y)?];
    lines.map(|line| row(line, places).with_context(|| line.to_owned())).collect()
}

fn row(line: &str, [object, time, x, y]: [usize; 4]) -> Result<Row> {
    let fields: Vec<&str> = line.split(',').collect();
    let time: Timestamp = fields[time].parse()?;
    let at = [fields[x].parse()?, fields[y].parse()?];
    Ok(Row { object: fields[object].to_owned(), time_ms: time.as_millis(), at })
}
