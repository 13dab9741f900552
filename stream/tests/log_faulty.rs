//! The log that fails on demand does so, exactly then.

mod places;

use std::io::ErrorKind;

use dunlin_stream::log::{FaultyLog, LaneId, Log, LogError, MemoryLog, Operation};
use places::{append_each, batch, texts};
use proptest::prelude::*;

fn kind(error: &LogError) -> ErrorKind {
    let LogError::Io(error) = error else { panic!("{error}") };
    error.kind()
}

#[test]
fn each_operation_fails_when_it_is_told_to_and_then_works() {
    let log = FaultyLog::new(MemoryLog::default());
    let lane = log.lane("a").expect("a lane");
    append_each(&log, lane, &[b"0"]);
    let run = |operation| match operation {
        Operation::Lane => log.lane("b").map(drop),
        Operation::Append => log.append(&[batch(lane, 0, b"x")]).map(drop),
        Operation::Read => log.read(lane, 0, 10).map(drop),
        Operation::Truncate => log.truncate(lane, 0),
        Operation::Sync => log.sync(),
    };
    use Operation::{Append, Lane, Read, Sync, Truncate};
    for operation in [Lane, Append, Read, Truncate, Sync] {
        let before = log.count(operation);
        log.fail(operation, 2);
        log.fail(operation, 4);
        let results: Vec<bool> = (0..5).map(|_| run(operation).is_ok()).collect();
        assert_eq!(results, [true, false, true, false, true], "{operation:?}");
        assert_eq!(log.count(operation), before + 5);
    }
    assert_eq!(texts(&log, lane), ["0", "x", "x", "x"]);
}

#[test]
fn a_full_disk_takes_no_batch_until_it_is_freed() {
    let log = FaultyLog::new(MemoryLog::default());
    let lane = log.lane("a").expect("a lane");
    log.fill(2);
    append_each(&log, lane, &[b"0"]);
    for _ in 0..3 {
        let error = log.append(&[batch(lane, 0, b"lost")]).expect_err("full");
        assert_eq!(kind(&error), ErrorKind::StorageFull);
    }
    log.truncate(lane, 0).expect("only appends need space");
    log.free();
    append_each(&log, lane, &[b"1"]);
    assert_eq!(texts(&log, lane), ["0", "1"]);
}

proptest! {
    /// Appends, syncs and truncations, then a power cut: what is synced survives, and of the rest
    /// as many calls as asked for.
    #[test]
    fn a_power_cut_leaves_a_beginning(
        steps in prop::collection::vec((0..10_u8, 1..4_usize), 0..40), keep in 0..10_usize,
    ) {
        let log = FaultyLog::new(MemoryLog::default());
        let lane = log.lane("a").expect("a lane");
        let (mut calls, mut synced, mut appended) = (Vec::new(), 0, 0_u64);
        let mut first = Vec::new();
        for (step, size) in steps {
            match step {
                0 => {
                    log.sync().expect("no fault was ordered");
                    synced = calls.len();
                }
                1 => {
                    log.truncate(lane, appended / 2).expect("no fault was ordered");
                    first.push((calls.len(), appended / 2));
                }
                _ => {
                    let payload = appended.to_string();
                    let group = vec![batch(LaneId(0), 0, payload.as_bytes()); size];
                    log.append(&group).expect("no fault was ordered");
                    appended += size as u64;
                    calls.push(size as u64);
                }
            }
        }
        prop_assert_eq!(log.unsynced(), calls.len() - synced);
        let survivor = log.power_cut(keep, MemoryLog::default()).expect("an empty log");
        let kept = calls.len().min(synced + keep);
        let end: u64 = calls[..kept].iter().sum();
        let start = first.iter().filter(|(at, _)| *at <= kept).map(|(_, first)| *first).max();
        prop_assert_eq!(survivor.range(lane).expect("a range"), start.unwrap_or(0)..end);
        let held = survivor.read(lane, start.unwrap_or(0), usize::MAX).expect("a lane");
        let original = log.inner().read(lane, log.range(lane).expect("a range").start, usize::MAX);
        for entry in original.expect("a lane").iter().filter(|entry| entry.sequence < end) {
            prop_assert!(held.contains(entry));
        }
    }
}
