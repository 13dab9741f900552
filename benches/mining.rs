//! Co-occurrence mining: a day of a city, rivals on one stretch of it, real toll gates, memory, and
//! how the cost grows with the number of cameras.
//!
//! Events are in memory, ordered by time; they go through the operator in epochs of a minute, as
//! `dunlin mine` does it, and reports are counted. Times are medians of [`RUNS`] runs, on one
//! thread, with the binary's allocator. The toll gates are looked for in `DUNLIN_DATA` (by default
//! `../shared/data`); without them the bench says so and measures the rest.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use dunlin::cep::{
    Bitmask, CooMine, CooccurrenceOperator, DiMine, EventBatch, MatrixMine, Miner, ReportKind, Rule,
};
use dunlin::datasets::generate::{CameraOptions, CameraTraffic};
use dunlin::datasets::{EventColumns, EventOptions, Events, read_events};
use dunlin::index::Slot;
use dunlin::stream::{EpochClock, runner};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 3;
const SEED: u64 = 7;
const EPOCH_MS: i64 = 300_000;
const HOUR_MS: i64 = 3_600_000;

/// The question to the city: ξ 60 s, τ 30 min, θ 3.
fn city_rule() -> Rule {
    Rule::new(60_000, 1_800_000, 3)
}

/// Makes a miner.
type Make = fn() -> Box<dyn Miner>;

fn miners() -> [(&'static str, Make); 4] {
    [
        ("bitmask", || Box::new(Bitmask::default())),
        ("CooMine", || Box::new(CooMine::default())),
        ("DIMine", || Box::new(DiMine::default())),
        ("MatrixMine", || Box::new(MatrixMine::default())),
    ]
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ran {
    seconds: f64,
    reports: usize,
    /// The most bytes per unexpired event, once an hour of events has gone by.
    bytes_per_event: f64,
}

/// Mines all events.
fn mine(events: &Events, rule: &Rule, miner: Box<dyn Miner>) -> Result<Ran> {
    let mut operator = CooccurrenceOperator::new(rule.clone(), 0, miner)?;
    let batch = |rows: std::ops::Range<usize>| EventBatch {
        times: &events.times[rows.clone()],
        streams: &events.streams[rows.clone()],
        objects: &events.objects[rows],
    };
    let (mut reports, mut bytes_per_event) = (0, 0.0_f64);
    let settled = events.times[0].as_millis() + HOUR_MS;
    let mut epochs = 0;
    let start = Instant::now();
    let clock = EpochClock::new(EPOCH_MS);
    runner::run(&mut operator, clock, &events.times, batch, |operator, end, told| {
        reports += told.len();
        epochs += 1;
        if end.as_millis() > settled && epochs % 16 == 0 {
            let live = operator.store().len().max(1) as f64;
            bytes_per_event = bytes_per_event.max(operator.bytes() as f64 / live);
        }
        anyhow::Ok(())
    })?;
    Ok(Ran { seconds: start.elapsed().as_secs_f64(), reports, bytes_per_event })
}

/// The run of median time.
fn median(events: &Events, rule: &Rule, miner: Make) -> Result<Ran> {
    let mut runs = (0..RUNS).map(|_| mine(events, rule, miner())).collect::<Result<Vec<_>>>()?;
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    Ok(runs[RUNS / 2])
}

/// A day of traffic.
fn traffic(cameras: u32, seed: u64) -> Result<Events> {
    let options = CameraOptions { seed, ..CameraOptions::day(cameras) };
    Ok(CameraTraffic::in_city(&options, &mut |_| ())?.into_events().0)
}

/// The part of some events that is between two hours of the first day.
fn between(events: Events, from: i64, to: i64) -> Events {
    // Not that of the first event: clocks are off.
    let midnight = CameraOptions::day(1).start.as_millis();
    let row =
        |hour| events.times.partition_point(|time| time.as_millis() < midnight + hour * HOUR_MS);
    let rows = row(from)..row(to);
    Events {
        times: events.times[rows.clone()].to_vec(),
        streams: events.streams[rows.clone()].to_vec(),
        objects: events.objects[rows].to_vec(),
        ..events
    }
}

fn main() -> Result<()> {
    // `cargo test` asks for a check that it starts, not for figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    pool.install(|| {
        for (name, part) in PARTS {
            if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
                part()?;
            }
        }
        Ok(())
    })
}

type Part = fn() -> Result<()>;

/// The parts, each of which can be asked for by name.
const PARTS: [(&str, Part); 4] =
    [("day", day), ("city", city), ("tollgates", toll_gates), ("growth", growth)];

