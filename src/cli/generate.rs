//! `dunlin generate`: objects that move, or vehicles that pass cameras, as CSV, from a seed.
//!
//! ```text
//! movement (uniform, clusters, hotspot, network) ──step──step──> object,time,lon,lat
//! ```
//!
//! The same arguments give the same bytes on every machine. Arguments are checked here, since the
//! movements take nonsense for a bug.

mod cameras;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dunlin::datasets::generate::{
    Area, City, Clusters, CsvOptions, DriftingHotSpot, GaussianClusters, HotSpot, Movement,
    NetworkMovement, Population, RoadGraph, Travellers, Uniform, write_csv,
};
use dunlin::index::{Coord, SpaceKind};
use dunlin::stream::Timestamp;

use super::duration;
use super::error::{CliError, UsageError};
use super::output::{Output, OutputError};
use super::progress::{self, Count, StopWatch, counted, say};
use super::reading::SpaceArg;

const EXAMPLE: &str = "Example:
  dunlin generate clusters --objects 10000 --steps 60 --step 10s --seed 7 --out city.csv
  dunlin generate network --objects 500 --steps 600 | head
  dunlin generate cameras --cameras 100 --out passages.csv --truth convoys.ndjson";

/// Make objects that move, and write where they go, or where cameras see them, as CSV.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct GenerateArgs {
    #[command(subcommand)]
    what: WhatArgs,
}

#[derive(Debug, Subcommand)]
enum WhatArgs {
    #[command(flatten)]
    Movement(MovementArgs),
    /// Vehicles that pass cameras on a network of roads, some of them in convoys
    Cameras(cameras::CamerasArgs),
}

#[derive(Debug, Subcommand)]
enum MovementArgs {
    /// Everywhere alike, straight ways between the borders
    #[command(after_help = "Example:\n  dunlin generate uniform --objects 1000 --out uniform.csv")]
    Uniform {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        roaming: RoamingArgs,
    },
    /// Crowds around centres, each object near its home
    #[command(after_help = "Example:\n  dunlin generate clusters --clusters 8 --out crowds.csv")]
    Clusters {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        roaming: RoamingArgs,
        /// How many centres
        #[arg(long, value_name = "N", default_value_t = 10)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        clusters: u32,
        /// Standard deviation of a crowd, as a share of the area
        #[arg(long, value_name = "SHARE", default_value_t = 0.02, value_parser = share)]
        spread: f64,
    },
    /// One dense crowd that wanders through the area, others anywhere
    #[command(after_help = "Example:\n  dunlin generate hotspot --crowd 0.5 --period 10m | head")]
    Hotspot {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        roaming: RoamingArgs,
        /// The share of the objects that is in the crowd
        #[arg(long, value_name = "SHARE", default_value_t = 0.8, value_parser = share)]
        crowd: f64,
        /// How long the crowd takes to come back
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
        #[arg(allow_hyphen_values = true)]
        period: i64,
    },
    /// Shortest ways through a network of roads
    #[command(after_help = "Example:\n  dunlin generate network --objects 500 --out city.csv")]
    Network {
        #[command(flatten)]
        common: CommonArgs,
        /// Files of nodes (id lon lat) and of roads (id node node length); without them a made-up
        /// city
        #[arg(long, num_args = 2, value_names = ["NODES", "ROADS"])]
        roads: Option<Vec<PathBuf>>,
    },
}

/// What every movement needs.
#[derive(Debug, Args)]
struct CommonArgs {
    /// How many objects
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    objects: u32,
    /// How many times each object reports
    #[arg(long, value_name = "N", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Time between reports
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration::parse)]
    #[arg(allow_hyphen_values = true)]
    step: i64,
    /// What decides everything that looks random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Time of the first reports
    #[arg(long, value_name = "TIME", default_value = "2008-02-02 12:00:00")]
    start: Timestamp,
    /// Where rows go; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

/// Where objects may go, and how fast.
#[derive(Debug, Args)]
struct RoamingArgs {
    /// What positions are
    #[arg(long, value_enum, default_value_t)]
    space: SpaceArg,
    /// The box that objects stay in; without it a city's on the sphere, 10000 by 10000 in the plane
    #[arg(long, value_name = "MINX,MINY,MAXX,MAXY", allow_hyphen_values = true)]
    #[arg(value_parser = corners)]
    area: Option<[f64; 4]>,
    /// Greatest speed along x and along y, in shares of the area a second
    #[arg(long, value_name = "SHARE", default_value_t = 0.0005, value_parser = speed)]
    #[arg(allow_hyphen_values = true)]
    speed: f64,
}

/// The centre of Beijing: 0.2 degrees around 116.39 E, 39.91 N.
const CITY: [f64; 4] = [116.29, 39.81, 116.49, 40.01];
const PLANE: [f64; 4] = [0.0, 0.0, 10_000.0, 10_000.0];
/// The greatest speed that movements take.
const SPEED_MAX: f64 = 1e6;

/// Why an argument is not what it should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
enum ArgumentError {
    #[error("write four numbers with commas between, such as 116.29,39.81,116.49,40.01")]
    Corners,
    #[error("write a number from 0 to 1")]
    Share,
    #[error("write a number from 0 to 1000000")]
    Speed,
}

fn corners(text: &str) -> Result<[f64; 4], ArgumentError> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    let numbers = numbers.map_err(|_| ArgumentError::Corners)?;
    numbers.try_into().map_err(|_| ArgumentError::Corners)
}

