//! An application that runs: a process of the streaming core with a clock, threads and files.
//!
//! ```text
//! sources ─policy, credit─> GroupWriter ─> log ─> engine thread: tick · advance · tell   every epoch
//!                                           └─> metrics
//! ```
//!
//! Everything that decides is in `dunlin-stream`; here are the clock that stamps batches and closes
//! epochs, the thread that runs them, the folder where log and checkpoints live, and figures.

mod ask;
mod clock;
mod metrics;
mod options;
mod producer;
mod source;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use dunlin_stream::checkpoint::{CheckpointError, Checkpoints};
use dunlin_stream::log::{Batch, GroupWriter, LocalLog, Log, LogError, MemoryLog, WriterOptions};
use dunlin_stream::overload::{Policy, RowsOfObjects};
use dunlin_stream::process::{Committed, Lanes, ProcessError, Recovery};
use dunlin_stream::{Kept, OutputOf, Process, Timestamp, Topology};
use serde::Serialize;

pub(crate) use clock::now;

pub use ask::{AskError, Asker, JOBS_MAX};
pub use metrics::describe as describe_metrics;
pub use options::LiveOptions;
pub use producer::{Producer, SendError};
pub use source::{Sent, Source};

use ask::Jobs;
use metrics::{Figures, SourceFigures};
use producer::SharedCredit;
use source::Waiting;

/// Why an application could not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The folder of the checkpoints failed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The system has no thread left.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// The next start has more to take up from the log.
    #[error(
        "the last checkpoint was not written: {0}; what was acknowledged is in the log, see that the \
         folder of the checkpoints can be written"
    )]
    NotKept(String),
    /// The engine's thread ended by a panic, which is a bug.
    #[error("the engine ended by a panic; this is a bug")]
    Panic,
}

/// A log whose last stamp is further ahead of the machine's clock is worth a word.
const AHEAD_MS_MAX: i64 = 1_000;

/// A running application; dropping it stops it as [`Live::stop`] does.
pub struct Live<T: Topology + 'static> {
    label: String,
    lanes: Lanes,
    writer: Arc<GroupWriter>,
    credit: Arc<SharedCredit>,
    waiting: Waiting,
    asker: Asker<T>,
    engine: Option<JoinHandle<Result<(), LiveError>>>,
}

