//! Group commit: who is acknowledged when, who is refused, and who waits.

mod places;

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use dunlin_stream::Timestamp;
use dunlin_stream::log::{
    Append, Batch, Entry, FaultyLog, GroupWriter, LaneId, Log, LogError, MemoryLog, Operation,
    PAYLOAD_BYTES_MAX, Pending, SyncPolicy, WriterOptions,
};
use places::{batch, texts};
use proptest::prelude::*;

const LANE: LaneId = LaneId(0);

/// A log whose appends wait until its gate is open.
#[derive(Default)]
struct GatedLog {
    log: FaultyLog<MemoryLog>,
    open: Mutex<bool>,
    changed: Condvar,
    panics: AtomicBool,
}

impl GatedLog {
    fn set_open(&self, open: bool) {
        *self.open.lock().expect("nobody panics with the lock") = open;
        self.changed.notify_all();
    }
}

impl Log for GatedLog {
    fn lane(&self, name: &str) -> Result<LaneId, LogError> {
        self.log.lane(name)
    }

    fn append(&self, batches: &[Append<'_>]) -> Result<Vec<u64>, LogError> {
        let open = self.open.lock().expect("nobody panics with the lock");
        drop(self.changed.wait_while(open, |open| !*open).expect("nobody panics with the lock"));
        assert!(!self.panics.load(Ordering::Relaxed), "as the test wants it");
        self.log.append(batches)
    }

    fn read(&self, lane: LaneId, from: u64, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        self.log.read(lane, from, bytes_max)
    }

    fn range(&self, lane: LaneId) -> Result<Range<u64>, LogError> {
        self.log.range(lane)
    }

    fn truncate(&self, lane: LaneId, below: u64) -> Result<(), LogError> {
        self.log.truncate(lane, below)
    }

    fn sync(&self) -> Result<(), LogError> {
        self.log.sync()
    }
}

/// A writer over an open log with one lane.
fn start(sync: SyncPolicy, bytes_in_flight_max: usize) -> (Arc<GatedLog>, GroupWriter) {
    let log = Arc::new(GatedLog::default());
    log.set_open(true);
    assert_eq!(log.lane("a").expect("a lane"), LANE);
    let mut options = WriterOptions::new(sync);
    options.bytes_in_flight_max = bytes_in_flight_max;
    let writer = GroupWriter::start(log.clone(), &options).expect("a thread");
    (log, writer)
}

fn owned(payload: &[u8]) -> Vec<Batch> {
    vec![Batch::from(&batch(LANE, 0, payload))]
}

fn owned_if(expected: u64, payload: &[u8]) -> Vec<Batch> {
    vec![Batch { expected: Some(expected), ..owned(payload).remove(0) }]
}

/// Closes the gate and hands in a batch, so that the writer waits with it, and what comes after it
/// makes one group.
fn hold(log: &GatedLog, writer: &GroupWriter) -> Pending {
    log.set_open(false);
    writer.submit(owned(b"held"))
}

/// Waits until something holds; time is counted, since a test has no better way to see a stillness.
fn until(holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        pause(5);
    }
    panic!("that never came");
}

fn pause(millis: u64) {
    let (_keep, silence) = channel::<()>();
    assert_eq!(silence.recv_timeout(Duration::from_millis(millis)), Err(RecvTimeoutError::Timeout));
}

#[test]
fn threads_are_acknowledged_with_their_numbers() {
    let (log, writer) = start(SyncPolicy::Always, 1 << 20);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (log, writer) = (&log, &writer);
            scope.spawn(move || {
                let lane = log.lane(&thread.to_string()).expect("a lane");
                for round in 0..200 {
                    let own = Append { lane, ..batch(lane, 0, b"x") };
                    let own = Batch { expected: Some(round), ..Batch::from(&own) };
                    let numbers = writer.submit(vec![own]).wait().expect("nobody else's lane");
                    assert_eq!(numbers, [round]);
                }
            });
        }
    });
    writer.close().expect("the log syncs");
    for lane in 1..5 {
        assert_eq!(log.range(LaneId(lane)).expect("a range"), 0..200);
    }
}

#[test]
fn what_waits_becomes_one_append_and_one_sync() {
    let (log, writer) = start(SyncPolicy::Always, 1 << 20);
    let held = hold(&log, &writer);
    let waiting: Vec<Pending> = (0..50).map(|_| writer.submit(owned(b"x"))).collect();
    log.set_open(true);
    assert_eq!(held.wait().expect("appended"), [0]);
    for (number, pending) in (1..).zip(waiting) {
        assert_eq!(pending.wait().expect("appended"), [number]);
    }
    assert!(log.log.count(Operation::Append) <= 3, "{}", log.log.count(Operation::Append));
    assert!(log.log.count(Operation::Sync) <= 3, "{}", log.log.count(Operation::Sync));
}

