//! Letting go frees the disk, and keeps what is still needed.
#![cfg(unix)]

mod places;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dunlin_stream::log::{LaneId, LocalLog, LocalOptions, Log};
use places::{append_each, batch, texts, tiny};
use proptest::prelude::*;

const MB: u64 = 1_000_000;
const LANES: u32 = 4;

/// What a folder takes of the disk; files have holes.
fn disk_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder");
    let bytes = |entry: fs::DirEntry| {
        let path = entry.path();
        // The database removes files while we look.
        let Ok(about) = fs::metadata(&path) else { return 0 };
        if about.is_dir() { disk_bytes(&path) } else { about.blocks() * 512 }
    };
    entries.flatten().map(bytes).sum()
}

/// Bytes that nothing can compress, another row each time.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        };
        (0..len.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(len).collect()
    }
}

/// Appends this many bytes in batches of 64 kB, to the lanes in turn.
fn append_bytes(log: &LocalLog, noise: &mut Noise, bytes: u64) {
    for i in 0..bytes / 64_000 {
        let lane = LaneId(u32::try_from(i % u64::from(LANES)).expect("one of a few"));
        let payload = noise.bytes(64_000);
        log.append(&[batch(lane, 0, &payload)]).expect("the log appends");
    }
}

fn truncate_all(log: &LocalLog) {
    for lane in 0..LANES {
        log.truncate(LaneId(lane), u64::MAX).expect("the log truncates");
    }
}

/// A log of `LANES` lanes with 200 MB, and the next bytes for it.
fn filled(folder: &Path) -> (LocalLog, Noise) {
    let log = LocalLog::open(folder, &LocalOptions::default()).expect("a log");
    for lane in 0..LANES {
        log.lane(&lane.to_string()).expect("a lane");
    }
    let mut noise = Noise(88_172_645_463_325_252);
    append_bytes(&log, &mut noise, 200 * MB);
    (log, noise)
}

/// Lets up to 240 MB more come and go, until the folder takes less than 40 MB.
fn shrinks(log: &LocalLog, noise: &mut Noise, folder: &Path) -> bool {
    let step = |_| {
        append_bytes(log, noise, 4 * MB);
        truncate_all(log);
        disk_bytes(folder) < 40 * MB
    };
    (0..60).any(step)
}

#[test]
fn what_is_let_go_is_freed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, mut noise) = filled(folder.path());
    assert!(disk_bytes(folder.path()) >= 200 * MB);
    truncate_all(&log);
    assert!(shrinks(&log, &mut noise, folder.path()), "{} bytes", disk_bytes(folder.path()));
}

#[test]
fn a_lane_that_lets_nothing_go_pins_only_its_own_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let control = {
        let log = LocalLog::open(folder.path(), &LocalOptions::default()).expect("a log");
        for lane in 0..LANES {
            log.lane(&lane.to_string()).expect("a lane");
        }
        log.lane("control").expect("a lane")
    };
    let (log, mut noise) = filled(folder.path());
    let mut decisions = Vec::new();
    for i in 0..30 {
        let text = format!("decision {i}");
        append_each(&log, control, &[text.as_bytes()]);
        decisions.push(text);
        append_bytes(&log, &mut noise, 4 * MB);
    }
    truncate_all(&log);
    assert!(shrinks(&log, &mut noise, folder.path()), "{} bytes", disk_bytes(folder.path()));
    assert_eq!(texts(&log, control), decisions);
    log.truncate(control, 3).expect("the log truncates");
    drop(log);
    let log = LocalLog::open(folder.path(), &LocalOptions::default()).expect("a log");
    assert_eq!(texts(&log, control), decisions[3..]);
    assert!(log.range(LaneId(0)).expect("a range").is_empty());
}

/// An application for a long time: outputs go some thousands of batches after their inputs.
#[test]
fn a_lane_that_lags_takes_no_more_from_hour_to_hour() {
    const ROUNDS: u64 = 60_000;
    const KEPT: u64 = 4_000;
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = LocalOptions::default();
    (options.memtable_bytes, options.reclaim_bytes) = (1 << 20, 1 << 20);
    let log = LocalLog::open(folder.path(), &options).expect("a log");
    let [data, control, output] = ["0", "1", "2"].map(|name| log.lane(name).expect("a lane"));
    let mut noise = Noise(3);
    let mut disk = Vec::new();
    for round in 0..ROUNDS {
        append_each(&log, data, &[&noise.bytes(1_500), b""]);
        append_each(&log, control, &[b""]);
        append_each(&log, output, &[&noise.bytes(700)]);
        if round % 500 == 499 {
            log.truncate(data, 2 * round).expect("the log truncates");
            log.truncate(control, round).expect("the log truncates");
            log.truncate(output, round.saturating_sub(KEPT)).expect("the log truncates");
        }
        if round % (ROUNDS / 6) == ROUNDS / 6 - 1 {
            disk.push(disk_bytes(folder.path()));
        }
    }
    assert!(disk.iter().all(|&bytes| bytes < 100 * MB), "{disk:?} bytes");
    let (early, late) = (disk[1].max(disk[2]), disk[4].min(disk[5]));
    assert!(late < early + early / 4, "{disk:?} bytes");
}

