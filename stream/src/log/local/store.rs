//! The database under the log: its tables, their keys, and its errors in our words.
//!
//! ```text
//! records   position                          -> record        everything, in order
//! kept      position                          -> record        copies of what outlives its time
//! index     lane, sequence                    -> place (position, length)
//! marks     v | l | n name | f lane           -> format | low | lane | first number
//! ```
//!
//! Integers are big endian, so that the order of keys is the order of numbers. One journal carries
//! all tables, and a write batch is in it as a whole or not at all.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fjall::config::{BlockSizePolicy, CompressionPolicy, FilterPolicy};
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch,
    PersistMode, Slice,
};

use super::{LocalOptions, verify};
use crate::log::{LaneId, LogError};

/// Blocks of about this size are read and checked at once; a larger record is a block of its own.
const BLOCK_BYTES: u32 = 32 * 1024;
/// The least that the database allows: behind it, tables that pin an old journal are written out.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its first byte, counted over the whole log.
    pub(super) position: u64,
    /// Its length in bytes.
    pub(super) len: u32,
}

/// What is known by a name of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark<'a> {
    /// The version of all this.
    Format,
    /// Below this position, `records` is not needed.
    Low,
    /// The lane of a name.
    Name(&'a str),
    /// The first number of a lane.
    First(LaneId),
}

pub(super) struct Store {
    database: Database,
    folder: PathBuf,
    /// The files of the journals; a file that stays open hears of every failure to write it.
    journals: Mutex<BTreeMap<PathBuf, File>>,
    pub(super) records: Keyspace,
    pub(super) kept: Keyspace,
    pub(super) index: Keyspace,
    pub(super) marks: Keyspace,
}

impl Mark<'_> {
    fn key(self) -> Vec<u8> {
        match self {
            Mark::Format => vec![b'v'],
            Mark::Low => vec![b'l'],
            Mark::Name(name) => [b"n", name.as_bytes()].concat(),
            Mark::First(LaneId(lane)) => [b"f".as_slice(), &lane.to_be_bytes()].concat(),
        }
    }
}

impl Place {
    fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.position.to_be_bytes());
        bytes[8..].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, LogError> {
        let (position, len) = bytes.split_first_chunk().ok_or_else(|| damaged("a place"))?;
        Ok(Self { position: u64::from_be_bytes(*position), len: u32::from_be_bytes(array(len)?) })
    }
}

/// The key of a batch in the index.
pub(super) fn index_key(lane: LaneId, sequence: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&lane.0.to_be_bytes());
    key[4..].copy_from_slice(&sequence.to_be_bytes());
    key
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], LogError> {
    bytes.try_into().map_err(|_| damaged("a number"))
}

fn index_key_of(key: &[u8]) -> Result<(LaneId, u64), LogError> {
    let (lane, sequence) = key.split_first_chunk().ok_or_else(|| damaged("a key"))?;
    Ok((LaneId(u32::from_be_bytes(*lane)), u64::from_be_bytes(array(sequence)?)))
}

impl Store {
    /// Opens the database of a folder, a new one if there is none.
    pub(super) fn open(path: &Path, options: &LocalOptions) -> Result<Self, LogError> {
        // What is damaged still may meet an assertion of the database.
        catch_unwind(AssertUnwindSafe(|| Self::open_unguarded(path, options)))
            .unwrap_or_else(|panic| Err(damaged(&panic_message(&*panic))))
    }

