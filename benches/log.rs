//! The log on local files: appending under each sync policy, opening, replaying, letting go.
//!
//! A batch is 1 000 records of 64 bytes. The first row is what the disk itself takes: the same bytes
//! to a plain file, synced one by one. `DUNLIN_BENCH_DIR` names the folder to write to (by default
//! the system's temporary one; mind that it may be in memory).

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dunlin::stream::Timestamp;
use dunlin::stream::log::{
    Batch, GroupWriter, LaneId, LocalLog, LocalOptions, Log, Pending, SyncPolicy, WriterOptions,
};

const RECORDS: usize = 1_000;
const PAYLOAD_BYTES: usize = RECORDS * 64;
const LANES: u32 = 8;
/// What the log holds when it is opened and replayed.
const REPLAY_BATCHES: usize = 1_000_000_000 / PAYLOAD_BYTES;

/// How a run appends: its name, its policy, how many submissions are on their way at a time.
const RUNS: [(&str, SyncPolicy, usize, usize); 5] = [
    ("always, one at a time", SyncPolicy::Always, 1, 3_000),
    ("always, 16 in flight", SyncPolicy::Always, 16, 10_000),
    ("interval 10 ms, 16 in flight", SyncPolicy::Interval(Duration::from_millis(10)), 16, 15_000),
    ("os, one at a time", SyncPolicy::Os, 1, 15_000),
    ("os, 16 in flight", SyncPolicy::Os, 16, 15_000),
];

fn main() -> Result<()> {
    let parent =
        std::env::var_os("DUNLIN_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(&parent).context("the folder cannot be written")?;
    println!(
        "| batches of {RECORDS} records, {PAYLOAD_BYTES} bytes | records/s | MB/s | p50 | p99 | max |"
    );
    println!("|---|---|---|---|---|---|");
    print_row("plain file, synced one by one", &plain_file(folder.path())?);
    for (name, sync, in_flight, batches) in RUNS {
        let folder = tempfile::tempdir_in(&parent)?;
        print_row(name, &append(folder.path(), sync, in_flight, batches)?);
    }
    println!();
    replay(&folder.path().join("log"))
}

/// Bytes that nothing can compress.
fn payload() -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..PAYLOAD_BYTES / 8).flat_map(|_| word().to_le_bytes()).collect()
}

/// How long a run took, and each of its writes from handing in to acknowledgement.
struct Measured {
    total: Duration,
    each: Vec<Duration>,
}

fn print_row(name: &str, measured: &Measured) {
    let Measured { total, each } = measured;
    let seconds = total.as_secs_f64();
    let records = (each.len() * RECORDS) as f64 / seconds / 1e6;
    let mb = (each.len() * PAYLOAD_BYTES) as f64 / seconds / 1e6;
    let mut each = each.clone();
    each.sort();
    let ms = |part: f64| {
        let index = ((each.len() - 1) as f64 * part) as usize;
        format!("{:.2} ms", each[index].as_secs_f64() * 1e3)
    };
    println!("| {name} | {records:.2} M | {mb:.0} | {} | {} | {} |", ms(0.5), ms(0.99), ms(1.0));
}

fn plain_file(folder: &Path) -> Result<Measured> {
    let (payload, mut file) = (payload(), File::create(folder.join("plain"))?);
    let begin = Instant::now();
    let mut write = |_| {
        let begin = Instant::now();
        file.write_all(&payload)?;
        file.sync_data()?;
        Ok(begin.elapsed())
    };
    let each = (0..3_000).map(&mut write).collect::<Result<_>>()?;
    Ok(Measured { total: begin.elapsed(), each })
}

fn open(folder: &Path) -> Result<(Arc<LocalLog>, Vec<LaneId>)> {
    let log = Arc::new(LocalLog::open(folder, &LocalOptions::default())?);
    let lanes = (0..LANES).map(|lane| log.lane(&lane.to_string())).collect::<Result<_, _>>()?;
    Ok((log, lanes))
}

/// Appends to the lanes in turn and lets all but the newest batches go, as a stream does.
fn append(folder: &Path, sync: SyncPolicy, in_flight: usize, batches: usize) -> Result<Measured> {
    let (log, lanes) = open(folder)?;
    let writer = GroupWriter::start(log.clone(), &WriterOptions::new(sync))?;
    let (payload, stamp) = (payload(), Timestamp::from_millis_unchecked(0));
    let mut waiting: VecDeque<(Instant, Pending)> = VecDeque::new();
    let mut each = Vec::with_capacity(batches);
    let begin = Instant::now();
    for i in 0..batches {
        if waiting.len() == in_flight {
            let (begin, pending) = waiting.pop_front().expect("some are in flight");
            pending.wait()?;
            each.push(begin.elapsed());
        }
        let lane = lanes[i % lanes.len()];
        let batch = Batch { lane, expected: None, stamp, payload: payload.clone() };
        waiting.push_back((Instant::now(), writer.submit(vec![batch])));
        if i % 4_000 == 3_999 {
            for &lane in &lanes {
                log.truncate(lane, log.range(lane)?.end.saturating_sub(100))?;
            }
        }
    }
    for (begin, pending) in waiting {
        pending.wait()?;
        each.push(begin.elapsed());
    }
    let total = begin.elapsed();
    writer.close()?;
    Ok(Measured { total, each })
}

/// A log of 1 GB: opened, replayed lane by lane, let go.
fn replay(folder: &Path) -> Result<()> {
    let (log, lanes) = open(folder)?;
    let (payload, stamp) = (payload(), Timestamp::from_millis_unchecked(0));
    for i in 0..REPLAY_BATCHES {
        let lane = lanes[i % lanes.len()];
        let batch = Batch { lane, expected: None, stamp, payload: payload.clone() };
        log.append(&[batch.as_append()])?;
    }
    drop(log);
    println!("| a log of 1 GB | seconds | MB/s |");
    println!("|---|---|---|");
    let begin = Instant::now();
    let (log, lanes) = open(folder)?;
    println!("| open | {:.3} | |", begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let mut bytes = 0;
    for &lane in &lanes {
        let mut from = 0;
        loop {
            let read = log.read(lane, from, 1 << 20)?;
            let Some(last) = read.last() else { break };
            from = last.sequence + 1;
            bytes += read.iter().map(|entry| entry.payload.len()).sum::<usize>();
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("| replay | {seconds:.3} | {:.0} |", bytes as f64 / seconds / 1e6);
    let begin = Instant::now();
    lanes.iter().try_for_each(|&lane| log.truncate(lane, u64::MAX))?;
    println!("| let all go | {:.3} | |", begin.elapsed().as_secs_f64());
    Ok(())
}
