//! The log: what came in, in order, for as long as it is needed.
//!
//! A log has named lanes. A lane is a sequence of batches numbered from 0 without gaps; each batch
//! carries the stamp that it was appended with and bytes that the log does not look into. Batches
//! are the unit of everything: of checksums, of numbering, of conditional appends.
//!
//! ```text
//! lane "positions/0"   [first ............ next)      read from any number in between
//!                      ^ truncate              ^ append, perhaps only if `next` is as expected
//! ```
//!
//! What `append` has returned for is in order and can be read; it survives the process. What `sync`
//! has returned for survives the machine. A log that is opened again holds, of everything that was
//! ever appended to all its lanes together, a prefix: what follows a lost batch is lost with it.

mod faulty;
mod local;
mod memory;
mod numbers;
mod shared;
mod writer;

use std::io;
use std::ops::Range;

use bytes::Bytes;

use crate::Timestamp;

pub use faulty::{FaultyLog, Operation};
pub use local::{LocalLog, LocalOptions};
pub use memory::MemoryLog;
pub use writer::{Batch, GroupWriter, Pending, SyncPolicy, WriterOptions};

/// The greatest payload of one batch, in bytes: 1 MiB.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// A lane of one log; the number means nothing to another log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u32);

/// A batch to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// Where to.
    pub lane: LaneId,
    /// Append only if this is the number that the batch will get: the fence against a second writer.
    pub expected: Option<u64>,
    /// The log's time of the batch; epochs are made of it.
    pub stamp: Timestamp,
    /// At most [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: &'a [u8],
}

/// A batch as it stands in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the lane.
    pub sequence: u64,
    /// The stamp that it was appended with.
    pub stamp: Timestamp,
    /// Its bytes.
    pub payload: Bytes,
}

/// Lanes of batches; see the module documentation. Every implementation passes the conformance
/// suite in `stream/tests/log_conformance.rs`.
pub trait Log: Send + Sync {
    /// The lane of this name, a new and empty one if there is none yet.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn lane(&self, name: &str) -> Result<LaneId, LogError>;

    /// Appends batches in the given order, all or none, and returns their numbers. Several batches
    /// may go to one lane; an expected number counts those before it.
    ///
    /// # Errors
    /// [`LogError::Conflict`], [`LogError::TooLarge`], [`LogError::UnknownLane`], [`LogError::Io`];
    /// nothing was appended then.
    fn append(&self, batches: &[Append<'_>]) -> Result<Vec<u64>, LogError>;

    /// The batches of a lane from number `from` on: at least one if there is any, and no more than
    /// make `bytes_max` bytes of payload together.
    ///
    /// # Errors
    /// [`LogError::Truncated`] if `from` is below the first number, [`LogError::Damaged`],
    /// [`LogError::UnknownLane`], [`LogError::Io`].
    fn read(&self, lane: LaneId, from: u64, bytes_max: usize) -> Result<Vec<Entry>, LogError>;

    /// The numbers that a lane holds: from its first batch to before the next one.
    ///
    /// # Errors
    /// [`LogError::UnknownLane`].
    fn range(&self, lane: LaneId) -> Result<Range<u64>, LogError>;

    /// Lets batches below a number go. The number of the next batch stays, even if none is left.
    ///
    /// # Errors
    /// [`LogError::UnknownLane`], [`LogError::Io`].
    fn truncate(&self, lane: LaneId, below: u64) -> Result<(), LogError>;

    /// Returns when everything appended before is on stable storage.
    ///
    /// # Errors
    /// [`LogError::Io`]: how much is on stable storage is not known then.
    fn sync(&self) -> Result<(), LogError>;
}

/// Why the log did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Somebody else appended first.
    #[error("lane {lane} goes on with batch {next}, not with batch {expected}: another writer")]
    Conflict {
        /// The lane's number.
        lane: u32,
        /// What the append was conditional on.
        expected: u64,
        /// What would have been right.
        next: u64,
    },
    /// The batches asked for are gone.
    #[error("lane {lane} begins with batch {first}; batch {from} was let go")]
    Truncated {
        /// The lane's number.
        lane: u32,
        /// The number asked for.
        from: u64,
        /// The first number there is.
        first: u64,
    },
    /// A batch above [`PAYLOAD_BYTES_MAX`].
    #[error(
        "a batch of {bytes} bytes; the log takes {PAYLOAD_BYTES_MAX} at most: send smaller ones"
    )]
    TooLarge {
        /// The size of the payload.
        bytes: usize,
    },
    /// A lane that the log did not give out.
    #[error("the log has no lane {0}")]
    UnknownLane(u32),
    /// A stored batch is not what was written.
    #[error("batch {sequence} of lane {lane} is damaged: {what}")]
    Damaged {
        /// The lane's number.
        lane: u32,
        /// The batch's number.
        sequence: u64,
        /// How that shows.
        what: &'static str,
    },
    /// The storage below failed.
    #[error("the log's storage: {0}")]
    Io(#[from] io::Error),
}
