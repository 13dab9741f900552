//! `dunlin query`: questions asked once, of the state at the end of a trace.
//!
//! ```text
//! files ──read──> Trace ──last position of each object──> StripIndex ──> one search each ──> lines
//! ```
//!
//! One question comes from the arguments, many from a file. What a snapshot search (DKNN) for a
//! k-nearest question from the arguments costs is told on stderr.

use std::path::PathBuf;

use clap::Args;
use dunlin::datasets::{ReadOptions, Trace};
use dunlin::index::{Coord, Plane, Slot, Space, SpaceKind, Sphere, StripIndex};
use dunlin::query::{Focus, Query, Question, Searcher, StandingQueries};
use dunlin::stream::Timestamp;

use super::answers::{AnswerWriter, Names};
use super::duration;
use super::error::{CliError, UsageError};
use super::output::Output;
use super::progress::{counted, say};
use super::query_file;
use super::reading::ReadingArgs;

const EXAMPLE: &str = "Example:
  dunlin query taxis.csv.gz --near 116.39,39.91 -k 10
  dunlin query taxis.csv.gz --object 1131 --within 500 --at-time '2008-02-02 16:30:00'";

/// Answer questions once, about where objects were last.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    focus: FocusArgs,
    /// How many of the nearest objects
    #[arg(short, value_name = "K", conflicts_with = "queries", required_unless_present_any = ["within", "queries"])]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=Question::K_MAX as u64))]
    k: Option<u64>,
    /// All objects up to this distance, in metres or units of the plane
    #[arg(long, value_name = "RADIUS", conflicts_with_all = ["k", "queries"], value_parser = radius)]
    #[arg(allow_hyphen_values = true)]
    within: Option<f64>,
    /// The id in the answer
    #[arg(long, value_name = "NAME", default_value = "query", conflicts_with = "queries")]
    id: String,
    /// Ask as of this time instead of that of the last record
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at_time: Option<Timestamp>,
    /// Leave out objects that were silent for longer before that time, as 10m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    #[arg(allow_hyphen_values = true)]
    ttl: Option<i64>,
    /// Where answers go; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

/// From where to ask, or a file that says it.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct FocusArgs {
    /// Ask from a point: longitude and latitude, or x and y
    #[arg(long, value_name = "X,Y", value_parser = point, allow_hyphen_values = true)]
    near: Option<Coord>,
    /// Ask from where an object is; itself it is not in the answer
    #[arg(long, value_name = "ID")]
    object: Option<String>,
    /// Ask each query of a file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
}

/// Why an argument is not what it should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ArgumentError {
    #[error("write two numbers with a comma between, such as 116.39,39.91")]
    Point,
    #[error("write a number that is not negative")]
    Radius,
}

pub(super) fn point(text: &str) -> Result<Coord, ArgumentError> {
    let (x, y) = text.split_once(',').ok_or(ArgumentError::Point)?;
    let number = |text: &str| text.trim().parse().map_err(|_| ArgumentError::Point);
    Ok(Coord { x: number(x)?, y: number(y)? })
}

fn radius(text: &str) -> Result<f64, ArgumentError> {
    let radius: f64 = text.parse().map_err(|_| ArgumentError::Radius)?;
    if radius >= 0.0 { Ok(radius) } else { Err(ArgumentError::Radius) }
}

impl QueryArgs {
    /// The question of the arguments; `None` if they name a file.
    fn question(&self, space: SpaceKind) -> Result<Option<Query>, UsageError> {
        let focus = match (&self.focus.near, &self.focus.object) {
            (Some(at), _) => Focus::Point(space.check(*at).map_err(UsageError::Near)?),
            (_, Some(name)) => Focus::Object(name.clone()),
            _ => return Ok(None),
        };
        let question = match (self.k, self.within) {
            (Some(k), _) => Question::Knn { k: k as usize, focus },
            (_, Some(radius)) => Question::Within { radius, focus },
            _ => return Ok(None),
        };
        Ok(Some(Query { id: self.id.clone(), question }))
    }
}

/// Runs the command.
pub(crate) fn run(args: &QueryArgs) -> Result<(), CliError> {
    let options = args.reading.options()?;
    match args.reading.space() {
        SpaceKind::Sphere => ask::<Sphere>(args, &options),
        SpaceKind::Plane => ask::<Plane>(args, &options),
    }
}

