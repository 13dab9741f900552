//! `dunlin mine`: which objects keep turning up together.
//!
//! ```text
//! files ──read──> Events, by time ──runner──> CooccurrenceOperator ──> ReportWriter
//! ```
//!
//! The lines depend on the events alone: not on the algorithm, the order of rows, or the threads.

use std::cell::Cell;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dunlin::cep::{
    Bitmask, CooMine, CooccurrenceOperator, Counts, DiMine, EventBatch, MatrixMine, Miner,
    ReportKind, Rule,
};
use dunlin::datasets::{
    Columns, EventColumns, EventOptions, Events, Format, Progress, ReadOptions, Rejected,
    cell_passages, read_events, read_positions,
};
use dunlin::stream::{EpochClock, runner};

use super::duration;
use super::error::{CliError, UsageError};
use super::output::{Output, OutputError};
use super::progress::{self, Count, StopWatch, counted, say};
use super::reading::SpaceArg;
use super::reports::{ReportWriter, Written};

const EXAMPLE: &str = "Example:
  dunlin mine passages.csv.gz --columns stream=CAM,object=PLATE,time=T \\
      --xi 60s --tau 30m --theta 3 --out together.ndjson
  dunlin mine taxis.csv.gz --cells 200m --xi 1m --tau 1h --theta 5";

/// The smallest and the greatest cell, in metres or units.
const CELL_MIN: f64 = 1e-3;
const CELL_MAX: f64 = 1e9;
/// How much event time is mined at once; nothing that is told depends on it.
const EPOCH_MS: i64 = 300_000;

/// Find sets of objects that turn up together in several streams.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct MineArgs {
    /// Files of events (CSV with a header, or JSON lines), gzipped or not; with --cells files of
    /// positions
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Names of the columns, as stream=CAM,object=PLATE,time=T; those left out keep the names
    /// stream, object, time (with --cells object, time, lon, lat or x, y)
    #[arg(long, default_value = "", hide_default_value = true)]
    columns: String,
    /// Take positions, and let an object be in a stream when it enters a cell of this size, as
    /// 200m (in the plane as 200)
    #[arg(long, value_name = "SIZE", value_parser = cell_size)]
    #[arg(allow_hyphen_values = true)]
    cells: Option<f64>,
    /// What positions are
    #[arg(long, value_enum, default_value_t, requires = "cells")]
    space: SpaceArg,
    /// How files of positions are laid out: auto, csv, tdrive, geolife, ndjson or geojson
    #[arg(long, default_value_t, requires = "cells")]
    format: Format,
    /// How far apart in time objects may be in one stream, as 60s
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_span)]
    #[arg(allow_hyphen_values = true)]
    xi: i64,
    /// Within which time it happens in all of the streams, as 30m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_span)]
    #[arg(allow_hyphen_values = true)]
    tau: i64,
    /// In how many different streams
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    theta: u32,
    /// How many objects a set has at least
    #[arg(long, value_name = "N", default_value_t = 2)]
    min_size: usize,
    /// How many objects a set has at most; a set is closed or maximal among sets of any size
    #[arg(long, value_name = "N")]
    max_size: Option<usize>,
    /// Which of the frequent sets to write
    #[arg(long, value_enum, default_value_t)]
    report: ReportArg,
    /// How to find them; all find the same
    #[arg(long, value_enum, default_value_t)]
    algorithm: Algorithm,
    /// How many sets to look at for one event, at most; what is cut off is counted
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    max_sets: u64,
    /// Where reports go; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Fail at the first bad row instead of counting bad rows
    #[arg(long)]
    strict: bool,
    /// How many threads to use; without it as many as there are processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Which of the sets that become frequent are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ReportArg {
    /// Every one
    All,
    /// Those without a larger set of the same support
    #[default]
    Closed,
    /// Those without a larger frequent set
    Maximal,
}

/// The algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    /// Bit masks over posting lists, the fastest
    #[default]
    Bitmask,
    /// Filter on a Seg-tree, then refine
    #[value(name = "coomine")]
    CooMine,
    /// Apriori on an inverted index
    #[value(name = "dimine")]
    DiMine,
    /// Pair by pair on a matrix of objects and segments
    #[value(name = "matrixmine")]
    MatrixMine,
}

impl Algorithm {
    fn miner(self) -> Box<dyn Miner> {
        match self {
            Self::Bitmask => Box::new(Bitmask::default()),
            Self::CooMine => Box::new(CooMine::default()),
            Self::DiMine => Box::new(DiMine::default()),
            Self::MatrixMine => Box::new(MatrixMine::default()),
        }
    }
}

impl MineArgs {
    fn rule(&self) -> Result<Rule, UsageError> {
        let rule = Rule {
            size_min: self.min_size,
            size_max: self.max_size,
            report: match self.report {
                ReportArg::All => ReportKind::All,
                ReportArg::Closed => ReportKind::Closed,
                ReportArg::Maximal => ReportKind::Maximal,
            },
            sets_max: self.max_sets,
            ..Rule::new(self.xi, self.tau, self.theta)
        };
        rule.check()?;
        Ok(rule)
    }

