//! `dunlin replay`: standing questions over a recorded trace.
//!
//! ```text
//! files ──read──> Trace, by time ──some epochs──> parts of the questions side by side ──> AnswerWriter
//! ```
//!
//! After each epoch that has a record, the answers that changed (or all) are written, stamped with
//! the epoch's end. The bytes depend on the files and the arguments alone, not on the threads.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dunlin::datasets::{ReadOptions, Rejected, Trace};
use dunlin::index::{Plane, Space, SpaceKind, Sphere};
use dunlin::stream::EpochClock;

use super::answers::{AnswerWriter, Written};
use super::duration;
use super::error::CliError;
use super::output::{Output, OutputError};
use super::parts::{self, Part};
use super::pipeline::Pipeline;
use super::progress::{self, Count, StopWatch, counted, say};
use super::query_file;
use super::reading::ReadingArgs;

const EXAMPLE: &str = r#"Example:
  echo '{"id":"station","knn":{"k":10,"at":[116.39,39.91]}}' > queries.ndjson
  dunlin replay taxis.csv.gz --queries queries.ndjson --epoch 10s --out answers.ndjson"#;

/// Answer standing questions over a recorded trace, epoch by epoch.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    reading: ReadingArgs,
    /// File of queries, one JSON object a line
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Length of an epoch, as 200ms, 10s, 1m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_epoch)]
    #[arg(allow_hyphen_values = true)]
    epoch: i64,
    /// Which answers to write after an epoch
    #[arg(long, value_enum, default_value_t)]
    emit: Emit,
    /// Forget objects that are silent for longer, as 10m; without it they stay for ever
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    #[arg(allow_hyphen_values = true)]
    ttl: Option<i64>,
    /// Where answers go; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// How many threads to use; without it as many as there are processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Which answers are written after an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Emit {
    /// Those whose ordered list of objects changed
    #[default]
    Changes,
    /// Every query's
    All,
}

/// Runs the command.
pub(crate) fn run(args: &ReplayArgs) -> Result<(), CliError> {
    let options = args.reading.options()?;
    let threads = args.threads.map_or(0, usize::from); // rayon's 0: one per processor
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| match args.reading.space() {
        SpaceKind::Sphere => replay::<Sphere>(args, &options),
        SpaceKind::Plane => replay::<Plane>(args, &options),
    })
}

fn replay<S: Space>(args: &ReplayArgs, options: &ReadOptions) -> Result<(), CliError> {
    let watch = StopWatch::start();
    let queries = query_file::read(&args.queries, options.space)?;
    let inputs = args.reading.files().chain([args.queries.as_path()]);
    let output = Output::beside(&args.out, inputs)?;
    let (mut trace, rejected) = args.reading.read(options)?;
    let objects = trace.names.len();
    let names = std::mem::take(&mut trace.names);
    let (parts, json) = parts::deal_out(queries, &names, args.ttl);
    let ran = drive(args, &trace, parts, AnswerWriter::<S>::new(json, output))?;
    let seconds = watch.seconds();
    summarize(&Summary { records: trace.len() as u64, rejected, objects, ran, seconds });
    Ok(())
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
struct Ran {
    epochs: u64,
    late: u64,
    written: Written,
}

/// Lets the trace go by: the heart.
fn drive<S: Space>(
    args: &ReplayArgs,
    trace: &Trace,
    parts: Vec<Part<S>>,
    answers: AnswerWriter<S>,
) -> Result<Ran, OutputError> {
    let bar = progress::bar("replaying", trace.len() as u64, Count::Records);
    let show = |done: usize| {
        if !bar.is_hidden() {
            bar.set_position(done as u64);
        }
    };
    let how = (EpochClock::new(args.epoch), args.emit);
    let (parts, answers) = Pipeline::new(trace, how, parts, answers, &show).run()?;
    bar.finish_and_clear();
    let (epochs, late) = (parts[0].epochs(), parts[0].late());
    Ok(Ran { epochs, late, written: answers.finish()? })
}

/// What is told at the end.
#[derive(Debug)]
struct Summary {
    records: u64,
    rejected: Rejected,
    objects: usize,
    ran: Ran,
    seconds: f64,
}

fn summarize(summary: &Summary) {
    let Summary { records, rejected, objects, ran, seconds } = summary;
    let Ran { epochs, late, written } = ran;
    let (answers, bytes) = (counted(written.answers, "answer"), counted(written.bytes, "byte"));
    let (objects, epochs) = (counted(*objects as u64, "object"), counted(*epochs, "epoch"));
    say(format_args!("{} read, {rejected}", counted(*records, "record")));
    say(format_args!("{late} late, {objects}, {epochs}"));
    say(format_args!("{answers} and {bytes} written"));
    say(format_args!("{seconds:.3} s, {}", progress::per_second(*records, *seconds)));
}