#[test]
fn a_bad_batch_fails_alone() {
    let (log, writer) = start(SyncPolicy::Always, 16 << 20);
    let held = hold(&log, &writer);
    let ghost = Batch { lane: LaneId(9), ..owned(b"").remove(0) };
    let mut half = owned(b"half of a pair");
    half.extend(owned_if(0, b"the bad half"));
    let submissions = vec![
        owned_if(1, b"1"),
        owned_if(1, b"a zombie"),
        owned(&vec![0; PAYLOAD_BYTES_MAX + 1]),
        vec![ghost],
        half,
        owned_if(2, b"2"),
    ];
    let waiting: Vec<Pending> = submissions.into_iter().map(|own| writer.submit(own)).collect();
    log.set_open(true);
    held.wait().expect("appended");
    let outcomes: Vec<_> = waiting.into_iter().map(Pending::wait).collect();
    assert!(matches!(outcomes[0].as_deref(), Ok([1])));
    assert!(matches!(outcomes[1], Err(LogError::Conflict { expected: 1, next: 2, .. })));
    assert!(matches!(outcomes[2], Err(LogError::TooLarge { .. })));
    assert!(matches!(outcomes[3], Err(LogError::UnknownLane(9))));
    assert!(matches!(outcomes[4], Err(LogError::Conflict { expected: 0, .. })));
    assert!(matches!(outcomes[5].as_deref(), Ok([2])));
    assert_eq!(texts(&*log, LANE), ["held", "1", "2"]);
}

#[test]
fn with_always_what_is_acknowledged_is_synced() {
    let (log, writer) = start(SyncPolicy::Always, 1 << 20);
    for number in 0..20 {
        assert_eq!(writer.submit(owned(b"x")).wait().expect("appended"), [number]);
        let survivor = log.log.power_cut(0, MemoryLog::default()).expect("an empty log");
        assert_eq!(survivor.range(LANE).expect("a range").end, number + 1);
    }
}

#[test]
fn with_os_nothing_is_synced_before_the_end() {
    let (log, writer) = start(SyncPolicy::Os, 1 << 20);
    for _ in 0..20 {
        writer.submit(owned(b"x")).wait().expect("appended");
    }
    assert_eq!(log.log.count(Operation::Sync), 0);
    writer.close().expect("the log syncs");
    assert_eq!(log.log.unsynced(), 0);
}

#[test]
fn with_an_interval_a_sync_follows_without_another_submission() {
    let (log, writer) = start(SyncPolicy::Interval(Duration::from_millis(10)), 1 << 20);
    writer.submit(owned(b"x")).wait().expect("appended");
    until(|| log.log.unsynced() == 0);
    pause(100);
    assert_eq!(log.log.count(Operation::Sync), 1, "there was nothing more to sync");
    writer.submit(owned(b"x")).wait().expect("appended");
    until(|| log.log.count(Operation::Sync) == 2);
}

#[test]
fn with_an_interval_syncs_come_under_load_too_and_far_fewer_than_appends() {
    let (log, writer) = start(SyncPolicy::Interval(Duration::from_millis(10)), 1 << 20);
    while log.log.count(Operation::Sync) < 5 {
        for _ in 0..100 {
            writer.submit(owned(b"x")).wait().expect("appended");
        }
    }
    let (syncs, appends) = (log.log.count(Operation::Sync), log.log.count(Operation::Append));
    assert!(syncs * 10 < appends, "{syncs} syncs, {appends} appends");
}

