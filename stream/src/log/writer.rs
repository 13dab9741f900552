//! Group commit: many threads hand in batches, one thread appends and syncs for all of them.
//!
//! ```text
//! submit ──┐                      ┌ append ─ (sync) ─┐
//! submit ──┼─ queue ── take all ──┤                  ├── acknowledge each
//! submit ──┘  (credit in bytes)   └──────────────────┘
//! ```
//!
//! While one group is on its way to the disk the next one gathers, so one sync serves all that came
//! during the sync before. A submission is appended as a whole or not at all, and submissions of one
//! thread in their order. One that the log refuses does not hurt those beside it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Append, LaneId, Log, LogError};
use crate::Timestamp;

/// What a batch costs of the credit beside its payload, in bytes.
const BATCH_BYTES: usize = 64;

/// When the log is synced, and so what an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before each acknowledgement: what is acknowledged survives the machine.
    Always,
    /// At least every so often: what is acknowledged survives the process, and the machine too if
    /// it lives that much longer.
    Interval(Duration),
    /// When the operating system thinks fit: what is acknowledged survives the process.
    Os,
}

/// How a [`GroupWriter`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WriterOptions {
    /// When to sync.
    pub sync: SyncPolicy,
    /// Bytes handed in and not yet acknowledged; beyond, submitters wait. More: larger groups, and
    /// a longer wait at the end of the queue.
    pub bytes_in_flight_max: usize,
}

impl WriterOptions {
    /// With this policy, and 8 MiB in flight.
    #[must_use]
    pub fn new(sync: SyncPolicy) -> Self {
        Self { sync, bytes_in_flight_max: 8 << 20 }
    }
}

/// A batch that owns its bytes, on its way to the log; see [`Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where to.
    pub lane: LaneId,
    /// Append only as this number.
    pub expected: Option<u64>,
    /// The log's time of the batch.
    pub stamp: Timestamp,
    /// At most [`PAYLOAD_BYTES_MAX`](super::PAYLOAD_BYTES_MAX) bytes.
    pub payload: Vec<u8>,
}

impl Batch {
    /// The batch as the log takes it.
    #[must_use]
    pub fn as_append(&self) -> Append<'_> {
        let &Self { lane, expected, stamp, ref payload } = self;
        Append { lane, expected, stamp, payload }
    }
}

impl From<&Append<'_>> for Batch {
    fn from(append: &Append<'_>) -> Self {
        let &Append { lane, expected, stamp, payload } = append;
        Self { lane, expected, stamp, payload: payload.to_vec() }
    }
}

/// The numbers of a submission's batches, or why it was not appended.
type Outcome = Result<Vec<u64>, LogError>;

/// An acknowledgement to come.
#[derive(Debug)]
pub struct Pending(Receiver<Outcome>);

impl Pending {
    /// Waits for the acknowledgement: the numbers of the batches.
    ///
    /// # Errors
    /// What [`Log::append`] says, or [`LogError::Io`] of a sync: the batches may be there then.
    pub fn wait(self) -> Result<Vec<u64>, LogError> {
        self.0.recv().unwrap_or_else(|_| Err(io::Error::other("the log's writer ended").into()))
    }
}

/// One thread that appends to a log for many; dropping it finishes what waits.
///
/// ```
/// use std::sync::Arc;
/// use dunlin_stream::Timestamp;
/// use dunlin_stream::log::{Batch, GroupWriter, Log, MemoryLog, SyncPolicy, WriterOptions};
///
/// let log = Arc::new(MemoryLog::default());
/// let lane = log.lane("positions/0")?;
/// let writer = GroupWriter::start(log, &WriterOptions::new(SyncPolicy::Always))?;
/// let stamp = Timestamp::from_millis_unchecked(20);
/// let batch = Batch { lane, expected: None, stamp, payload: b"a batch".to_vec() };
/// assert_eq!(writer.submit(vec![batch]).wait()?, [0]);
/// writer.close()?;
/// # Ok::<(), dunlin_stream::log::LogError>(())
/// ```
#[derive(Debug)]
pub struct GroupWriter {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<Result<(), LogError>>>,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

impl GroupWriter {
    /// Starts the thread, and a second one that counts the time if syncs have an interval.
    ///
    /// # Errors
    /// [`LogError::Io`] if the system has no thread left.
    pub fn start(log: Arc<dyn Log>, options: &WriterOptions) -> Result<Self, LogError> {
        let queue = Arc::new(Queue::new(options.bytes_in_flight_max));
        let syncer =
            Arc::new(Syncer { log, unsynced: AtomicBool::new(false), failed: Mutex::new(None) });
        let writer = Writer { syncer: syncer.clone(), sync: options.sync };
        let of_writer = Arc::clone(&queue);
        let thread = thread::Builder::new().name("log writer".to_owned());
        let writer = thread.spawn(move || {
            let _ending = Ending(&of_writer);
            writer.run(&of_writer)
        })?;
        let mut started = Self { queue, writer: Some(writer), ticker: None };
        if let SyncPolicy::Interval(interval) = options.sync {
            started.ticker = Some(start_ticker(syncer, interval)?);
        }
        Ok(started)
    }

