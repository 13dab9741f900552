//! Topologies on the streaming core, without its log: what an epoch costs.
//!
//! `knn`: one million objects around 8 centres, 10 000 standing 10-NN (half of them at a place, half
//! on an object), epochs of 20 ms of 60 000 reports (3 million a second) in batches of a thousand,
//! two lanes. The batches are encoded beforehand; what is measured is `Engine::step`: decoding,
//! routing, moving, answering, making outputs. Then snapshot, restore and memory.
//!
//! `cargo bench --bench stream` runs all parts, `cargo bench --bench stream -- knn` one.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::time::{Duration, Instant};

use dunlin::datasets::generate::{Area, Clusters, GaussianClusters, Movement, Population};
use dunlin::index::{Coord, Plane, SpaceKind};
use dunlin::query::topology::{Command, PositionBatch, StandingTopology};
use dunlin::stream::engine::EngineState;
use dunlin::stream::lane::Envelope;
use dunlin::stream::log::Entry;
use dunlin::stream::{Engine, Epoch, Key, ShardTable, Timestamp, wire};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OBJECTS: usize = 1_000_000;
const QUERIES: usize = 10_000;
const LANES: usize = 2;
const EPOCH_MS: i64 = 20;
const REPORTS: usize = 60_000;
const BATCH: usize = 1_000;
const EPOCHS: usize = 150;
const WARM_UP: usize = 20;
const EXTENT_M: f64 = 50_000.0;
/// A stride that visits all objects, in no order of place.
const STRIDE: usize = 618_033;

fn main() -> anyhow::Result<()> {
    let parts: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    if parts.is_empty() || parts.iter().any(|part| part == "knn") {
        knn()?;
    }
    Ok(())
}

/// The batches of an epoch, lane by lane, control last.
type Epoched = Vec<Vec<Entry>>;

/// Makes the reports of epochs.
struct Reports {
    movement: GaussianClusters,
    epoch: i64,
    next: usize,
    sequence: u64,
}

impl Reports {
    fn new() -> anyhow::Result<Self> {
        let area = Area::new(SpaceKind::Plane, (0.0, 0.0).into(), (EXTENT_M, EXTENT_M).into())?;
        let population = Population { objects: OBJECTS, seed: 7, speed: 10.0 / EXTENT_M };
        let clusters = Clusters { count: 8, spread: 1.0 / 30.0 };
        let movement = GaussianClusters::new(area, population, clusters);
        Ok(Self { movement, epoch: 0, next: 0, sequence: 0 })
    }

    fn epoch(&mut self) -> anyhow::Result<Epoched> {
        self.movement.step(EPOCH_MS as f64 / 1_000.0);
        let mut open: Vec<PositionBatch> = vec![PositionBatch::default(); LANES];
        let mut lanes: Epoched = vec![Vec::new(); LANES + 1];
        for report in 0..REPORTS {
            let object = (self.next + report) * STRIDE % OBJECTS;
            let name = name(object);
            let lane = Key::of_bytes(name.as_bytes()).lane(LANES);
            let time = self.epoch * EPOCH_MS + report as i64 * EPOCH_MS / REPORTS as i64;
            let at = self.movement.positions()[object];
            open[lane].push(&name, Timestamp::from_millis(time)?, at);
            if open[lane].reports().len() == BATCH || report + LANES >= REPORTS {
                lanes[lane].push(self.entry(std::mem::take(&mut open[lane])));
            }
        }
        for (lane, batch) in open.into_iter().enumerate() {
            lanes[lane].push(self.entry(batch));
        }
        self.next = (self.next + REPORTS) % OBJECTS;
        self.epoch += 1;
        Ok(lanes)
    }

    fn entry(&mut self, batch: PositionBatch) -> Entry {
        self.sequence += 1;
        let payload = wire::encode(&Envelope { producer: 1, sequence: self.sequence, batch });
        let stamp = Timestamp::from_millis_unchecked(self.epoch * EPOCH_MS);
        Entry { sequence: self.sequence, stamp, payload: payload.into() }
    }

