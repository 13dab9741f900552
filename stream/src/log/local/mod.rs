//! The log on local files.
//!
//! Under it lies an LSM tree with a write-ahead journal (fjall). All lanes make one sequence of
//! records, keyed by their position in bytes; an index leads from a lane's numbers to positions.
//!
//! ```text
//! position    0          70         95               low                        end
//! records     [a 0       |b 0       |a 1 ....        |b 9       |a 57 ....       |
//!             `--------- let go -------------'       `---- on disk, in order ---'
//! ```
//!
//! *A prefix.* Records end where the next begins, so a lost one is a gap in the positions: what lies
//! above it is cut at open (`recover.rs`). An append is one write batch of the journal: all or none.
//!
//! *Cost.* A batch is written twice, to the journal and when its table is written out; positions
//! only grow, so tables are never merged. What is let go goes table by table (`retain.rs`).

mod archive;
mod journal;
mod record;
mod recover;
mod retain;
mod store;
mod verify;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use self::record::{HEADER_BYTES, Record};
use self::retain::Retention;
use self::store::{Mark, Place, Store};
use super::numbers::numbers;
use super::{Append, Entry, LaneId, Log, LogError};

/// How much memory a [`LocalLog`] takes, and how it frees the disk.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocalOptions {
    /// Batches are collected in memory up to this many bytes and then written out as one table; up
    /// to five times as many stay in memory. More: fewer and larger files, fewer stalls. Counts
    /// when the folder is made.
    pub memtable_bytes: u64,
    /// Bytes of read blocks that are kept in memory. More: faster reading of small batches again.
    pub cache_bytes: u64,
    /// The disk is freed in steps of this many bytes. Less: freed sooner, at one sync a step.
    pub reclaim_bytes: u64,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self { memtable_bytes: 8 << 20, cache_bytes: 1 << 20, reclaim_bytes: 8 << 20 }
    }
}

/// Lanes in the files of one folder. Only one process at a time has it open.
///
/// A lane's name has 1024 bytes at most.
///
/// After an append that failed with [`LogError::Io`] the log takes nothing more: drop it
/// and open it again. Whether the batches of that append are there then is not known before.
///
/// ```
/// use dunlin_stream::Timestamp;
/// use dunlin_stream::log::{Append, LocalLog, LocalOptions, Log};
///
/// let folder = tempfile::tempdir()?;
/// let log = LocalLog::open(folder.path(), &LocalOptions::default())?;
/// let lane = log.lane("positions/0")?;
/// let stamp = Timestamp::from_millis_unchecked(20);
/// log.append(&[Append { lane, expected: Some(0), stamp, payload: b"a batch" }])?;
/// log.sync()?;
/// drop(log);
///
/// let log = LocalLog::open(folder.path(), &LocalOptions::default())?;
/// assert_eq!(log.read(log.lane("positions/0")?, 0, 1 << 20)?[0].payload[..], *b"a batch");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalLog {
    store: Store,
    /// Who appends; taken before `lanes`.
    writer: Mutex<()>,
    lanes: Mutex<Lanes>,
    /// Who lets go; taken before `lanes`.
    retention: Mutex<Retention>,
    reclaim_bytes: u64,
}

/// What readers may see: changed when it is in the store.
#[derive(Debug, Default)]
struct Lanes {
    by_name: BTreeMap<String, LaneId>,
    lanes: BTreeMap<LaneId, Lane>,
    /// The position of the next record.
    end: u64,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    first: u64,
    next: u64,
    /// The first number whose record is not in `kept`.
    front: u64,
    /// Where that record lies, or [`NOWHERE`] while it is still to come.
    front_position: u64,
}

const NOWHERE: u64 = u64::MAX;
/// The database's keys have an end.
const NAME_BYTES_MAX: usize = 1024;

impl Lane {
    fn empty(first: u64) -> Self {
        Self { first, next: first, front: first, front_position: NOWHERE }
    }
}

impl Lanes {
    fn lane(&self, lane: LaneId) -> Result<&Lane, LogError> {
        self.lanes.get(&lane).ok_or(LogError::UnknownLane(lane.0))
    }

    fn lane_mut(&mut self, lane: LaneId) -> Result<&mut Lane, LogError> {
        self.lanes.get_mut(&lane).ok_or(LogError::UnknownLane(lane.0))
    }

    /// Lets readers see a batch.
    fn publish(&mut self, lane: LaneId, sequence: u64, place: Place) -> Result<(), LogError> {
        self.end = place.position + u64::from(place.len);
        let lane = self.lane_mut(lane)?;
        lane.next = sequence + 1;
        if lane.front == sequence {
            lane.front_position = place.position;
        }
        Ok(())
    }
}

