//! `dunlin generate cameras`: passages of vehicles, and the convoys among them.
//!
//! ```text
//! options ──generate──> CameraTraffic ──> stream,object,time        (--out)
//!                                    └──> one convoy a line, JSON   (--truth)
//! ```

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Args;
use dunlin::datasets::generate::{CameraOptions, CameraOptionsError, CameraTraffic, RoadGraph};
use dunlin::stream::Timestamp;

use super::share;
use crate::cli::duration::{self, DurationError};
use crate::cli::error::{CliError, UsageError};
use crate::cli::output::Output;
use crate::cli::progress::{self, Count, StopWatch, counted, say};

const EXAMPLE: &str = "Examples:
  dunlin generate cameras --cameras 1000 --plates 100000 --convoys 500 --convoy-size 3
      --read-errors 0.02 --clock-skew 2s --duration 1d --seed 7
      --out passages.csv --truth convoys.ndjson
  dunlin generate cameras --cameras 20 --duration 1h --roads NODES ROADS | head

Passages are rows of stream (the camera), object (the plate, empty where it was not read) and time.
A line of the truth is a convoy with the visits at which every member was read right:
  {\"objects\":[\"AB12345\",\"KL00712\"],\"passages\":[{\"stream\":\"c12\",\"from\":\"…\",\"to\":\"…\"}]}";

/// What `generate cameras` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct CamerasArgs {
    /// How many cameras, each at a junction of its own
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    cameras: u32,
    /// How many vehicles; without it 100 for each camera
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    plates: Option<u32>,
    /// About how many passages; without it 6000 for each camera and day
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    passages: Option<u64>,
    /// How many convoys; without it one for every second camera
    #[arg(long, value_name = "N")]
    convoys: Option<u32>,
    /// How many vehicles are in a convoy, as 3 or 2-5
    #[arg(long, value_name = "N|MIN-MAX", default_value = "2-5", value_parser = size)]
    convoy_size: RangeInclusive<u32>,
    /// How many trips a convoy makes, if there is an hour for each
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    convoy_trips: u32,
    /// How far a convoy is strung out at most at a camera
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = brief)]
    #[arg(allow_hyphen_values = true)]
    convoy_span: u32,
    /// The share of plates that are not read right: half not at all, half with a wrong character
    #[arg(long, value_name = "SHARE", default_value_t = 0.02, value_parser = share)]
    #[arg(allow_hyphen_values = true)]
    read_errors: f64,
    /// How far a camera's clock is off at most, ahead or behind; 0 for right clocks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = brief)]
    #[arg(allow_hyphen_values = true)]
    clock_skew: u32,
    /// How long passages go on
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration::parse)]
    #[arg(allow_hyphen_values = true)]
    duration: i64,
    /// When passages begin; traffic follows the hours of the day in UTC
    #[arg(long, value_name = "TIME", default_value = "2024-03-01 00:00:00")]
    start: Timestamp,
    /// What decides everything that looks random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Files of nodes (id lon lat) and of roads (id node node length); without them a made-up city
    #[arg(long, num_args = 2, value_names = ["NODES", "ROADS"])]
    roads: Option<Vec<PathBuf>>,
    /// Where passages go; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Where the convoys go; without it nowhere
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

/// Why an argument is not what it should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
enum ArgumentError {
    #[error("write a number of at least 2, or two with - between, such as 2-5")]
    Size,
    #[error(transparent)]
    Duration(#[from] DurationError),
    #[error("too long: at most 1h")]
    TooLong,
}

fn size(text: &str) -> Result<RangeInclusive<u32>, ArgumentError> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u32>().map_err(|_| ArgumentError::Size);
    let size = number(least)?..=number(most)?;
    if *size.start() >= 2 && !size.is_empty() { Ok(size) } else { Err(ArgumentError::Size) }
}

/// A duration of at most an hour, in milliseconds; it may be nothing.
fn brief(text: &str) -> Result<u32, ArgumentError> {
    const MS_MAX: i64 = 3_600_000;
    let ms = match duration::parse(text) {
        Err(DurationError::Zero) => 0,
        Err(DurationError::NoUnit(number)) if number == "0" => 0,
        parsed => parsed?,
    };
    if ms > MS_MAX {
        return Err(ArgumentError::TooLong);
    }
    Ok(u32::try_from(ms).expect("an hour fits"))
}

