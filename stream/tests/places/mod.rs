//! Where logs live, so that one suite can run over every implementation.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::sync::Arc;

use dunlin_stream::Timestamp;
use dunlin_stream::log::{
    Append, Entry, FaultyLog, LaneId, LocalLog, LocalOptions, Log, LogError, MemoryLog,
};
use tempfile::TempDir;

/// A place that keeps one log.
pub(crate) trait Place: Default {
    /// The log, opened for the first time.
    fn open(&mut self) -> Box<dyn Log>;

    /// The log after it was closed and opened again; the same one where nothing outlives closing.
    fn reopen(&mut self, log: Box<dyn Log>) -> Box<dyn Log>;
}

#[derive(Default)]
pub(crate) struct Memory;

impl Place for Memory {
    fn open(&mut self) -> Box<dyn Log> {
        Box::new(MemoryLog::default())
    }

    fn reopen(&mut self, log: Box<dyn Log>) -> Box<dyn Log> {
        log
    }
}

/// A log that could fail but is not asked to; reopened, it is what a power cut leaves after a sync.
#[derive(Default)]
pub(crate) struct Faulty(Option<Arc<FaultyLog<MemoryLog>>>);

impl Place for Faulty {
    fn open(&mut self) -> Box<dyn Log> {
        let log = self.0.insert(Arc::default());
        Box::new(Arc::clone(log))
    }

    fn reopen(&mut self, log: Box<dyn Log>) -> Box<dyn Log> {
        log.sync().expect("no fault was ordered");
        let log = self.0.take().expect("it was opened");
        let survivor = log.power_cut(0, FaultyLog::default()).expect("an empty log");
        Box::new(Arc::clone(self.0.insert(Arc::new(survivor))))
    }
}

/// A folder, for as long as the value lives.
pub(crate) struct Local {
    folder: TempDir,
    options: LocalOptions,
}

impl Default for Local {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, options: LocalOptions::default() }
    }
}

impl Place for Local {
    fn open(&mut self) -> Box<dyn Log> {
        let log = LocalLog::open(self.folder.path(), &self.options);
        Box::new(log.expect("the folder can be opened"))
    }

    fn reopen(&mut self, log: Box<dyn Log>) -> Box<dyn Log> {
        drop(log);
        self.open()
    }
}

/// A folder with a log that writes tables, copies and frees all the time.
pub(crate) struct Tiny(Local);

impl Default for Tiny {
    fn default() -> Self {
        Self(Local { options: tiny(), ..Local::default() })
    }
}

impl Place for Tiny {
    fn open(&mut self) -> Box<dyn Log> {
        self.0.open()
    }

    fn reopen(&mut self, log: Box<dyn Log>) -> Box<dyn Log> {
        self.0.reopen(log)
    }
}

/// Options under which a few hundred bytes are much.
pub(crate) fn tiny() -> LocalOptions {
    let mut options = LocalOptions::default();
    (options.memtable_bytes, options.cache_bytes, options.reclaim_bytes) = (800, 0, 100);
    options
}

/// A batch without a condition.
pub(crate) fn batch(lane: LaneId, stamp: i64, payload: &[u8]) -> Append<'_> {
    let stamp = Timestamp::from_millis_unchecked(stamp);
    Append { lane, expected: None, stamp, payload }
}

/// A batch that wants to be number `expected`.
pub(crate) fn batch_if(lane: LaneId, expected: u64, payload: &[u8]) -> Append<'_> {
    Append { expected: Some(expected), ..batch(lane, 0, payload) }
}

/// Appends payloads to a lane, each by a call of its own, and returns their numbers.
pub(crate) fn append_each(log: &dyn Log, lane: LaneId, payloads: &[&[u8]]) -> Vec<u64> {
    let append = |payload: &&[u8]| log.append(&[batch(lane, 0, payload)]).expect("the log appends");
    payloads.iter().flat_map(append).collect()
}

/// All that a lane holds, read in pieces of at most `bytes_max` bytes.
pub(crate) fn read_all(
    log: &dyn Log,
    lane: LaneId,
    bytes_max: usize,
) -> Result<Vec<Entry>, LogError> {
    let mut from = log.range(lane)?.start;
    let mut all = Vec::new();
    loop {
        let read = log.read(lane, from, bytes_max)?;
        let Some(last) = read.last() else { return Ok(all) };
        from = last.sequence + 1;
        all.extend(read);
    }
}

/// The payloads of a lane, as text.
pub(crate) fn texts(log: &dyn Log, lane: LaneId) -> Vec<String> {
    let all = read_all(log, lane, usize::MAX).expect("the lane can be read");
    all.iter().map(|entry| String::from_utf8_lossy(&entry.payload).into_owned()).collect()
}