    fn queries(&mut self) -> Entry {
        let mut batch = PositionBatch::default();
        for number in 0..QUERIES {
            let object = number * STRIDE % OBJECTS;
            let Coord { x, y } = self.movement.positions()[object];
            let focus = if number % 2 == 0 {
                format!(r#""at":[{x},{y}]"#)
            } else {
                format!(r#""object":"{}""#, name(object))
            };
            let query = format!(r#"{{"id":"q{number}","knn":{{"k":10,{focus}}}}}"#);
            batch.command(Command::Register { query });
        }
        self.entry(batch)
    }
}

fn name(object: usize) -> String {
    format!("v{object:06}")
}

fn end(epoch: i64) -> Timestamp {
    Timestamp::from_millis_unchecked((epoch + 1) * EPOCH_MS)
}

/// Resident bytes of this process.
fn resident() -> anyhow::Result<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = statm.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(pages * 4_096.0)
}

fn knn() -> anyhow::Result<()> {
    println!("| knn | ms/epoch, mean | p50 | max | M updates/s | answers/epoch | bytes/object |");
    println!("|---|---|---|---|---|---|---|");
    for shards in [1, 2] {
        knn_with(shards)?;
    }
    Ok(())
}

fn knn_with(shards: usize) -> anyhow::Result<()> {
    let mut reports = Reports::new()?;
    let mut xs: Vec<f64> = reports.movement.positions().iter().map(|at| at.x).collect();
    xs.sort_by(f64::total_cmp);
    let cuts = (1..shards).map(|cut| Key::of_f64(xs[cut * OBJECTS / shards]));
    let table = ShardTable::cut_at(cuts);
    drop(xs);
    let topology = StandingTopology::<Plane>::new(LANES as u32);
    let load: Vec<_> =
        (0..OBJECTS.div_ceil(REPORTS)).map(|_| reports.epoch()).collect::<Result<_, _>>()?;
    let epochs: Vec<_> = (0..EPOCHS).map(|_| reports.epoch()).collect::<Result<_, _>>()?;
    let before = resident()?;
    let mut engine = Engine::new(topology, LANES + 1, table);
    let mut number = 0;
    let mut step = |engine: &mut Engine<StandingTopology<Plane>>, batches: &Epoched| {
        let begin = Instant::now();
        let result = engine.step(Epoch(number), end(number), batches);
        number += 1;
        (begin.elapsed(), result.outputs.len())
    };
    for batches in &load {
        step(&mut engine, batches);
    }
    let mut control: Epoched = vec![Vec::new(); LANES + 1];
    control[LANES].push(reports.queries());
    let (registering, answers) = step(&mut engine, &control);
    anyhow::ensure!(answers == QUERIES, "{answers} first answers");
    let (mut times, mut answers) = (Vec::new(), 0);
    for (epoch, batches) in epochs.iter().enumerate() {
        let (time, told) = step(&mut engine, batches);
        if epoch >= WARM_UP {
            times.push(time);
            answers += told;
        }
    }
    let bytes = (resident()? - before) / OBJECTS as f64;
    let count = times.len();
    let total: Duration = times.iter().sum();
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {shards} shard(s) | {:.1} | {:.1} | {:.1} | {:.2} | {} | {bytes:.0} |",
        ms(total) / count as f64,
        ms(times[count / 2]),
        ms(times[count - 1]),
        (count * REPORTS) as f64 / total.as_secs_f64() / 1e6,
        answers / count,
    );
    println!("\n10 000 queries registered in {:.0} ms", ms(registering));
    checkpoint(topology, &engine)
}

/// The engine's state written and read on one thread.
fn checkpoint(
    topology: StandingTopology<Plane>,
    engine: &Engine<StandingTopology<Plane>>,
) -> anyhow::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let begin = Instant::now();
    let state: EngineState = pool.install(|| engine.snapshot());
    let written = begin.elapsed();
    let begin = Instant::now();
    let frozen = pool.install(|| engine.freeze());
    let froze = begin.elapsed();
    anyhow::ensure!(frozen.encode() == state, "a frozen state is another");
    let begin = Instant::now();
    let restored = pool.install(|| Engine::restore(topology, &state))?;
    let read = begin.elapsed();
    let bytes: usize = state.lanes.iter().chain(&state.shards).map(Vec::len).sum();
    anyhow::ensure!(restored.snapshot() == state, "a state read and written is another");
    println!(
        "one thread: state taken aside in {:.0} ms, snapshot {:.0} ms, restore {:.0} ms, {:.1} bytes/object\n",
        froze.as_secs_f64() * 1e3,
        written.as_secs_f64() * 1e3,
        read.as_secs_f64() * 1e3,
        bytes as f64 / OBJECTS as f64,
    );
    Ok(())
}