/// Each of its batches lies in a step of its own, and between them are steps that nobody needs.
#[test]
fn a_lane_that_is_seldom_written_pins_only_its_own_bytes() {
    const ROUNDS: u64 = 40_000;
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = LocalOptions::default();
    (options.memtable_bytes, options.reclaim_bytes) = (1 << 20, 1 << 20);
    let log = LocalLog::open(folder.path(), &options).expect("a log");
    let [data, output] = ["0", "1"].map(|name| log.lane(name).expect("a lane"));
    let mut noise = Noise(5);
    for round in 0..ROUNDS {
        append_each(&log, data, &[&noise.bytes(4_000)]);
        if round % 1_000 == 0 {
            append_each(&log, output, &[&noise.bytes(700)]);
        }
        if round % 3_000 == 2_999 {
            log.truncate(data, round).expect("the log truncates");
        }
    }
    let disk = disk_bytes(folder.path());
    assert!(disk < 100 * MB, "{disk} bytes");
    assert_eq!(log.read(output, 0, usize::MAX).expect("the lane can be read").len(), 40);
}

/// How many files of tables the folder has.
fn table_count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder");
    let count = |entry: fs::DirEntry| {
        let path = entry.path();
        let in_tables = folder.ends_with("tables");
        if path.is_dir() { table_count(&path) } else { usize::from(in_tables) }
    };
    entries.flatten().map(count).sum()
}

#[test]
fn tables_do_not_pile_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = LocalOptions::default();
    (options.memtable_bytes, options.reclaim_bytes) = (100_000, 100_000);
    let log = LocalLog::open(folder.path(), &options).expect("a log");
    let (data, control) = (log.lane("0").expect("a lane"), log.lane("1").expect("a lane"));
    let payload = Noise(1).bytes(10_000);
    for i in 0..2_000 {
        append_each(&log, data, &[&payload]);
        append_each(&log, control, &[b"x"]);
        if i % 20 == 0 {
            log.truncate(data, i).expect("the log truncates");
        }
    }
    assert!(table_count(folder.path()) > 0, "the tables are somewhere else");
    assert!(table_count(folder.path()) < 60, "{} tables", table_count(folder.path()));
    assert_eq!(texts(&log, control), vec!["x"; 2_000]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Lanes let go at their own pace; each keeps exactly what it did not let go.
    #[test]
    fn what_is_needed_stays(
        steps in prop::collection::vec((0..3_u32, 1..120_usize, 0..40_u64), 1..150),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = LocalLog::open(folder.path(), &tiny()).expect("a log");
        let lanes = ["0", "1", "2"].map(|name| log.lane(name).expect("a lane"));
        let mut noise = Noise(7);
        let mut all: [Vec<Vec<u8>>; 3] = Default::default();
        let mut first = [0_u64; 3];
        for (step, (lane, len, truncate)) in steps.into_iter().enumerate() {
            let index = lane as usize;
            let payload = noise.bytes(len);
            log.append(&[batch(lanes[index], 0, &payload)]).expect("the log appends");
            all[index].push(payload);
            if truncate > 30 {
                let below = (all[index].len() as u64).saturating_sub(truncate - 30);
                log.truncate(lanes[index], below).expect("the log truncates");
                first[index] = first[index].max(below);
            }
            if step % 50 == 49 {
                drop(log);
                log = LocalLog::open(folder.path(), &tiny()).expect("a log");
            }
        }
        for (index, &lane) in lanes.iter().enumerate() {
            let read = log.read(lane, first[index], usize::MAX).expect("the lane can be read");
            let payloads: Vec<_> = read.into_iter().map(|entry| entry.payload).collect();
            prop_assert_eq!(&payloads[..], &all[index][first[index] as usize..]);
        }
    }
}