    fn open_unguarded(path: &Path, options: &LocalOptions) -> Result<Self, LogError> {
        let database = Database::builder(path)
            .cache_size(options.cache_bytes)
            .journal_compression(CompressionType::None)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(2)
            .open()
            .map_err(error)?;
        let table = |name, memtable_bytes| {
            let create = || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(memtable_bytes)
                    .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
                    // What is looked for is there.
                    .filter_policy(FilterPolicy::disabled())
                    .data_block_compression_policy(CompressionPolicy::disabled())
            };
            database.keyspace(name, create).map_err(error)
        };
        let records = table("records", options.memtable_bytes)?;
        let kept = table("kept", options.memtable_bytes)?;
        let index = table("index", options.memtable_bytes / 4)?;
        let marks = table("marks", options.memtable_bytes / 4)?;
        let (folder, journals) = (path.to_owned(), Mutex::default());
        Ok(Self { database, folder, journals, records, kept, index, marks })
    }

    pub(super) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch()
    }

    /// Hands a batch to the operating system, all or nothing.
    pub(super) fn commit(batch: OwnedWriteBatch) -> Result<(), LogError> {
        batch.durability(Some(PersistMode::Buffer)).commit().map_err(error)
    }

    /// Writes the marks out as a table: what they say does not hang on a journal any more, of which
    /// a damaged bit takes away all that follows. They are few and seldom new.
    pub(super) fn keep_marks(&self) -> Result<(), LogError> {
        self.marks.rotate_memtable_and_wait().map_err(error)
    }

    /// Returns when all that was committed is on stable storage. A commit hands its bytes to the
    /// operating system, so the journals' files are synced and not the database, which would hold up
    /// commits meanwhile.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        let mut known = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut journals = BTreeMap::new();
        for path in verify::journals(&self.folder)? {
            let file = match known.remove(&path) {
                Some(file) => file,
                None => match File::open(&path) {
                    Ok(file) => file,
                    // All that was in it has come to lie in tables.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error.into()),
                },
            };
            file.sync_data()?;
            journals.insert(path, file);
        }
        *known = journals;
        Ok(())
    }

    pub(super) fn put_mark(&self, batch: &mut OwnedWriteBatch, mark: Mark<'_>, value: u64) {
        batch.insert(&self.marks, mark.key(), value.to_be_bytes());
    }

    pub(super) fn mark(&self, mark: Mark<'_>) -> Result<Option<u64>, LogError> {
        let value = self.marks.get(mark.key()).map_err(error)?;
        value.map(|value| Ok(u64::from_be_bytes(array(&value)?))).transpose()
    }

    /// All names with their lanes.
    pub(super) fn names(&self) -> Result<Vec<(String, LaneId)>, LogError> {
        let pair = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner().map_err(error)?;
            let name = std::str::from_utf8(&key[1..]).map_err(|_| damaged("a name"))?.to_owned();
            let lane = u32::try_from(u64::from_be_bytes(array(&value)?));
            Ok((name, LaneId(lane.map_err(|_| damaged("a lane"))?)))
        };
        self.marks.prefix(b"n").map(pair).collect()
    }

    pub(super) fn put_place(
        &self,
        batch: &mut OwnedWriteBatch,
        (lane, sequence): (LaneId, u64),
        place: Place,
    ) {
        batch.insert(&self.index, index_key(lane, sequence), place.to_bytes());
    }

    pub(super) fn place(&self, lane: LaneId, sequence: u64) -> Result<Option<Place>, LogError> {
        let value = self.index.get(index_key(lane, sequence)).map_err(error)?;
        value.map(|value| Place::from_bytes(&value)).transpose()
    }

    /// The places of a lane's batches of these numbers, in order, as far as they are known.
    pub(super) fn places(
        &self,
        lane: LaneId,
        numbers: Range<u64>,
    ) -> impl DoubleEndedIterator<Item = Result<(u64, Place), LogError>> + use<> {
        let end = numbers.end.max(numbers.start);
        let keys = index_key(lane, numbers.start)..index_key(lane, end);
        self.index.range(keys).map(|guard| {
            let (key, value) = guard.into_inner().map_err(error)?;
            Ok((index_key_of(&key)?.1, Place::from_bytes(&value)?))
        })
    }

    /// The place of the last batch of a lane, as far as it is known.
    pub(super) fn last_place(&self, lane: LaneId) -> Result<Option<Place>, LogError> {
        let last = self.places(lane, 0..u64::MAX).next_back().transpose()?;
        Ok(last.map(|(_, place)| place))
    }

    /// The bytes of the record at a position.
    pub(super) fn record(&self, position: u64) -> Result<Option<Slice>, LogError> {
        let key = position.to_be_bytes();
        match self.records.get(key).map_err(error)? {
            Some(bytes) => Ok(Some(bytes)),
            // It may have been copied just now: then the copy is there before the record goes.
            None => self.kept.get(key).map_err(error),
        }
    }

    /// The records from a position on, in order.
    pub(super) fn records_from(
        &self,
        position: u64,
    ) -> impl DoubleEndedIterator<Item = Result<(u64, Slice), LogError>> + use<> {
        self.records.range(position.to_be_bytes()..).map(record_pair)
    }

    /// The last record before a position.
    pub(super) fn record_before(&self, position: u64) -> Result<Option<(u64, Slice)>, LogError> {
        let before = self.records.range(..position.to_be_bytes()).next_back();
        before.map(record_pair).transpose()
    }

    /// Frees the files of `records` that hold nothing from a position on.
    pub(super) fn drop_below(&self, position: u64) -> Result<(), LogError> {
        // Not in the documented face of the database, but of its storage, lsm-tree.
        self.records.tree.drop_range(..position.to_be_bytes()).map_err(|e| error(e.into()))
    }
}

fn record_pair(guard: fjall::Guard) -> Result<(u64, Slice), LogError> {
    let (key, value) = guard.into_inner().map_err(error)?;
    Ok((u64::from_be_bytes(array(&key)?), value))
}

/// An error of the database, with the kind that fits and in words that say what to do.
pub(super) fn error(error: fjall::Error) -> LogError {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => error.into(),
        fjall::Error::Locked => open_elsewhere(),
        fjall::Error::Poisoned => {
            let what = "an earlier write failed; the log takes no more until it is opened again";
            io::Error::other(what).into()
        }
        other => damaged(&other.to_string()),
    }
}

/// Somebody has the files open.
pub(super) fn open_elsewhere() -> LogError {
    let what = "the log is open elsewhere; two cannot write it";
    io::Error::new(io::ErrorKind::ResourceBusy, what).into()
}

/// The files are not what was written.
pub(super) fn damaged(what: &str) -> LogError {
    io::Error::new(io::ErrorKind::InvalidData, format!("the files are damaged: {what}")).into()
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}