    /// Hands in batches that are appended together; waits while too much is in flight.
    pub fn submit(&self, batches: Vec<Batch>) -> Pending {
        let (answer, pending) = sync_channel(1);
        // Who does not wait for the answer does not want it.
        self.submit_with(batches, move |outcome| drop(answer.send(outcome)));
        Pending(pending)
    }

    /// As [`submit`](Self::submit), and calls back with the outcome. The writer's thread calls, so
    /// the call should be short, and it must not submit.
    pub fn submit_with(
        &self,
        batches: Vec<Batch>,
        answer: impl FnOnce(Result<Vec<u64>, LogError>) + Send + 'static,
    ) {
        self.queue.push(Submission { batches, answer: Box::new(answer) });
    }

    /// As [`submit`](Self::submit), but gives the batches back where that would have to wait.
    ///
    /// # Errors
    /// The batches: too much is in flight.
    pub fn try_submit(&self, batches: Vec<Batch>) -> Result<Pending, Vec<Batch>> {
        let (answer, pending) = sync_channel(1);
        let answer = Box::new(move |outcome| drop(answer.send(outcome)));
        match self.queue.try_push(Submission { batches, answer }) {
            Ok(()) => Ok(Pending(pending)),
            Err(refused) => Err(refused.batches),
        }
    }

    /// Finishes what waits, syncs and ends.
    ///
    /// # Errors
    /// [`LogError::Io`] of a sync; what was acknowledged before may not be on stable storage.
    pub fn close(mut self) -> Result<(), LogError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LogError> {
        if let Some((stop, ticker)) = self.ticker.take() {
            drop(stop);
            drop(ticker.join());
        }
        self.queue.close();
        let Some(writer) = self.writer.take() else { return Ok(()) };
        writer.join().unwrap_or_else(|_| Err(io::Error::other("the log's writer panicked").into()))
    }
}

impl Drop for GroupWriter {
    fn drop(&mut self) {
        // Who wants to know calls `close`.
        drop(self.end());
    }
}

/// Syncs every so often, until the sender is dropped. Appends go on meanwhile.
fn start_ticker(
    syncer: Arc<Syncer>,
    interval: Duration,
) -> Result<(Sender<()>, JoinHandle<()>), LogError> {
    let (stop, stopped) = channel();
    let thread = thread::Builder::new().name("log ticker".to_owned());
    let ticker = thread.spawn(move || {
        while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            // Later submissions hear of a failure.
            drop(syncer.sync());
        }
    })?;
    Ok((stop, ticker))
}

struct Submission {
    batches: Vec<Batch>,
    answer: Box<dyn FnOnce(Outcome) + Send>,
}

impl Submission {
    fn bytes(&self) -> usize {
        self.batches.iter().map(|batch| BATCH_BYTES + batch.payload.len()).sum()
    }

    fn appends(&self) -> impl Iterator<Item = Append<'_>> {
        self.batches.iter().map(Batch::as_append)
    }
}

/// What waits for the writer.
#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    work: Condvar,
    credit: Condvar,
    bytes_max: usize,
}

#[derive(Default)]
struct Waiting {
    submissions: VecDeque<Submission>,
    /// Bytes of these, and of those that are being written.
    bytes: usize,
    closed: bool,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} submissions, {} bytes", self.submissions.len(), self.bytes)
    }
}

impl Queue {
    fn new(bytes_max: usize) -> Self {
        let (work, credit) = (Condvar::new(), Condvar::new());
        Self { waiting: Mutex::default(), work, credit, bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is credit for so many bytes; the first in line always has it.
    fn has_credit(&self, waiting: &Waiting, bytes: usize) -> bool {
        waiting.closed || waiting.bytes == 0 || waiting.bytes + bytes <= self.bytes_max
    }

    fn push(&self, submission: Submission) {
        let bytes = submission.bytes();
        let full = |waiting: &mut Waiting| !self.has_credit(waiting, bytes);
        let waiting = self.credit.wait_while(self.lock(), full);
        self.put(waiting.unwrap_or_else(PoisonError::into_inner), submission, bytes);
    }

    fn try_push(&self, submission: Submission) -> Result<(), Submission> {
        let (waiting, bytes) = (self.lock(), submission.bytes());
        if !self.has_credit(&waiting, bytes) {
            return Err(submission);
        }
        self.put(waiting, submission, bytes);
        Ok(())
    }

    /// Puts a submission; into a closed queue only after the writer's panic, and then it is dropped
    /// and its answer with it.
    fn put(&self, mut waiting: MutexGuard<'_, Waiting>, submission: Submission, bytes: usize) {
        if waiting.closed {
            return;
        }
        waiting.bytes += bytes;
        waiting.submissions.push_back(submission);
        drop(waiting);
        self.work.notify_one();
    }

    /// Waits for submissions; nothing after the end.
    fn take(&self) -> Option<VecDeque<Submission>> {
        let idle = |waiting: &mut Waiting| waiting.submissions.is_empty() && !waiting.closed;
        let waiting = self.work.wait_while(self.lock(), idle);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        if waiting.closed && waiting.submissions.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut waiting.submissions))
    }

