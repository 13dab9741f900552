//! Keeps checkpoints: writes them, deletes old ones, and cuts the log below.
//!
//! By a thread of its own, so that the next epoch does not wait for a disk; one at a time, and if
//! the store fails, the log is simply not cut. The newest two are kept: should the newest turn out
//! damaged, the log still reaches back to the other.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::Epoch;
use crate::checkpoint::{CheckpointError, Checkpoints, FrozenCheckpoint, LanePosition};
use crate::log::{Log, LogError};
use crate::process::{Lanes, Setup};

/// Writes one checkpoint after the other.
pub(crate) struct Keeper {
    writer: Writer,
    kept: Kept,
    busy: bool,
}

/// What became of checkpoints.
#[derive(Debug, Default)]
pub struct Kept {
    /// The epoch and the size in bytes of the newest.
    pub newest: Option<(Epoch, u64)>,
    /// How many were written.
    pub written: u64,
    /// How many could not be, and why the last could not.
    pub failed: u64,
    /// The last failure.
    pub error: Option<String>,
}

/// Everything that writing takes.
struct Desk {
    checkpoints: Checkpoints,
    log: Arc<dyn Log>,
    lanes: Lanes,
    outputs_kept: u64,
    /// The epoch and the positions of the newest.
    newest: Option<(Epoch, Vec<LanePosition>)>,
}

/// Who writes.
enum Writer {
    /// The caller, while it waits.
    Caller(Desk),
    /// A thread of its own.
    Thread(WriterThread),
}

#[derive(Debug)]
struct WriterThread {
    work: Option<Sender<FrozenCheckpoint>>,
    done: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

type Outcome = (Epoch, Result<u64, CheckpointError>);

impl Keeper {
    pub(crate) fn new(
        checkpoints: Checkpoints,
        log: Arc<dyn Log>,
        lanes: Lanes,
        setup: &Setup,
    ) -> Self {
        let desk = Desk { checkpoints, log, lanes, outputs_kept: setup.outputs_kept, newest: None };
        let writer = match setup.background {
            true => Writer::Thread(WriterThread::start(desk)),
            false => Writer::Caller(desk),
        };
        Self { writer, kept: Kept::default(), busy: false }
    }

    /// Whether the last checkpoint is written, so that another can be begun.
    pub(crate) fn is_free(&mut self) -> bool {
        if self.busy
            && let Writer::Thread(thread) = &self.writer
            && let Ok(outcome) = thread.done.try_recv()
        {
            self.busy = false;
            self.note(outcome);
        }
        !self.busy
    }

    /// Writes a checkpoint, or has it written.
    pub(crate) fn keep(&mut self, checkpoint: FrozenCheckpoint) {
        self.wait();
        match &mut self.writer {
            Writer::Thread(thread) => self.busy = thread.begin(checkpoint),
            Writer::Caller(desk) => {
                let outcome = desk.write(checkpoint);
                self.note(outcome);
            }
        }
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Waits for a checkpoint that is being written.
    pub(crate) fn wait(&mut self) -> &Kept {
        if std::mem::take(&mut self.busy)
            && let Writer::Thread(thread) = &self.writer
            && let Ok(outcome) = thread.done.recv()
        {
            self.note(outcome);
        }
        &self.kept
    }

    fn note(&mut self, (epoch, result): Outcome) {
        match result {
            Ok(bytes) => {
                self.kept.newest = Some((epoch, bytes));
                self.kept.written += 1;
            }
            Err(error) => {
                self.kept.failed += 1;
                self.kept.error = Some(error.to_string());
            }
        }
    }
}

impl Desk {
    fn write(&mut self, checkpoint: FrozenCheckpoint) -> Outcome {
        (checkpoint.epoch, self.try_write(checkpoint))
    }

    fn try_write(&mut self, checkpoint: FrozenCheckpoint) -> Result<u64, CheckpointError> {
        // A checkpoint must not know more than the log after a power cut.
        self.log.sync()?;
        let newest = (checkpoint.epoch, checkpoint.positions.clone());
        let bytes = self.checkpoints.write(checkpoint)?;
        if let Some((epoch, positions)) = self.newest.replace(newest) {
            self.checkpoints.delete_before(epoch)?;
            cut(&*self.log, &self.lanes, &positions, self.outputs_kept)?;
        }
        Ok(bytes)
    }
}

/// Lets the log go below `positions`, which are those of the first lanes that are read, and old
/// outputs.
pub(crate) fn cut(
    log: &dyn Log,
    lanes: &Lanes,
    positions: &[LanePosition],
    outputs_kept: u64,
) -> Result<(), LogError> {
    for (lane, position) in lanes.read().into_iter().zip(positions) {
        log.truncate(lane, position.next)?;
    }
    for lane in [lanes.output, lanes.late] {
        // The last batch says which epochs are out: it stays.
        let end = log.range(lane)?.end;
        log.truncate(lane, end.saturating_sub(outputs_kept.max(1)))?;
    }
    Ok(())
}

impl WriterThread {
    fn start(mut desk: Desk) -> Self {
        let (work, orders) = channel::<FrozenCheckpoint>();
        let (outcomes, done) = channel();
        let write = move || {
            for checkpoint in orders {
                if outcomes.send(desk.write(checkpoint)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("checkpoints".to_owned());
        let thread = thread.spawn(write).expect("a process can start one more thread");
        Self { work: Some(work), done, thread: Some(thread) }
    }

    /// Whether the thread took the order.
    fn begin(&self, checkpoint: FrozenCheckpoint) -> bool {
        self.work.as_ref().is_some_and(|work| work.send(checkpoint).is_ok())
    }
}

impl Drop for WriterThread {
    /// Finishes the checkpoint that is being written.
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