fn share(text: &str) -> Result<f64, ArgumentError> {
    let number = text.parse().map_err(|_| ArgumentError::Share)?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(ArgumentError::Share) }
}

fn speed(text: &str) -> Result<f64, ArgumentError> {
    let number = text.parse().map_err(|_| ArgumentError::Speed)?;
    if (0.0..=SPEED_MAX).contains(&number) { Ok(number) } else { Err(ArgumentError::Speed) }
}

/// Runs the command.
pub(crate) fn run(args: &GenerateArgs) -> Result<(), CliError> {
    match &args.what {
        WhatArgs::Movement(args) => run_movement(args),
        WhatArgs::Cameras(args) => cameras::run(args),
    }
}

fn run_movement(args: &MovementArgs) -> Result<(), CliError> {
    let (common, space, mut movement) = args.build()?;
    let watch = StopWatch::start();
    let rows = write(common, space, &mut *movement)?;
    let (seconds, objects) = (watch.seconds(), counted(common.objects.into(), "object"));
    say(format_args!("{} of {objects} written", counted(rows, "record")));
    say(format_args!("{seconds:.3} s, {}", progress::per_second(rows, seconds)));
    Ok(())
}

impl MovementArgs {
    fn build(&self) -> Result<(&CommonArgs, SpaceKind, Box<dyn Movement>), CliError> {
        let movement: Box<dyn Movement> = match self {
            Self::Uniform { common, roaming } => {
                common.check()?;
                Box::new(Uniform::new(roaming.area()?, roaming.population(common)))
            }
            Self::Clusters { common, roaming, clusters, spread } => {
                common.check()?;
                let clusters = Clusters { count: *clusters as usize, spread: *spread };
                let population = roaming.population(common);
                Box::new(GaussianClusters::new(roaming.area()?, population, clusters))
            }
            Self::Hotspot { common, roaming, crowd, period } => {
                common.check()?;
                let period_s = *period as f64 / 1000.0;
                let hot_spot = HotSpot { share: *crowd, period_s, ..HotSpot::default() };
                let population = roaming.population(common);
                Box::new(DriftingHotSpot::new(roaming.area()?, population, hot_spot))
            }
            Self::Network { common, roads } => {
                common.check()?;
                let graph = match roads.as_deref() {
                    Some([nodes, roads]) => RoadGraph::read(nodes, roads)?,
                    _ => City { seed: common.seed, ..City::default() }.build()?,
                };
                let (objects, seed) = (common.objects as usize, common.seed);
                let travellers = Travellers { objects, seed, ..Travellers::default() };
                Box::new(NetworkMovement::new(graph, travellers)?)
            }
        };
        let (common, space) = self.common();
        Ok((common, space, movement))
    }

    fn common(&self) -> (&CommonArgs, SpaceKind) {
        match self {
            Self::Uniform { common, roaming }
            | Self::Clusters { common, roaming, .. }
            | Self::Hotspot { common, roaming, .. } => (common, roaming.space.into()),
            Self::Network { common, .. } => (common, SpaceKind::Sphere),
        }
    }
}

impl CommonArgs {
    /// Whether the last step has a time that prints.
    fn check(&self) -> Result<(), UsageError> {
        let elapsed = i64::from(self.steps - 1).checked_mul(self.step);
        let last = elapsed.and_then(|ms| ms.checked_add(self.start.as_millis()));
        let accepted = last.and_then(|ms| Timestamp::from_millis(ms).ok());
        accepted.map(drop).ok_or(UsageError::TooLate)
    }
}

impl RoamingArgs {
    fn area(&self) -> Result<Area, UsageError> {
        let space = self.space.into();
        let usual = if space == SpaceKind::Sphere { CITY } else { PLANE };
        let [min_x, min_y, max_x, max_y] = self.area.unwrap_or(usual);
        let (min, max) = (Coord { x: min_x, y: min_y }, Coord { x: max_x, y: max_y });
        Ok(Area::new(space, min, max)?)
    }

    fn population(&self, common: &CommonArgs) -> Population {
        Population { objects: common.objects as usize, seed: common.seed, speed: self.speed }
    }
}

fn write(
    common: &CommonArgs,
    space: SpaceKind,
    movement: &mut dyn Movement,
) -> Result<u64, OutputError> {
    let (steps, step_ms) = (u64::from(common.steps), common.step.unsigned_abs());
    let options = CsvOptions { steps, step_ms, start: common.start, space, prefix: "o" };
    let mut output = Output::open(&common.out)?;
    let bar = progress::bar("generating", steps * u64::from(common.objects), Count::Records);
    let rows = write_csv(&mut output, movement, &options, &mut |rows| bar.set_position(rows));
    bar.finish_and_clear();
    let rows = rows.map_err(|source| output.failed(source))?;
    output.finish()?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_four_numbers() {
        assert_eq!(corners("-1,-2, 3,4.5"), Ok([-1.0, -2.0, 3.0, 4.5]));
        for text in ["", "1,2,3", "1,2,3,4,5", "1,2,3,x"] {
            assert_eq!(corners(text), Err(ArgumentError::Corners), "{text}");
        }
    }

    #[test]
    fn shares_and_speeds_are_bounded() {
        assert_eq!((share("0"), share("1")), (Ok(0.0), Ok(1.0)));
        assert_eq!(speed("1e6"), Ok(1e6));
        for text in ["-0.1", "nan", "inf", "x", "1000001"] {
            assert_eq!(share(text), Err(ArgumentError::Share), "{text}");
            assert_eq!(speed(text), Err(ArgumentError::Speed), "{text}");
        }
    }
}
