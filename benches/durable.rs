//! An application whole: batches into the log, epochs, answers out of it, on this machine's disk.
//!
//! - `words`: words counted, from batches in memory; one thread.
//! - `sustained`: a million objects, 10 000 standing 10-NN, as many reports a second as go through,
//!   exactly once and at most once.
//! - `latency`: the same at a steady 1.5 million reports a second: from sending a batch to the commit
//!   of its epoch's answers; then what a checkpoint costs, and a restart.
//!
//! - `hour`: an hour of the log's time as fast as it goes, a million objects that report every ten
//!   seconds and are replaced by others after ten minutes: what is in memory meanwhile.
//!
//! `cargo bench --bench durable` runs all parts, `cargo bench --bench durable -- words` one. Seconds
//! of each run: `DUNLIN_BENCH_SECONDS`, 60 by default. The log lies in `DUNLIN_BENCH_DIR`, by default
//! the system's folder for temporary files.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use dunlin::datasets::generate::{Area, Clusters, GaussianClusters, Movement, Population};
use dunlin::index::{Coord, Plane, SpaceKind};
use dunlin::live::{Live, LiveOptions};
use dunlin::query::topology::{
    Command, PositionBatch, StandingOutput, StandingShard, StandingTopology,
};
use dunlin::stream::checkpoint::Checkpoints;
use dunlin::stream::lane::Envelope;
use dunlin::stream::log::{Entry, LocalLog, LocalOptions};
use dunlin::stream::process::Committed;
use dunlin::stream::{
    Engine, Epoch, Guarantee, Key, Process, Setup, ShardTable, Source, Strings, Timestamp, wire,
};

#[path = "../stream/examples/word_count.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example has a main function")]
mod word_count;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OBJECTS: usize = 1_000_000;
const QUERIES: usize = 10_000;
const LANES: usize = 2;
const BATCH: usize = 1_000;
const EXTENT_M: f64 = 50_000.0;
/// Reports that are made before, and then sent again and again, forwards and backwards.
const ROUND: usize = 6_000_000;
/// A stride that visits all objects, in no order of place.
const STRIDE: usize = 618_033;

/// Each runs in a process of its own: what one gave back and another takes again would be in no
/// figure of memory.
const PARTS: [&str; 4] = ["words", "hour", "sustained", "latency"];

fn main() -> Result<()> {
    let parts: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    match &parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => PARTS.into_iter().try_for_each(run_apart),
        ["words"] => words(),
        ["hour"] => hour(),
        ["sustained"] => sustained(),
        ["precise"] => sustained_with("precise", Guarantee::Precise),
        ["gap"] => sustained_with("gap", Guarantee::Gap),
        ["latency"] => latency(&batches()?),
        [part] => anyhow::bail!("no part {part:?}: {}", PARTS.join(", ")),
        parts => parts.iter().copied().try_for_each(run_apart),
    }
}

/// Runs a part in a process of its own.
fn run_apart(part: &str) -> Result<()> {
    let status = std::process::Command::new(std::env::current_exe()?).arg(part).status()?;
    ensure!(status.success(), "{part}: {status}");
    Ok(())
}

