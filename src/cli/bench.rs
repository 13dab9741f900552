//! `dunlin bench`: how fast the engine is on this machine.
//!
//! Eight crowds of objects that move at up to ten metres per second, an epoch of a second; half of the
//! standing questions look from a place, half from an object. Everything comes from a seed: two runs
//! differ only in time. For rivals and whole feeds see `benches/`.

use std::io::Write;

use clap::Args;
use dunlin::datasets::generate::{Area, Clusters, GaussianClusters, Movement, Population};
use dunlin::index::{Coord, ObjectNames, Plane, Slot, Space, SpaceKind, Sphere, StripIndex};
use dunlin::query::{Focus, Query, Question, Searcher, StandingQueries};

use super::error::CliError;
use super::output::OutputError;
use super::progress::{StopWatch, say};
use super::reading::SpaceArg;

const EXAMPLE: &str = "Example:
  dunlin bench
  dunlin bench --objects 100000 --queries 1000 --threads 1";

/// Measure the engine on this machine.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct BenchArgs {
    /// How many objects move
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    objects: u32,
    /// How many standing kNN questions there are
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    queries: u32,
    /// How many neighbours each asks for
    #[arg(short, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    k: u32,
    /// How many epochs are measured of each kind; the median counts
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    epochs: u32,
    /// What positions are
    #[arg(long, value_enum, default_value_t = SpaceArg::Plane)]
    space: SpaceArg,
    /// How many threads to use; without it as many as there are processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// What decides where objects are and go
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Epochs before measuring begins.
const WARM_UP: u32 = 3;
/// Of the objects, one in so many moves in an epoch of the second kind.
const FEW: usize = 100;
/// Questions asked once.
const ONCE: usize = 100_000;
/// A stride that visits all objects, in no order of place: a prime above their greatest number.
const STRIDE: usize = 618_034_003;

/// Runs the command.
pub(crate) fn run(args: &BenchArgs) -> Result<(), CliError> {
    let threads = args.threads.map_or(0, usize::from); // rayon's 0: one per processor
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| match args.space.into() {
        SpaceKind::Sphere => measure::<Sphere>(args),
        SpaceKind::Plane => measure::<Plane>(args),
    })
}

fn measure<S: Space>(args: &BenchArgs) -> Result<(), CliError> {
    let mut crowd = Crowd::<S>::new(args);
    let (objects, queries, k) = (args.objects, args.queries, args.k);
    let threads = rayon::current_num_threads();
    say(format_args!("{objects} objects, {queries} standing {k}-NN, {threads} thread(s)"));
    let all: Vec<Slot> = (0..objects).map(Slot).collect();
    for _ in 0..WARM_UP {
        crowd.epoch(&all);
    }
    let every = median((0..args.epochs).map(|_| crowd.epoch(&all)));
    let few = all.len().div_ceil(FEW);
    let some = |epoch: usize| {
        let part =
            (epoch * few..(epoch + 1) * few).map(|it| all[it % all.len() * STRIDE % all.len()]);
        part.collect::<Vec<Slot>>()
    };
    let part = median((0..args.epochs as usize).map(|epoch| crowd.epoch(&some(epoch))));
    let once = crowd.ask(k as usize);
    let moves = |count: usize, seconds: f64| {
        format!("{:.2} ms | {:.2} M moves/s", seconds * 1e3, count as f64 / seconds / 1e6)
    };
    let table = format!(
        "| what | time | rate |\n|---|---|---|\n\
         | an epoch in which all objects move, answers included | {} |\n\
         | one in which {few} move | {} |\n\
         | {k}-NN asked once | {:.2} µs | {:.0} k questions/s |\n",
        moves(all.len(), every),
        moves(few, part),
        once * 1e6,
        1e-3 / once,
    );
    std::io::stdout().write_all(table.as_bytes()).map_err(OutputError::stdout)?;
    Ok(())
}

/// Objects that move, and questions about them.
struct Crowd<S: Space> {
    movement: GaussianClusters,
    standing: StandingQueries<S>,
}

impl<S: Space> Crowd<S> {
    fn new(args: &BenchArgs) -> Self {
        // Fifty kilometres on either side.
        const EXTENT_M: f64 = 50_000.0;
        let (min, max) = match S::KIND {
            SpaceKind::Plane => ((0.0, 0.0), (EXTENT_M, EXTENT_M)),
            SpaceKind::Sphere => ((116.1, 39.7), (116.69, 40.15)),
        };
        let area = Area::new(S::KIND, min.into(), max.into()).expect("an area");
        let objects = args.objects as usize;
        let population = Population { objects, seed: args.seed, speed: 10.0 / EXTENT_M };
        let clusters = Clusters { count: 8, spread: 1.0 / 30.0 };
        let movement = GaussianClusters::new(area, population, clusters);
        let mut names = ObjectNames::default();
        for object in 0..objects {
            names.intern(&name(object));
        }
        let mut standing = StandingQueries::new(names, StripIndex::default());
        for number in 0..args.queries as usize {
            let object = number * STRIDE % objects;
            let focus = match number % 2 {
                0 => Focus::Point(movement.positions()[object]),
                _ => Focus::Object(name(object)),
            };
            let question = Question::Knn { k: args.k as usize, focus };
            standing.register(Query { id: number.to_string(), question }).expect("ids differ");
        }
        Self { movement, standing }
    }

    /// Runs an epoch in which these objects go where they are by then; how long it took, in seconds.
    fn epoch(&mut self, slots: &[Slot]) -> f64 {
        self.movement.step(1.0);
        let positions = self.movement.positions();
        let to: Vec<Coord> = slots.iter().map(|slot| positions[slot.index()]).collect();
        let watch = StopWatch::start();
        self.standing.advance(slots, &to, &[]);
        watch.seconds()
    }

    /// Asks for the nearest of objects' places, each once; how long one took, in seconds.
    fn ask(&self, k: usize) -> f64 {
        let positions = self.movement.positions();
        let mut searcher = Searcher::<S>::default();
        let watch = StopWatch::start();
        let mut found = 0;
        for number in 0..ONCE {
            let place = positions[number * STRIDE % positions.len()];
            searcher.knn(self.standing.index(), self.standing.names(), place, k, None);
            found += searcher.found().len();
        }
        std::hint::black_box(found);
        watch.seconds() / ONCE as f64
    }
}

fn name(object: usize) -> String {
    format!("o{object:07}")
}

fn median(seconds: impl Iterator<Item = f64>) -> f64 {
    let mut seconds: Vec<f64> = seconds.collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    #[test]
    fn crowds_are_answered_and_measured() {
        let Line { bench: args } =
            Line::parse_from(["bench", "--objects", "500", "--queries", "20", "-k", "4"]);
        let mut crowd = Crowd::<Plane>::new(&args);
        let all: Vec<Slot> = (0..500).map(Slot).collect();
        assert!(crowd.epoch(&all) > 0.0 && crowd.epoch(&all[..5]) > 0.0 && crowd.ask(4) > 0.0);
        assert!((0..20).all(|number| crowd.standing.answer(number).len() == 4));
        assert!(median([3.0, 1.0, 2.0].into_iter()) == 2.0);
    }
}
