//! A log that fails on demand: for tests.
//!
//! It fails the operation that it is told to, reports a full disk, and remembers what was asked of
//! it, so that a power cut can be played: of what was not synced, only a beginning survives.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Append, Batch, Entry, LaneId, Log, LogError};

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// [`Log::lane`].
    Lane,
    /// [`Log::append`].
    Append,
    /// [`Log::read`].
    Read,
    /// [`Log::truncate`].
    Truncate,
    /// [`Log::sync`].
    Sync,
}

/// A log over an empty one that fails on demand. **For tests**: it keeps all that it was ever given.
///
/// ```
/// use dunlin_stream::Timestamp;
/// use dunlin_stream::log::{Append, FaultyLog, Log, MemoryLog, Operation};
///
/// let log = FaultyLog::new(MemoryLog::default());
/// let lane = log.lane("a")?;
/// let stamp = Timestamp::from_millis_unchecked(0);
/// let batch = [Append { lane, expected: None, stamp, payload: b"" }];
/// log.append(&batch)?;
/// log.sync()?;
/// log.fail(Operation::Append, 2);
/// log.append(&batch)?;
/// assert!(log.append(&batch).is_err());
///
/// let survivor = log.power_cut(0, MemoryLog::default())?; // nothing that was not synced
/// assert_eq!(survivor.range(lane)?, 0..1);
/// # Ok::<(), dunlin_stream::log::LogError>(())
/// ```
#[derive(Debug, Default)]
pub struct FaultyLog<L> {
    log: L,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<Operation, u64>,
    faults: BTreeSet<(Operation, u64)>,
    full_from: Option<u64>,
    history: Vec<Change>,
    /// How much of the history was synced.
    synced: usize,
}

/// What changed the log.
#[derive(Debug)]
enum Change {
    Lane(String),
    Append(Vec<Batch>),
    Truncate { lane: LaneId, below: u64 },
}

impl<L: Log> FaultyLog<L> {
    /// Wraps an empty log.
    pub fn new(log: L) -> Self {
        Self { log, state: Mutex::default() }
    }

    /// Fails the n-th such operation from now on, once: 1 is the next one. Nothing of it is done.
    pub fn fail(&self, operation: Operation, nth: u64) {
        let mut state = self.state();
        let at = state.count(operation) + nth;
        state.faults.insert((operation, at));
    }

    /// From the n-th append from now on the disk is full: appends fail with
    /// [`StorageFull`](io::ErrorKind::StorageFull) until [`free`](Self::free).
    pub fn fill(&self, nth: u64) {
        let mut state = self.state();
        state.full_from = Some(state.count(Operation::Append) + nth);
    }

    /// Ends what [`fill`](Self::fill) began.
    pub fn free(&self) {
        self.state().full_from = None;
    }

    /// How often an operation was asked for, in vain or not.
    pub fn count(&self, operation: Operation) -> u64 {
        self.state().count(operation)
    }

    /// How many append calls were not synced yet.
    pub fn unsynced(&self) -> usize {
        let state = self.state();
        let changes = &state.history[state.synced..];
        changes.iter().filter(|change| matches!(change, Change::Append(_))).count()
    }

    /// What a power cut leaves, written to an empty log: all that was synced, and of what was not
    /// the first `keep` append calls, with whatever else was done before the next one.
    ///
    /// # Errors
    /// What the empty log says.
    pub fn power_cut<M: Log>(&self, keep: usize, empty: M) -> Result<M, LogError> {
        let state = self.state();
        let mut lost = 0;
        for (index, change) in state.history.iter().enumerate() {
            if index >= state.synced && matches!(change, Change::Append(_)) {
                lost += 1;
                if lost > keep {
                    break;
                }
            }
            change.replay(&empty)?;
        }
        Ok(empty)
    }

    /// The log below.
    pub fn inner(&self) -> &L {
        &self.log
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked is over.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation, does it unless it is to fail, and remembers the change.
    fn run<T>(
        &self,
        operation: Operation,
        change: impl FnOnce() -> Option<Change>,
        work: impl FnOnce(&L) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let mut state = self.state();
        state.check(operation)?;
        let done = work(&self.log)?;
        state.history.extend(change());
        if operation == Operation::Sync {
            state.synced = state.history.len();
        }
        Ok(done)
    }
}

impl State {
    fn count(&self, operation: Operation) -> u64 {
        self.counts.get(&operation).copied().unwrap_or(0)
    }

    fn check(&mut self, operation: Operation) -> Result<(), LogError> {
        let count = self.counts.entry(operation).or_insert(0);
        *count += 1;
        if operation == Operation::Append && self.full_from.is_some_and(|from| *count >= from) {
            return Err(io::Error::from(io::ErrorKind::StorageFull).into());
        }
        if self.faults.remove(&(operation, *count)) {
            return Err(io::Error::other(format!("{operation:?} {count} fails on demand")).into());
        }
        Ok(())
    }
}

impl Change {
    fn replay(&self, log: &impl Log) -> Result<(), LogError> {
        match self {
            Change::Lane(name) => drop(log.lane(name)?),
            Change::Append(batches) => {
                let appends: Vec<Append<'_>> = batches.iter().map(Batch::as_append).collect();
                drop(log.append(&appends)?);
            }
            &Change::Truncate { lane, below } => log.truncate(lane, below)?,
        }
        Ok(())
    }
}

impl<L: Log> Log for FaultyLog<L> {
    fn lane(&self, name: &str) -> Result<LaneId, LogError> {
        let change = || Some(Change::Lane(name.to_owned()));
        self.run(Operation::Lane, change, |log| log.lane(name))
    }

    fn append(&self, batches: &[Append<'_>]) -> Result<Vec<u64>, LogError> {
        let change = || Some(Change::Append(batches.iter().map(Batch::from).collect()));
        self.run(Operation::Append, change, |log| log.append(batches))
    }

    fn read(&self, lane: LaneId, from: u64, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        self.run(Operation::Read, || None, |log| log.read(lane, from, bytes_max))
    }

    fn range(&self, lane: LaneId) -> Result<Range<u64>, LogError> {
        self.log.range(lane)
    }

    fn truncate(&self, lane: LaneId, below: u64) -> Result<(), LogError> {
        let change = || Some(Change::Truncate { lane, below });
        self.run(Operation::Truncate, change, |log| log.truncate(lane, below))
    }

    fn sync(&self) -> Result<(), LogError> {
        self.run(Operation::Sync, || None, L::sync)
    }
}