impl<T: Topology + 'static> Live<T> {
    /// Starts or restarts an application. `tell` is called by the engine's thread with each epoch
    /// that was committed, and should be short.
    ///
    /// # Errors
    /// A folder, log or checkpoint that cannot be used.
    pub fn start(
        topology: T,
        options: &LiveOptions,
        tell: impl FnMut(&Committed<'_, OutputOf<T>>) + Send + 'static,
    ) -> Result<(Self, Recovery), LiveError> {
        let (log, checkpoints) = stores(options)?;
        let restarts = options.restarts && options.data.is_some();
        let options = LiveOptions { restarts, ..options.clone() };
        Self::start_on(topology, log, checkpoints, &options, tell)
    }

    /// As [`Live::start`], on a log and checkpoints of the caller's.
    ///
    /// # Errors
    /// As [`Live::start`].
    pub fn start_on(
        topology: T,
        log: Arc<dyn Log>,
        checkpoints: Option<Checkpoints>,
        options: &LiveOptions,
        tell: impl FnMut(&Committed<'_, OutputOf<T>>) + Send + 'static,
    ) -> Result<(Self, Recovery), LiveError> {
        let setup = options.setup();
        let (process, recovery) = Process::open(topology, log.clone(), checkpoints, setup)?;
        let lanes = process.lanes().clone();
        let ahead_ms = clock::at_least(last_stamp(&*log, &lanes)?);
        if ahead_ms > AHEAD_MS_MAX {
            let app = options.label();
            tracing::warn!(app, ahead_ms, "the log is ahead of the clock: time goes half as fast");
        }
        let writer = Arc::new(GroupWriter::start(log.clone(), &WriterOptions::new(options.sync))?);
        let credit = Arc::new(SharedCredit::new(options.credit_records));
        let waiting = Waiting::default();
        let (asker, jobs) = ask::queue();
        let mut beat = Beat {
            log,
            process,
            ticks: lanes.read().iter().map(|&lane| tick(lane)).collect(),
            writer: writer.clone(),
            credit: credit.clone(),
            waiting: waiting.clone(),
            epoch_ms: options.epoch_ms,
            ticked: now().as_millis(),
            failed: 0,
            figures: Figures::new(options.label()),
            tell,
        };
        let run = move || {
            let ended = beat.run(&jobs);
            beat.credit.close();
            ended
        };
        let pool = engine_pool(options)?;
        let thread = std::thread::Builder::new().name("engine".to_owned());
        let thread = thread.spawn(move || pool.install(run))?;
        let (label, engine) = (options.label().to_owned(), Some(thread));
        Ok((Self { label, lanes, writer, credit, waiting, asker, engine }, recovery))
    }

    /// A producer by a number that it keeps over restarts; its next batch gets number `sequence`.
    #[must_use]
    pub fn producer(&self, number: u64, sequence: u64) -> Producer {
        let (lanes, writer) = (self.lanes.clone(), self.writer.clone());
        Producer::new(lanes, writer, self.credit.clone(), number, sequence)
    }

    /// A source of reports of objects, with a policy for when the engine is behind by the whole
    /// credit. `name` is what its figures say; `number` and `sequence` are as of a producer.
    #[must_use]
    pub fn source<B>(&self, name: &str, number: u64, sequence: u64, policy: Policy) -> Source<B>
    where
        B: RowsOfObjects + Serialize + Default + Send + 'static,
    {
        let figures = SourceFigures::new(&self.label, name);
        Source::new(self.producer(number, sequence), policy, figures, &self.waiting)
    }

    /// Asks the application about its state between epochs.
    ///
    /// # Errors
    /// [`AskError::Ended`].
    pub fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&Process<T>) -> R + Send + 'static,
    ) -> Result<R, AskError> {
        self.asker.ask(question)
    }

    /// What asks the application, for other threads.
    #[must_use]
    pub fn asker(&self) -> Asker<T> {
        self.asker.clone()
    }

    /// The application's lanes.
    #[must_use]
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Whether the engine still runs; it ends by itself only with an error, which
    /// [`Live::stop`] gives.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| !engine.is_finished())
    }

    /// Finishes the epoch, writes a checkpoint, and ends.
    ///
    /// # Errors
    /// What the engine failed with, now or before.
    pub fn stop(mut self) -> Result<(), LiveError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LiveError> {
        let Some(thread) = self.engine.take() else { return Ok(()) };
        self.asker.stop();
        thread.join().unwrap_or(Err(LiveError::Panic))
    }
}

impl<T: Topology + 'static> Drop for Live<T> {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the application ended");
        }
    }
}

/// The threads of an engine, among them the one that goes from epoch to epoch: called from outside,
/// an epoch would begin with waking two others, and it happens that a system puts both on one
/// processor for milliseconds.
fn engine_pool(options: &LiveOptions) -> io::Result<rayon::ThreadPool> {
    let label = options.label().to_owned();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.max(2));
    pool.thread_name(move |_| label.clone()).build().map_err(io::Error::other)
}

/// The log and the checkpoints in the folder of the options, or in memory without one.
fn stores(options: &LiveOptions) -> Result<(Arc<dyn Log>, Option<Checkpoints>), LiveError> {
    let Some(folder) = &options.data else { return Ok((Arc::new(MemoryLog::default()), None)) };
    let log = LocalLog::open(folder.join("log"), &options.log)?;
    let checkpoints = Checkpoints::in_folder(folder.join("checkpoints").join(&options.name))?;
    Ok((Arc::new(log), Some(checkpoints)))
}