fn ask<S: Space>(args: &QueryArgs, options: &ReadOptions) -> Result<(), CliError> {
    let single = args.question(options.space)?;
    let queries = match &args.focus.queries {
        Some(path) => query_file::read(path, options.space)?,
        None => single.iter().cloned().collect(),
    };
    let inputs = args.reading.files().chain(args.focus.queries.as_deref());
    let output = Output::beside(&args.out, inputs)?;
    let (mut trace, rejected) = args.reading.read(options)?;
    let state = match State::of(&trace, args) {
        // Perhaps that is why there is none.
        Err(error @ CliError::NoPositions { .. }) if rejected.total() > 0 => {
            say(format_args!("{} read, {rejected}", counted(trace.len() as u64, "record")));
            return Err(error);
        }
        state => state?,
    };
    if let Some(Query { question, .. }) = &single {
        state.check_focus(question, &trace)?;
    }
    let mut standing =
        StandingQueries::<S>::new(std::mem::take(&mut trace.names), StripIndex::default());
    for query in queries {
        standing.register(query).expect("a query file has no id twice");
    }
    standing.advance(&state.slots, &state.at, &[]);
    let mut names = Names::of_objects(standing.names());
    for number in 0..standing.query_count() {
        names.add_query(standing.id(number), standing.has_distances(number));
    }
    let mut answers = AnswerWriter::new(names, output);
    answers.write_all(&standing, state.time)?;
    answers.finish()?;
    say(format_args!("{} read, {rejected}", counted(trace.len() as u64, "record")));
    say(format_args!("{} present", counted(state.slots.len() as u64, "object")));
    if let Some(Query { question: Question::Knn { k, focus }, .. }) = &single {
        tell_cost(&standing, *k, focus);
    }
    Ok(())
}

/// Where objects were last, as of a time.
#[derive(Debug)]
struct State {
    time: Timestamp,
    slots: Vec<Slot>,
    at: Vec<Coord>,
}

impl State {
    /// The state of a trace that is ordered by time.
    fn of(trace: &Trace, args: &QueryArgs) -> Result<Self, CliError> {
        let end = args
            .at_time
            .map_or(trace.len(), |time| trace.times.partition_point(|&reported| reported <= time));
        let bounded = args.at_time.is_some();
        let last = trace.times[..end].last().ok_or(CliError::NoPositions { bounded })?;
        let time = args.at_time.unwrap_or(*last);
        let oldest = args.ttl.map(|ttl| time.as_millis().saturating_sub(ttl));
        let (mut seen, mut slots, mut at) =
            (vec![false; trace.names.len()], Vec::new(), Vec::new());
        for row in (0..end).rev() {
            let slot = trace.objects[row];
            if oldest.is_some_and(|oldest| trace.times[row].as_millis() < oldest) {
                break;
            }
            if !std::mem::replace(&mut seen[slot.index()], true) {
                slots.push(slot);
                at.push(trace.at[row]);
            }
        }
        Ok(Self { time, slots, at })
    }

    /// Whether there is a position to ask from.
    fn check_focus(&self, question: &Question, trace: &Trace) -> Result<(), CliError> {
        let (Question::Knn { focus, .. } | Question::Within { focus, .. }) = question else {
            return Ok(());
        };
        let Focus::Object(name) = focus else { return Ok(()) };
        let name = name.clone();
        match trace.names.slot(&name) {
            None => Err(CliError::UnknownObject { name }),
            Some(slot) if !self.slots.contains(&slot) => Err(CliError::AbsentObject { name }),
            Some(_) => Ok(()),
        }
    }
}

/// Says what a snapshot search for the answer costs.
fn tell_cost<S: Space>(standing: &StandingQueries<S>, k: usize, focus: &Focus) {
    let Some((at, except)) = place(standing, focus) else { return };
    let mut searcher = Searcher::<S>::default();
    let cost = searcher.knn(standing.index(), standing.names(), at, k, except);
    debug_assert_eq!(searcher.found(), standing.answer(0), "both ways lead to one answer");
    say(format_args!(
        "{}, {}, {}",
        counted(cost.rounds.into(), "round"),
        counted(cost.strips.into(), "strip"),
        counted(cost.evaluations.into(), "distance evaluation")
    ));
}

/// Where a question looks from, and which object it leaves out.
fn place<S: Space>(standing: &StandingQueries<S>, focus: &Focus) -> Option<(Coord, Option<Slot>)> {
    match focus {
        Focus::Point(at) => Some((*at, None)),
        Focus::Object(name) => {
            let slot = standing.names().slot(name)?;
            Some((standing.index().position(slot)?, Some(slot)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_two_numbers() {
        assert_eq!(point("116.39, -39.91"), Ok(Coord { x: 116.39, y: -39.91 }));
        for text in ["", "1", "1;2", "1,2,3", "a,b"] {
            assert_eq!(point(text), Err(ArgumentError::Point), "{text}");
        }
    }

    #[test]
    fn a_radius_is_not_negative() {
        assert_eq!(radius("0"), Ok(0.0));
        for text in ["-1", "nan", "", "1m"] {
            assert_eq!(radius(text), Err(ArgumentError::Radius), "{text}");
        }
    }
}