fn city() -> Result<()> {
    rivals("city, 4 to 6 in the morning", &between(traffic(1_000, SEED)?, 4, 6), &city_rule())
}

fn day() -> Result<()> {
    let events = traffic(1_000, SEED)?;
    println!(
        "| a day of a city: 1 000 cameras, τ 30 min, ξ 60 s, θ 3 | seconds | events/s | reports | bytes per unexpired event |"
    );
    println!("|---|---|---|---|---|");
    let ran = median(&events, &city_rule(), || Box::new(Bitmask::default()))?;
    println!(
        "| closed, {} events | {:.2} | {:.2} M | {} | {:.0} |",
        events.len(),
        ran.seconds,
        events.len() as f64 / ran.seconds / 1e6,
        ran.reports,
        ran.bytes_per_event
    );
    println!();
    Ok(())
}

/// Every algorithm on the same events, which must tell the same number of sets; once each.
fn rivals(name: &str, events: &Events, rule: &Rule) -> Result<()> {
    println!(
        "| {name}: {} events | seconds | events/s | reports | against bitmask |",
        events.len()
    );
    println!("|---|---|---|---|---|");
    for (kind, report, size_max) in
        [("closed", ReportKind::Closed, None), ("all of 2 to 4", ReportKind::All, Some(4))]
    {
        let rule = Rule { report, size_max, ..rule.clone() };
        let mut best = None;
        for (name, miner) in miners() {
            let ran = median(events, &rule, miner)?;
            let best: Ran = *best.get_or_insert(ran);
            anyhow::ensure!(ran.reports == best.reports, "{name} tells {} sets", ran.reports);
            println!(
                "| {name}, {kind} | {:.3} | {:.3} M | {} | {:.1} × |",
                ran.seconds,
                events.len() as f64 / ran.seconds / 1e6,
                ran.reports,
                ran.seconds / best.seconds
            );
        }
    }
    println!();
    Ok(())
}

fn toll_gates() -> Result<()> {
    let folder =
        std::env::var_os("DUNLIN_DATA").map_or_else(|| "../shared/data".into(), PathBuf::from);
    let path = folder.join("tollgates-passes.csv.gz");
    if !path.exists() {
        println!("Toll gates: {} is not there, not measured.\n", path.display());
        return Ok(());
    }
    let columns = EventColumns::parse("stream=link,object=vehicle,time=time")?;
    let options = EventOptions { columns, ..EventOptions::default() };
    let (mut events, _) = read_events(&[path], &options, &mut |_| ())?;
    events.sort_by_time();
    rivals("toll gates, a week, ξ 5 min, τ 30 min, θ 4", &events, &Rule::new(300_000, 1_800_000, 4))
}

/// More and more cameras at the same rate per camera: in one town that grows, where trips get longer
/// and have more company; then in towns of 100 cameras side by side, where nothing else changes.
fn growth() -> Result<()> {
    println!(
        "| cameras, same rate per camera, 12 to 14 o'clock | events | reports | ns per event |"
    );
    println!("|---|---|---|---|");
    for cameras in [100, 1_000, 10_000] {
        grown(&format!("{cameras} in one town"), &between(traffic(cameras, SEED)?, 12, 14))?;
    }
    for count in [1, 10, 100] {
        grown(&format!("{count} town(s) of 100"), &towns(count)?)?;
    }
    Ok(())
}

fn grown(name: &str, events: &Events) -> Result<()> {
    let ran = median(events, &city_rule(), || Box::new(Bitmask::default()))?;
    let each = ran.seconds * 1e9 / events.len() as f64;
    println!("| {name} | {} | {} | {each:.0} |", events.len(), ran.reports);
    Ok(())
}

/// Towns of 100 cameras from 12 to 14 o'clock, each with streams, objects and a seed of its own.
fn towns(count: u64) -> Result<Events> {
    let mut rows = Vec::new();
    let (mut streams, mut objects) = (0, 0);
    for town in 0..count {
        let events = between(traffic(100, SEED + town)?, 12, 14);
        let slots = events.streams.iter().zip(&events.objects);
        let slots =
            slots.map(|(stream, object)| (Slot(stream.0 + streams), Slot(object.0 + objects)));
        rows.extend(events.times.iter().copied().zip(slots));
        streams += events.stream_names.len() as u32;
        objects += events.object_names.len() as u32;
    }
    rows.sort_unstable();
    let (times, (streams, objects)) = rows.into_iter().unzip();
    Ok(Events { times, streams, objects, ..Events::default() })
}