    fn source(&self) -> Result<Source, UsageError> {
        let (strict, format) = (self.strict, self.format);
        let Some(cell) = self.cells else {
            let columns = EventColumns::parse(&self.columns)?;
            return Ok(Source::Events(EventOptions { columns, strict }));
        };
        let space = self.space.into();
        let columns = Columns::parse(&self.columns, space)?;
        Ok(Source::Positions(ReadOptions { format, columns, space, strict }, cell))
    }
}

/// Runs the command.
pub(crate) fn run(args: &MineArgs) -> Result<(), CliError> {
    let rule = args.rule()?;
    let source = args.source()?;
    let threads = args.threads.map_or(0, usize::from); // rayon's 0: one per processor
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| mine(args, &rule, &source))
}

fn mine(args: &MineArgs, rule: &Rule, source: &Source) -> Result<(), CliError> {
    let watch = StopWatch::start();
    let output = Output::beside(&args.out, args.files.iter().map(PathBuf::as_path))?;
    let (events, rejected) = read(args, source)?;
    let operator = CooccurrenceOperator::new(rule.clone(), 0, args.algorithm.miner())
        .map_err(UsageError::from)?;
    let (counts, written) = drive(&events, operator, output)?;
    let ran = Ran { events: events.len() as u64, rejected, counts, written };
    summarize(&ran, watch.seconds());
    Ok(())
}

/// Where events come from.
#[derive(Debug)]
enum Source {
    /// Files of events.
    Events(EventOptions),
    /// Files of positions, and the size of the cells that objects enter.
    Positions(ReadOptions, f64),
}

/// Reads all files into one table of events, ordered by time.
fn read(args: &MineArgs, source: &Source) -> Result<(Events, Rejected), CliError> {
    let bar = progress::bar("reading", 0, Count::Bytes);
    let mut show = |progress: Progress| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_read);
    };
    let (mut events, rejected) = match source {
        Source::Events(options) => read_events(&args.files, options, &mut show)?,
        Source::Positions(options, cell) => {
            let (trace, rejected) = read_positions(&args.files, options, &mut show)?;
            (cell_passages(&trace, options.space, *cell), rejected)
        }
    };
    events.sort_by_time();
    bar.finish_and_clear();
    Ok((events, rejected))
}

/// Reads the size of a cell: metres, or units of the plane.
fn cell_size(text: &str) -> Result<f64, &'static str> {
    let (number, scale) = match (text.strip_suffix("km"), text.strip_suffix('m')) {
        (Some(number), _) => (number, 1000.0),
        (_, Some(number)) => (number, 1.0),
        _ => (text, 1.0),
    };
    let size = number.parse().map(|number: f64| number * scale);
    let size = size.map_err(|_| "write a length, such as 200m, 1.5km or 200")?;
    if (CELL_MIN..=CELL_MAX).contains(&size) {
        Ok(size)
    } else {
        Err("a cell must be between 1 mm and 1000000 km wide")
    }
}

/// Lets the events go by: the heart.
fn drive(
    events: &Events,
    mut operator: CooccurrenceOperator<Box<dyn Miner>>,
    output: Output,
) -> Result<(Counts, Written), OutputError> {
    let bar = progress::bar("mining", events.len() as u64, Count::Records);
    let mut writer = ReportWriter::new(&events.stream_names, &events.object_names, output);
    let done = Cell::new(0);
    let batch = |rows: std::ops::Range<usize>| {
        done.set(rows.end as u64);
        EventBatch {
            times: &events.times[rows.clone()],
            streams: &events.streams[rows.clone()],
            objects: &events.objects[rows],
        }
    };
    let clock = EpochClock::new(EPOCH_MS);
    runner::run(&mut operator, clock, &events.times, batch, |_, _, reports| {
        if !bar.is_hidden() {
            bar.set_position(done.get());
        }
        writer.take(reports)
    })?;
    bar.finish_and_clear();
    Ok((operator.counts(), writer.finish()?))
}

/// What a run came to.
#[derive(Debug)]
struct Ran {
    events: u64,
    rejected: Rejected,
    counts: Counts,
    written: Written,
}

fn summarize(ran: &Ran, seconds: f64) {
    let Ran { events, rejected, counts, written } = ran;
    say(format_args!("{} read, {rejected}", counted(*events, "event")));
    say(format_args!(
        "{} without an object, {} repeated",
        rejected.without_object(),
        counts.repeated
    ));
    if counts.cut > 0 {
        say(format_args!(
            "{} cut short: they complete more sets than are looked at; raise --max-sets, or set \
             --max-size",
            counted(counts.cut, "event")
        ));
    }
    let (reports, bytes) = (counted(written.reports, "report"), counted(written.bytes, "byte"));
    say(format_args!("{reports} and {bytes} written"));
    say(format_args!("{seconds:.3} s, {}", progress::per_second(*events, seconds)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_cells_have_a_unit_or_none() {
        assert_eq!(cell_size("200m"), Ok(200.0));
        assert_eq!(cell_size("1.5km"), Ok(1500.0));
        assert_eq!(cell_size("0.25"), Ok(0.25));
        for text in ["", "m", "km", "20 m", "20mm", "twenty"] {
            assert!(cell_size(text).is_err_and(|error| error.contains("such as")), "{text}");
        }
        for text in ["0", "-5m", "inf", "nan", "1e9km"] {
            assert!(cell_size(text).is_err_and(|error| error.contains("between")), "{text}");
        }
    }
}