/// The greatest stamp at the end of a lane.
fn last_stamp(log: &dyn Log, lanes: &Lanes) -> Result<Timestamp, LogError> {
    let mut last = Timestamp::MIN;
    for lane in lanes.read() {
        let held = log.range(lane)?;
        let newest = held.end.saturating_sub(1).max(held.start);
        last = log.read(lane, newest, 0)?.iter().map(|entry| entry.stamp).fold(last, Ord::max);
    }
    Ok(last)
}

fn tick(lane: dunlin_stream::log::LaneId) -> Batch {
    Batch { lane, expected: None, stamp: Timestamp::MIN, payload: Vec::new() }
}

/// The engine's thread.
struct Beat<T: Topology, F> {
    log: Arc<dyn Log>,
    process: Process<T>,
    ticks: Vec<Batch>,
    writer: Arc<GroupWriter>,
    credit: Arc<SharedCredit>,
    waiting: Waiting,
    epoch_ms: i64,
    /// When the last tick was.
    ticked: i64,
    /// Checkpoints that could not be written, as far as that was said.
    failed: u64,
    figures: Figures,
    tell: F,
}

impl<T: Topology, F: FnMut(&Committed<'_, OutputOf<T>>)> Beat<T, F> {
    /// Runs epoch after epoch, and jobs between them, until it is told to stop.
    fn run(&mut self, jobs: &Jobs<T>) -> Result<(), LiveError> {
        while jobs.work_until(self.next_epoch(), &mut self.process) {
            self.advance(now())?;
        }
        self.credit.close();
        self.waiting.release(true);
        // The epoch that is open is closed by the first instant after it.
        let end = Timestamp::from_millis_unchecked(self.epoch_after(now().as_millis()));
        self.advance(end)?;
        self.log.sync()?;
        self.process.kept();
        self.note_checkpoints();
        self.process.checkpoint_now();
        self.figures.checkpoint(&self.process, now());
        match self.process.kept() {
            Some(Kept { failed, error: Some(error), .. }) if *failed > self.failed => {
                Err(LiveError::NotKept(error.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Says which checkpoints could not be written.
    fn note_checkpoints(&mut self) {
        let Some(Kept { failed, error, .. }) = self.process.kept_so_far() else { return };
        if *failed > self.failed {
            let error = error.as_deref().unwrap_or_default();
            tracing::error!(error, "a checkpoint was not written: the log grows until one is");
            self.failed = *failed;
        }
    }

    /// The first instant after the epoch of the last tick: past, if the engine is behind.
    fn next_epoch(&self) -> Timestamp {
        Timestamp::from_millis_unchecked(self.epoch_after(self.ticked))
    }

    fn epoch_after(&self, millis: i64) -> i64 {
        millis - millis.rem_euclid(self.epoch_ms) + self.epoch_ms
    }

    /// Says in all lanes that it is `at`, and runs what is complete.
    fn advance(&mut self, at: Timestamp) -> Result<(), LiveError> {
        self.ticked = at.as_millis();
        self.ticks.iter_mut().for_each(|tick| tick.stamp = at);
        self.writer.submit(self.ticks.clone()).wait()?;
        loop {
            let Self { process, tell, figures, credit, .. } = self;
            let watch = figures.start_epoch();
            let (before, last) = (process.counts(), process.last_epoch());
            let mut committed = |epoch: &Committed<'_, OutputOf<T>>| {
                figures.committed(epoch.end, epoch.outputs.len(), now());
                tell(epoch);
            };
            if !process.advance_one(&mut committed)? {
                return Ok(());
            }
            if process.last_epoch() == last {
                continue;
            }
            let counts = process.counts().since(&before);
            credit.give_back(counts.read);
            self.waiting.release(false);
            self.note_checkpoints();
            self.figures.epoch(watch, counts, &self.process);
        }
    }
}

/// A lock that cannot be poisoned in a way that matters: nothing behind it is left half-done.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