    fn give_back(&self, bytes: usize) {
        self.lock().bytes -= bytes;
        self.credit.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
        self.credit.notify_all();
    }
}

/// Whatever ends the writer, nobody waits for it afterwards.
struct Ending<'a>(&'a Queue);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.0.lock().submissions.clear();
    }
}

/// What the writer's thread and the ticker's share.
struct Syncer {
    log: Arc<dyn Log>,
    unsynced: AtomicBool,
    /// A failed sync: what was appended before it may be lost, so nothing may be acknowledged any
    /// more that stands behind it.
    failed: Mutex<Option<LogError>>,
}

impl Syncer {
    /// Why nothing more is acknowledged.
    fn failed(&self) -> MutexGuard<'_, Option<LogError>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync(&self) -> Result<(), LogError> {
        if let Some(error) = &*self.failed() {
            return Err(copy(error));
        }
        if self.unsynced.swap(false, Ordering::AcqRel)
            && let Err(error) = self.log.sync()
        {
            *self.failed() = Some(copy(&error));
            return Err(error);
        }
        Ok(())
    }
}

/// The writer's thread.
struct Writer {
    syncer: Arc<Syncer>,
    sync: SyncPolicy,
}

impl Writer {
    fn run(&self, queue: &Queue) -> Result<(), LogError> {
        while let Some(submissions) = queue.take() {
            let bytes = submissions.iter().map(Submission::bytes).sum();
            let mut outcomes = self.append(&submissions);
            if self.sync == SyncPolicy::Always
                && let Err(error) = self.syncer.sync()
            {
                outcomes.iter_mut().filter(|outcome| outcome.is_ok()).for_each(|outcome| {
                    *outcome = Err(copy(&error));
                });
            }
            for (submission, outcome) in submissions.into_iter().zip(outcomes) {
                (submission.answer)(outcome);
            }
            queue.give_back(bytes);
        }
        self.syncer.sync()
    }

    /// Appends all in one call, or each by itself if the log refuses that; one outcome for each.
    fn append(&self, submissions: &VecDeque<Submission>) -> Vec<Outcome> {
        if let Some(error) = &*self.syncer.failed() {
            return submissions.iter().map(|_| Err(copy(error))).collect();
        }
        let log = &self.syncer.log;
        let group: Vec<Append<'_>> = submissions.iter().flat_map(Submission::appends).collect();
        let outcomes: Vec<Outcome> = match log.append(&group) {
            Ok(numbers) => deal(submissions, &numbers),
            Err(error) if submissions.len() == 1 => vec![Err(error)],
            Err(error) if is_refusal(&error) => {
                let appends = submissions.iter().map(|one| one.appends().collect::<Vec<_>>());
                appends.map(|appends| log.append(&appends)).collect()
            }
            Err(error) => submissions.iter().map(|_| Err(copy(&error))).collect(),
        };
        if outcomes.iter().any(Result::is_ok) {
            self.syncer.unsynced.store(true, Ordering::Release);
        }
        outcomes
    }
}

/// Deals the numbers of a group out to its submissions.
fn deal(submissions: &VecDeque<Submission>, numbers: &[u64]) -> Vec<Outcome> {
    let mut rest = numbers;
    let mut take = |submission: &Submission| {
        let (own, others) = rest.split_at(submission.batches.len());
        rest = others;
        Ok(own.to_vec())
    };
    submissions.iter().map(&mut take).collect()
}

/// Whether the log looked at the batches and did not want them.
fn is_refusal(error: &LogError) -> bool {
    use LogError::{Conflict, TooLarge, UnknownLane};
    matches!(error, Conflict { .. } | TooLarge { .. } | UnknownLane(_))
}

/// The same failure for one more caller.
fn copy(error: &LogError) -> LogError {
    match error {
        LogError::Io(error) => io::Error::new(error.kind(), error.to_string()).into(),
        other => io::Error::other(other.to_string()).into(),
    }
}
