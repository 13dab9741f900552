//! How an application runs.

use std::path::PathBuf;
use std::time::Duration;

use dunlin_stream::log::{LocalOptions, SyncPolicy};
use dunlin_stream::{Guarantee, Setup, ShardTable};

/// How an application runs.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Its name.
    pub name: String,
    /// What its figures are labelled with, if that is not its name.
    pub label: Option<String>,
    /// The folder of log and checkpoints; without one nothing is kept.
    pub data: Option<PathBuf>,
    /// The lanes of its input.
    pub lanes: usize,
    /// The length of epochs, in milliseconds.
    pub epoch_ms: i64,
    /// What a restart does.
    pub guarantee: Guarantee,
    /// When the log is synced.
    pub sync: SyncPolicy,
    /// The shards that a new application begins with.
    pub shards: ShardTable,
    /// A checkpoint is written when so much time has passed since the last.
    pub checkpoint_every: Duration,
    /// Records that may be in the log and not applied, over all producers.
    pub credit_records: u64,
    /// Memory of the log.
    pub log: LocalOptions,
    /// How many threads its engine has, at least two of them: one goes from epoch to epoch, and at
    /// times waits for the log.
    pub threads: usize,
    /// Whether the log outlives the application; if not, what was applied is let go. Without a folder
    /// it never does.
    pub restarts: bool,
}

impl LiveOptions {
    /// Two lanes, one shard, epochs of 20 ms, exactly once, a sync every 50 ms, a checkpoint every
    /// ten seconds, a million records of credit, a thread more than there are processors; in memory.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            label: None,
            data: None,
            lanes: 2,
            epoch_ms: 20,
            guarantee: Guarantee::Precise,
            sync: SyncPolicy::Interval(Duration::from_millis(50)),
            shards: ShardTable::default(),
            checkpoint_every: Duration::from_secs(10),
            credit_records: 1_000_000,
            log: LocalOptions::default(),
            threads: 1 + std::thread::available_parallelism().map_or(1, usize::from),
            restarts: true,
        }
    }

    /// What its figures are labelled with.
    pub(crate) fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }

    pub(crate) fn setup(&self) -> Setup {
        let checkpoint_ms = i64::try_from(self.checkpoint_every.as_millis()).unwrap_or(i64::MAX);
        Setup {
            epoch_ms: self.epoch_ms,
            shards: self.shards.clone(),
            checkpoint_ms,
            sync: self.sync == SyncPolicy::Always,
            restarts: self.restarts,
            ..Setup::new(&self.name, self.lanes, self.guarantee)
        }
    }
}