#[test]
fn a_failed_append_fails_its_callers_and_no_other() {
    let (log, writer) = start(SyncPolicy::Always, 1 << 20);
    log.log.fill(2);
    writer.submit(owned(b"0")).wait().expect("appended");
    let held = hold(&log, &writer);
    pause(20);
    let waiting: Vec<Pending> = (0..3).map(|_| writer.submit(owned(b"lost"))).collect();
    log.set_open(true);
    for pending in waiting.into_iter().chain([held]) {
        let LogError::Io(error) = pending.wait().expect_err("the disk is full") else {
            panic!("not of the disk")
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
    log.log.free();
    assert_eq!(writer.submit(owned(b"1")).wait().expect("appended"), [1]);
    assert_eq!(texts(&*log, LANE), ["0", "1"]);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    for sync in [SyncPolicy::Always, SyncPolicy::Interval(Duration::from_millis(1))] {
        let (log, writer) = start(sync, 1 << 20);
        log.log.fail(Operation::Sync, 1);
        let first = writer.submit(owned(b"x")).wait();
        assert_eq!(first.is_err(), sync == SyncPolicy::Always);
        until(|| log.log.count(Operation::Sync) == 1);
        until(|| writer.submit(owned(b"y")).wait().is_err());
        let appended = log.range(LANE).expect("a range");
        writer.submit(owned(b"z")).wait().expect_err("a sync failed");
        assert_eq!(log.range(LANE).expect("a range"), appended);
        writer.close().expect_err("a sync failed");
    }
}

#[test]
fn without_credit_a_submission_waits_or_comes_back() {
    let (log, writer) = start(SyncPolicy::Os, 1_000);
    let large = owned(&[0; 5_000]);
    let alone = writer.submit(large.clone());
    assert_eq!(alone.wait().expect("alone, it may be larger"), [0]);
    until(|| writer.try_submit(owned(b"")).is_ok());
    let held = hold(&log, &writer);
    let half = owned(&[0; 600]);
    let second = until_ok(|| writer.try_submit(half.clone()).map_err(drop));
    assert_eq!(writer.try_submit(half.clone()).expect_err("no credit"), half);
    assert_eq!(writer.try_submit(large.clone()).expect_err("no credit"), large);
    let waited = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let third = writer.submit(half.clone());
            waited.store(true, Ordering::Relaxed);
            third.wait().expect("appended in the end");
        });
        pause(50);
        assert!(!waited.load(Ordering::Relaxed), "the third one did not wait for credit");
        log.set_open(true);
    });
    held.wait().expect("appended");
    second.wait().expect("appended");
}

fn until_ok<T>(mut work: impl FnMut() -> Result<T, ()>) -> T {
    for _ in 0..2_000 {
        if let Ok(done) = work() {
            return done;
        }
        pause(5);
    }
    panic!("that never came");
}

#[test]
fn closing_and_dropping_finish_what_waits() {
    for close in [true, false] {
        let (log, writer) = start(SyncPolicy::Interval(Duration::from_secs(3600)), 1 << 20);
        let held = hold(&log, &writer);
        let waiting: Vec<Pending> = (0..20).map(|_| writer.submit(owned(b"x"))).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                if close {
                    writer.close().expect("the log syncs");
                } else {
                    drop(writer);
                }
            });
            pause(20);
            log.set_open(true);
        });
        held.wait().expect("appended");
        for pending in waiting {
            pending.wait().expect("appended");
        }
        assert_eq!(log.range(LANE).expect("a range"), 0..21);
        assert_eq!(log.log.unsynced(), 0);
    }
}

#[test]
fn nobody_waits_for_a_writer_that_panicked() {
    let (log, writer) = start(SyncPolicy::Always, 1_000);
    log.panics.store(true, Ordering::Relaxed);
    let held = hold(&log, &writer);
    let waiting = writer.submit(owned(&[0; 600]));
    log.set_open(true);
    held.wait().expect_err("the writer is gone");
    waiting.wait().expect_err("the writer is gone");
    for _ in 0..10 {
        writer.submit(owned(&[0; 600])).wait().expect_err("the writer is gone");
    }
    writer.close().expect_err("the writer panicked");
}

/// Submissions of up to three batches over two lanes and one that is not there.
fn submissions() -> impl Strategy<Value = Vec<Vec<Batch>>> {
    let expected = prop_oneof![3 => Just(None), 1 => (0..6_u64).prop_map(Some)];
    let batch = (0..9_u32, expected, any::<i64>(), prop::collection::vec(any::<u8>(), 0..8));
    let batch = batch.prop_map(|(lane, expected, stamp, payload)| Batch {
        lane: LaneId(lane / 4),
        expected,
        stamp: Timestamp::from_millis_unchecked(stamp),
        payload,
    });
    prop::collection::vec(prop::collection::vec(batch, 0..4), 0..12)
}

proptest! {
    #[test]
    fn a_group_does_what_single_appends_do(submissions in submissions(), held: bool) {
        let (log, writer) = start(SyncPolicy::Always, 1 << 20);
        let alone = MemoryLog::default();
        alone.lane("a").expect("a lane");
        for log in [&*log as &dyn Log, &alone] {
            log.lane("b").expect("a lane");
        }
        log.set_open(!held);
        let pending: Vec<_> = submissions.iter().map(|own| writer.submit(own.clone())).collect();
        log.set_open(true);
        for (pending, submission) in pending.into_iter().zip(&submissions) {
            let appends: Vec<_> = submission.iter().map(Batch::as_append).collect();
            let (outcome, expected) = (pending.wait(), alone.append(&appends));
            prop_assert_eq!(outcome.map_err(|e| e.to_string()), expected.map_err(|e| e.to_string()));
        }
        for lane in [LANE, LaneId(1)] {
            let read = |log: &dyn Log| log.read(lane, 0, usize::MAX).expect("a lane");
            prop_assert_eq!(read(&*log), read(&alone));
        }
    }
}