/// Nothing in here panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LocalLog {
    /// Opens the log of a folder, a new one if there is none. A tail that was not written as a whole
    /// is cut, and so is everything behind a gap.
    ///
    /// # Errors
    /// [`LogError::Io`]: [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) if it is open elsewhere,
    /// [`InvalidData`](std::io::ErrorKind::InvalidData) if the files are damaged beyond that.
    pub fn open(path: impl AsRef<Path>, options: &LocalOptions) -> Result<Self, LogError> {
        let (store, lanes, low) = recover::open(path.as_ref(), options)?;
        let retention = Mutex::new(Retention { low, sparse_since: None });
        let (writer, lanes) = (Mutex::default(), Mutex::new(lanes));
        Ok(Self { store, writer, lanes, retention, reclaim_bytes: options.reclaim_bytes })
    }

    /// The numbers of a lane, if `from` is not below them.
    fn from(&self, lane: LaneId, from: u64) -> Result<Range<u64>, LogError> {
        let Range { start: first, end } = self.range(lane)?;
        if from < first {
            return Err(LogError::Truncated { lane: lane.0, from, first });
        }
        Ok(from..end.max(from))
    }

    /// Reads one batch whose place is known, unless it was let go meanwhile.
    fn entry(&self, lane: LaneId, sequence: u64, place: Place) -> Result<Entry, LogError> {
        let damaged = |what| LogError::Damaged { lane: lane.0, sequence, what };
        let bytes = self.store.record(place.position)?;
        let bytes = bytes.ok_or_else(|| damaged("it is not in its place"))?;
        let record = Record::decode(place.position, &bytes).map_err(damaged)?;
        if (record.lane, record.sequence) != (lane, sequence) {
            return Err(damaged("another batch is in its place"));
        }
        let Record { stamp, .. } = record;
        // The bytes that the store has, not a copy.
        let payload = Bytes::from(bytes).slice(HEADER_BYTES..);
        Ok(Entry { sequence, stamp, payload })
    }

    fn read_numbers(
        &self,
        lane: LaneId,
        numbers: Range<u64>,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, LogError> {
        let (mut bytes, mut read) = (0, Vec::new());
        let mut places = self.store.places(lane, numbers.clone());
        for sequence in numbers {
            let place = match places.next().transpose()? {
                Some((number, place)) if number == sequence => place,
                _ => {
                    let what = "its place is not known";
                    return Err(LogError::Damaged { lane: lane.0, sequence, what });
                }
            };
            bytes += (place.len as usize).saturating_sub(HEADER_BYTES);
            if bytes > bytes_max && !read.is_empty() {
                break;
            }
            read.push(self.entry(lane, sequence, place)?);
        }
        Ok(read)
    }
}

impl Log for LocalLog {
    fn lane(&self, name: &str) -> Result<LaneId, LogError> {
        if name.len() > NAME_BYTES_MAX {
            let what = format!("a lane's name of {} bytes; {NAME_BYTES_MAX} at most", name.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what).into());
        }
        let _writer = lock(&self.writer);
        let known = lock(&self.lanes);
        if let Some(&lane) = known.by_name.get(name) {
            return Ok(lane);
        }
        let lane = LaneId(known.lanes.last_key_value().map_or(0, |(last, _)| last.0 + 1));
        drop(known);
        let mut batch = self.store.batch();
        self.store.put_mark(&mut batch, Mark::Name(name), u64::from(lane.0));
        Store::commit(batch)?;
        self.store.keep_marks()?;
        let mut lanes = lock(&self.lanes);
        lanes.by_name.insert(name.to_owned(), lane);
        lanes.lanes.insert(lane, Lane::empty(0));
        Ok(lane)
    }

    fn append(&self, batches: &[Append<'_>]) -> Result<Vec<u64>, LogError> {
        let _writer = lock(&self.writer);
        let known = lock(&self.lanes);
        let numbers = numbers(batches, |lane| Ok(known.lane(lane)?.next))?;
        let mut position = known.end;
        drop(known);
        let (mut batch, mut places) = (self.store.batch(), Vec::with_capacity(batches.len()));
        for (&Append { lane, stamp, payload, .. }, &sequence) in batches.iter().zip(&numbers) {
            let bytes = Record { lane, sequence, stamp, payload }.encode(position);
            let len = u32::try_from(bytes.len()).expect("a payload is 1 MiB at most");
            let place = Place { position, len };
            batch.insert(&self.store.records, position.to_be_bytes(), bytes);
            self.store.put_place(&mut batch, (lane, sequence), place);
            places.push(place);
            position += u64::from(len);
        }
        Store::commit(batch)?;
        let mut lanes = lock(&self.lanes);
        for ((batch, &sequence), &place) in batches.iter().zip(&numbers).zip(&places) {
            lanes.publish(batch.lane, sequence, place)?;
        }
        Ok(numbers)
    }

    fn read(&self, lane: LaneId, from: u64, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        let read = self.read_numbers(lane, self.from(lane, from)?, bytes_max);
        if matches!(read, Err(LogError::Damaged { .. })) {
            // Was it let go while we read? Then it is not damaged, but truncated.
            self.from(lane, from)?;
        }
        read
    }

    fn range(&self, lane: LaneId) -> Result<Range<u64>, LogError> {
        let lanes = lock(&self.lanes);
        let lane = lanes.lane(lane)?;
        Ok(lane.first..lane.next)
    }

    fn truncate(&self, lane: LaneId, below: u64) -> Result<(), LogError> {
        let mut retention = lock(&self.retention);
        self.let_go(lane, below)?;
        self.reclaim(&mut retention)
    }

    fn sync(&self) -> Result<(), LogError> {
        self.store.sync()
    }
}