fn seconds() -> Duration {
    let seconds = std::env::var("DUNLIN_BENCH_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

fn folder() -> Result<tempfile::TempDir> {
    let root = std::env::var_os("DUNLIN_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    Ok(tempfile::tempdir_in(root)?)
}

fn words() -> Result<()> {
    const EPOCHS: i64 = 40;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    println!("| word count, one thread | words | vocabulary | M words/s |");
    println!("|---|---|---|---|");
    for vocabulary in [1_000u64, 100_000] {
        let mut state = 7u64;
        let mut word = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Frequent words are much more frequent, as in a text.
            let uniform = (state >> 11) as f64 / (1u64 << 53) as f64;
            format!("word{}", (uniform.powi(3) * vocabulary as f64) as u64)
        };
        let batch = |sequence, word: &mut dyn FnMut() -> String| {
            let words: Vec<String> = (0..BATCH).map(|_| word()).collect();
            let batch: Strings = words.iter().map(String::as_str).collect();
            let payload = wire::encode(&Envelope { producer: 1, sequence, batch });
            Entry { sequence, stamp: Timestamp::from_millis_unchecked(0), payload: payload.into() }
        };
        let epochs: Vec<Vec<Entry>> = (0..EPOCHS as u64)
            .map(|epoch| (0..200).map(|it| batch(epoch * 200 + it, &mut word)).collect())
            .collect();
        let count = EPOCHS as usize * 200 * BATCH;
        let mut engine = Engine::new(word_count::WordCount, 1, ShardTable::default());
        let begin = Instant::now();
        pool.install(|| {
            for (epoch, batches) in (0..).zip(epochs) {
                let end = Timestamp::from_millis_unchecked(epoch * 20 + 20);
                engine.step(Epoch(epoch), end, &[batches]);
            }
        });
        let rate = count as f64 / begin.elapsed().as_secs_f64() / 1e6;
        println!("| | {count} | {vocabulary} | {rate:.1} |");
    }
    println!();
    Ok(())
}

/// Batches of reports by lane: objects in a fixed order, each a little further every time.
fn batches() -> Result<Vec<(usize, PositionBatch)>> {
    let area = Area::new(SpaceKind::Plane, (0.0, 0.0).into(), (EXTENT_M, EXTENT_M).into())?;
    let population = Population { objects: OBJECTS, seed: 7, speed: 10.0 / EXTENT_M };
    let clusters = Clusters { count: 8, spread: 1.0 / 30.0 };
    let mut movement = GaussianClusters::new(area, population, clusters);
    let mut open = vec![PositionBatch::default(); LANES];
    let mut batches = Vec::new();
    for report in 0..ROUND {
        if report % 60_000 == 0 {
            movement.step(0.02);
        }
        let object = report * STRIDE % OBJECTS;
        let name = name(object);
        let lane = lane(&name);
        open[lane].push(&name, Timestamp::MIN, movement.positions()[object]);
        if open[lane].reports().len() == BATCH {
            batches.push((lane, std::mem::take(&mut open[lane])));
        }
    }
    batches.extend(open.into_iter().enumerate());
    Ok(batches)
}

fn name(object: usize) -> String {
    format!("v{object:06}")
}

fn lane(name: &str) -> usize {
    Key::of_bytes(name.as_bytes()).lane(LANES)
}

fn queries(batches: &[(usize, PositionBatch)]) -> PositionBatch {
    let mut commands = PositionBatch::default();
    let places = batches.iter().flat_map(|(_, batch)| batch.reports()).step_by(97);
    for (number, (_, _, Coord { x, y })) in (0..QUERIES).zip(places) {
        let focus = if number % 2 == 0 {
            format!(r#""at":[{x},{y}]"#)
        } else {
            format!(r#""object":"{}""#, name(number * STRIDE % OBJECTS))
        };
        let query = format!(r#"{{"id":"q{number}","knn":{{"k":10,{focus}}}}}"#);
        commands.command(Command::Register { query });
    }
    commands
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis_unchecked(since.as_millis() as i64)
}

/// What the engine's thread tells the bench.
#[derive(Default)]
struct Told {
    applied: AtomicU64,
    answers: AtomicU64,
    /// When batches were sent that are not committed yet: stamp and time.
    open: Mutex<VecDeque<(Timestamp, Instant)>>,
    latencies: Mutex<Vec<Duration>>,
}

impl Told {
    fn hear(&self, epoch: &Committed<'_, StandingOutput>) {
        self.applied.fetch_add(epoch.counts.applied, Ordering::Relaxed);
        self.answers.fetch_add(epoch.outputs.len() as u64, Ordering::Relaxed);
        let mut open = self.open.lock().expect("nobody panics");
        let mut latencies = self.latencies.lock().expect("nobody panics");
        while open.front().is_some_and(|&(stamp, _)| stamp < epoch.end) {
            latencies.extend(open.pop_front().map(|(_, sent)| sent.elapsed()));
        }
    }
}

struct Feed {
    live: Live<StandingTopology<Plane>>,
    told: Arc<Told>,
    producer: dunlin::live::Producer,
    sent: usize,
}

fn options(folder: &Path, guarantee: Guarantee) -> LiveOptions {
    let mut options = LiveOptions::new("bench");
    options.data = Some(folder.to_owned());
    options.guarantee = guarantee;
    options.lanes = LANES;
    options.credit_records = 300_000;
    if std::env::var_os("DUNLIN_BENCH_SYNC").is_some_and(|it| it == "os") {
        options.sync = dunlin::stream::log::SyncPolicy::Os;
    }
    options
}

impl Feed {
    fn start(options: &LiveOptions) -> Result<Self> {
        let told = Arc::new(Told::default());
        let hears = told.clone();
        let topology = StandingTopology::<Plane>::new(LANES as u32);
        let (live, _) = Live::start(topology, options, move |epoch| hears.hear(epoch))?;
        let producer = live.producer(1, now().as_millis() as u64 * 1_000);
        Ok(Self { live, told, producer, sent: 0 })
    }

    /// Sends the next batch of the round, which goes forwards and backwards.
    fn send(&mut self, batches: &[(usize, PositionBatch)]) -> Result<()> {
        let turn = self.sent % (2 * batches.len());
        let (lane, batch) = &batches[turn.min(2 * batches.len() - 1 - turn)];
        let mut batch = batch.clone();
        batch.fill_times(now());
        self.told.open.lock().expect("nobody panics").push_back((now(), Instant::now()));
        drop(self.producer.send(*lane, &batch)?);
        self.sent += 1;
        Ok(())
    }

    /// All objects, then all queries.
    fn load(&mut self, batches: &[(usize, PositionBatch)]) -> Result<()> {
        for _ in 0..OBJECTS.div_ceil(BATCH) + 10 * LANES {
            self.send(batches)?;
        }
        self.producer.command(&queries(batches))?.wait()?;
        let begin = Instant::now();
        while self.told.answers.load(Ordering::Relaxed) < QUERIES as u64 {
            ensure!(begin.elapsed() < Duration::from_secs(60), "no first answers");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn applied(&self) -> u64 {
        self.told.applied.load(Ordering::Relaxed)
    }
}

/// One thread sends and runs; checkpoints are written by another, and the log is cut.
fn hour() -> Result<()> {
    const MINUTES: usize = 60;
    const EPOCHS_A_MINUTE: usize = 3_000;
    const REPORTS: usize = OBJECTS / 500;
    const LIVES_MS: usize = 600_000;
    let folder = folder()?;
    let log = Arc::new(LocalLog::open(folder.path().join("log"), &LocalOptions::default())?);
    let checkpoints = Checkpoints::in_folder(folder.path().join("checkpoints"))?;
    let mut setup = Setup::new("hour", LANES, Guarantee::Precise);
    setup.checkpoint_ms = 60_000;
    let topology = StandingTopology::<Plane>::new(LANES as u32).with_ttl_ms(60_000);
    let before = resident()?;
    let (mut process, _) = Process::open(topology, log.clone(), Some(checkpoints), setup)?;
    let mut source = Source::new(log, process.lanes().clone(), 1, 0);
    let at = |epoch: usize| Timestamp::from_millis_unchecked(1_700_000_000_000 + 20 * epoch as i64);
    let place = |object: usize, epoch: usize| {
        let (column, row) = (object % 1_000, object / 1_000);
        let drift = (epoch / 500 * 7 + object) % 1_000;
        Coord { x: (column * 50 + drift / 20) as f64, y: (row * 50 + drift % 50) as f64 }
    };
    let mut commands = PositionBatch::default();
    for number in 0..QUERIES {
        let Coord { x, y } = place(number * STRIDE % OBJECTS, 0);
        let query = format!(r#"{{"id":"q{number}","knn":{{"k":10,"at":[{x},{y}]}}}}"#);
        commands.command(Command::Register { query });
    }
    source.command(at(0), &commands)?;
    println!(
        "| minute | objects | resident, bytes/object | log and checkpoints, MB | M reports/s |"
    );
    println!("|---|---|---|---|---|");
    let mut begin = Instant::now();
    for epoch in 0..MINUTES * EPOCHS_A_MINUTE {
        let mut open = vec![PositionBatch::default(); LANES];
        for report in epoch * REPORTS..(epoch + 1) * REPORTS {
            let object = report * STRIDE % OBJECTS;
            let life = (20 * epoch + object * 7_919 % LIVES_MS) / LIVES_MS;
            let name = format!("v{object:06}-{life}");
            open[lane(&name)].push(&name, Timestamp::MIN, place(object, epoch));
        }
        for (lane, mut batch) in open.into_iter().enumerate() {
            batch.fill_times(at(epoch));
            source.send(lane, at(epoch), &batch)?;
        }
        source.tick(at(epoch + 1))?;
        process.advance(|_| {})?;
        if (epoch + 1) % (5 * EPOCHS_A_MINUTE) == 0 {
            let objects =
                process.engine().shards().iter().map(StandingShard::object_count).sum::<usize>();
            let minute = (epoch + 1) / EPOCHS_A_MINUTE;
            let bytes = (resident()? - before) / objects as f64;
            let disk = disk_bytes(folder.path())? as f64 / 1e6;
            let rate = (5 * EPOCHS_A_MINUTE * REPORTS) as f64 / begin.elapsed().as_secs_f64() / 1e6;
            println!("| {minute} | {objects} | {bytes:.0} | {disk:.0} | {rate:.2} |");
            begin = Instant::now();
        }
    }
    let kept = process.kept().context("checkpoints are kept")?;
    ensure!(kept.failed == 0, "{:?}", kept.error);
    println!(
        "\n{} checkpoints, the last of {} bytes\n",
        kept.written,
        kept.newest.context("one")?.1
    );
    Ok(())
}

fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // What is deleted meanwhile takes no more room.
        let Ok(about) = entry.metadata() else { continue };
        // Files have holes.
        bytes += if about.is_dir() { disk_bytes(&entry.path())? } else { about.blocks() * 512 };
    }
    Ok(bytes)
}

/// Milliseconds of a synced write of 4 KiB: the median of many.
fn synced_write(folder: &Path) -> Result<f64> {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("probe"))?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begin = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    times.sort();
    Ok(times[50].as_secs_f64() * 1e3)
}

fn resident() -> Result<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = statm.split_whitespace().nth(1).context("two numbers")?.parse()?;
    Ok(pages * 4_096.0)
}

fn sustained() -> Result<()> {
    println!(
        "| guarantee | M reports/s | answers/s | bytes/object, log and all | synced write, ms |"
    );
    println!("|---|---|---|---|---|");
    run_apart("precise")?;
    run_apart("gap")?;
    println!();
    Ok(())
}

fn sustained_with(name: &str, guarantee: Guarantee) -> Result<()> {
    let batches = batches()?;
    let folder = folder()?;
    let write = synced_write(folder.path())?;
    let before = resident()?;
    let mut feed = Feed::start(&options(folder.path(), guarantee))?;
    feed.load(&batches)?;
    let (begin, applied) = (Instant::now(), feed.applied());
    let answers = feed.told.answers.load(Ordering::Relaxed);
    while begin.elapsed() < seconds() {
        feed.send(&batches)?;
    }
    let lasted = begin.elapsed().as_secs_f64();
    let rate = (feed.applied() - applied) as f64 / lasted / 1e6;
    let answers = (feed.told.answers.load(Ordering::Relaxed) - answers) as f64 / lasted;
    let bytes = (resident()? - before) / OBJECTS as f64;
    feed.live.stop()?;
    println!("| {name} | {rate:.2} | {answers:.0} | {bytes:.0} | {write:.2} |");
    Ok(())
}

/// Without and with checkpoints by turns, since the machine is not the same from minute to minute.
fn latency(batches: &[(usize, PositionBatch)]) -> Result<()> {
    const TURNS: u32 = 4;
    let folder = folder()?;
    let mut kinds =
        [("without checkpoints", 3_600, vec![]), ("a checkpoint every 10 s", 10, vec![])];
    for _ in 0..TURNS {
        for (_, every, latencies) in &mut kinds {
            let mut options = options(folder.path(), Guarantee::Precise);
            options.checkpoint_every = Duration::from_secs(*every);
            latencies.extend(steady(&options, batches, seconds() / TURNS)?);
        }
    }
    println!("| 1.5 M reports/s | p50, ms | p90 | p99 | max |");
    println!("|---|---|---|---|---|");
    for (name, _, mut latencies) in kinds {
        let [p50, p90, p99, max] = quantiles(&mut latencies, [0.5, 0.9, 0.99, 1.0]);
        println!("| {name} | {p50:.1} | {p90:.1} | {p99:.1} | {max:.1} |");
    }
    restart(folder.path(), batches)
}

/// What batches waited for, from sending to commit, at a steady rate.
fn steady(
    options: &LiveOptions,
    batches: &[(usize, PositionBatch)],
    lasting: Duration,
) -> Result<Vec<Duration>> {
    const RATE: f64 = 1.5e6;
    let mut feed = Feed::start(options)?;
    feed.load(batches)?;
    std::thread::sleep(Duration::from_secs(1));
    feed.told.latencies.lock().expect("nobody panics").clear();
    let (begin, first) = (Instant::now(), feed.sent);
    while begin.elapsed() < lasting {
        let due = (begin.elapsed().as_secs_f64() * RATE / BATCH as f64) as usize;
        if feed.sent - first < due {
            feed.send(batches)?;
        } else {
            std::thread::sleep(Duration::from_micros(300));
        }
    }
    feed.live.stop()?;
    Ok(std::mem::take(&mut *feed.told.latencies.lock().expect("nobody panics")))
}

/// Quantiles of times, in milliseconds.
fn quantiles<const N: usize>(times: &mut [Duration], quantiles: [f64; N]) -> [f64; N] {
    times.sort();
    let last = times.len().saturating_sub(1) as f64;
    quantiles
        .map(|it| times.get((it * last) as usize).map_or(f64::NAN, |it| it.as_secs_f64() * 1e3))
}

/// From opening the log to the first answer, with the state that a run left.
fn restart(folder: &Path, batches: &[(usize, PositionBatch)]) -> Result<()> {
    let begin = Instant::now();
    let mut feed = Feed::start(&options(folder, Guarantee::Precise))?;
    let opened = begin.elapsed();
    for _ in 0..20 {
        feed.send(batches)?;
    }
    while feed.told.answers.load(Ordering::Relaxed) == 0 {
        ensure!(begin.elapsed() < Duration::from_secs(60), "no answer");
        std::thread::sleep(Duration::from_millis(1));
    }
    let answered = begin.elapsed();
    feed.live.stop()?;
    println!(
        "\nrestart: open after {:.2} s, first answer after {:.2} s",
        opened.as_secs_f64(),
        answered.as_secs_f64()
    );
    Ok(())
}