/// Runs the command.
pub(super) fn run(args: &CamerasArgs) -> Result<(), CliError> {
    let watch = StopWatch::start();
    args.check_outputs()?;
    let options = args.options();
    let traffic = match generate(args, &options) {
        // Nobody asked for so many.
        Err(CliError::Usage(UsageError::Cameras(CameraOptionsError::TooBusy {
            possible, ..
        }))) if args.passages.is_none() => {
            say(format_args!("about {possible} passages, as many as the vehicles can make"));
            generate(args, &CameraOptions { passages: possible, ..options.clone() })?
        }
        traffic => traffic?,
    };
    write(args, &traffic)?;
    let (seconds, passages) = (watch.seconds(), traffic.len() as u64);
    let cameras = counted(args.cameras.into(), "camera");
    let convoys = counted(u64::from(options.convoys), "convoy");
    let unread = traffic.unread();
    say(format_args!("{} of {cameras} written", counted(passages, "passage")));
    say(format_args!("{unread} without a plate, {convoys}"));
    say(format_args!("{seconds:.3} s, {}", progress::per_second(passages, seconds)));
    Ok(())
}

impl CamerasArgs {
    fn check_outputs(&self) -> Result<(), UsageError> {
        match &self.truth {
            Some(truth) if *truth == self.out => {
                Err(UsageError::SameOutput { path: truth.clone() })
            }
            _ => Ok(()),
        }
    }

    fn options(&self) -> CameraOptions {
        let day = CameraOptions::day(self.cameras);
        let days = self.duration as f64 / day.duration_ms as f64;
        let usual = ((day.passages as f64 * days).ceil() as u64).max(1);
        CameraOptions {
            plates: self.plates.unwrap_or(day.plates),
            passages: self.passages.unwrap_or(usual),
            convoys: self.convoys.unwrap_or(day.convoys),
            convoy_size: self.convoy_size.clone(),
            convoy_trips: self.convoy_trips,
            convoy_span_ms: self.convoy_span,
            read_errors: self.read_errors,
            clock_skew_ms: self.clock_skew,
            start: self.start,
            duration_ms: self.duration,
            seed: self.seed,
            ..day
        }
    }
}

fn generate(args: &CamerasArgs, options: &CameraOptions) -> Result<CameraTraffic, CliError> {
    let bar = progress::bar("driving", options.passages, Count::Records);
    let mut show = |passages| bar.set_position(passages);
    let traffic = match args.roads.as_deref() {
        Some([nodes, roads]) => {
            CameraTraffic::generate(&RoadGraph::read(nodes, roads)?, options, &mut show)
        }
        _ => CameraTraffic::in_city(options, &mut show),
    };
    bar.finish_and_clear();
    Ok(traffic?)
}

/// Writes both files; neither appears before both are whole.
fn write(args: &CamerasArgs, traffic: &CameraTraffic) -> Result<(), CliError> {
    let truth = args.truth.as_deref().map(|path: &Path| Output::open(path)).transpose()?;
    let mut output = Output::open(&args.out)?;
    let bar = progress::bar("writing", traffic.len() as u64, Count::Records);
    let written = traffic.write_csv(&mut output, &mut |rows| bar.set_position(rows));
    bar.finish_and_clear();
    written.map_err(|source| output.failed(source))?;
    if let Some(mut truth) = truth {
        traffic.write_convoys(&mut truth).map_err(|source| truth.failed(source))?;
        truth.finish()?;
    }
    Ok(output.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_or_ranges() {
        assert_eq!((size("3"), size("2-5")), (Ok(3..=3), Ok(2..=5)));
        for text in ["", "1", "1-3", "5-2", "-3", "2-", "a", "2-3-4"] {
            assert_eq!(size(text), Err(ArgumentError::Size), "{text}");
        }
    }

    #[test]
    fn clocks_may_be_right() {
        assert_eq!([brief("0"), brief("0s"), brief("1.5s")], [Ok(0), Ok(0), Ok(1_500)]);
        assert_eq!(brief("61m"), Err(ArgumentError::TooLong));
        assert_eq!(brief("-1s"), Err(DurationError::Negative.into()));
    }
}
