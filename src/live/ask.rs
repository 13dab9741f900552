//! Questions about the state of a running application, between epochs.
//!
//! ```text
//! Asker ─ jobs, a few at a time ─> engine thread:  advance · jobs until the next epoch is due · advance
//! ```
//!
//! A job reads; it delays the next epoch by as long as it takes. What waits is bounded: who asks
//! while the queue is full is told so, or waits in its own thread.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use dunlin_stream::{Process, Timestamp, Topology};

use super::now;

/// Jobs that may wait for the engine's thread.
pub const JOBS_MAX: usize = 64;

type Job<T> = Box<dyn FnOnce(&mut Process<T>) + Send>;

/// What the engine's thread is told while it waits for the next epoch.
enum Message<T: Topology> {
    Job(Job<T>),
    Stop,
}

/// Why a question was not asked, or not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Too many are waiting.
    #[error("too many questions at once; ask again")]
    Busy,
    /// The application has ended.
    #[error("the application has ended; ask again when it runs")]
    Ended,
}

/// Asks a running application; it may outlive it.
pub struct Asker<T: Topology> {
    jobs: SyncSender<Message<T>>,
}

impl<T: Topology> Clone for Asker<T> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone() }
    }
}

impl<T: Topology + 'static> Asker<T> {
    /// Has a job run by the engine's thread between two epochs. It may be dropped without having
    /// run, if the application ends before.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn submit(&self, job: impl FnOnce(&Process<T>) + Send + 'static) -> Result<(), AskError> {
        self.steer(move |process| job(process))
    }

    /// As [`Asker::submit`], for a job that changes what does not change the outputs: the cut into
    /// shards.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn steer(
        &self,
        job: impl FnOnce(&mut Process<T>) + Send + 'static,
    ) -> Result<(), AskError> {
        self.jobs.try_send(Message::Job(Box::new(job))).map_err(|error| match error {
            TrySendError::Full(_) => AskError::Busy,
            TrySendError::Disconnected(_) => AskError::Ended,
        })
    }

    /// Waits for what a job says.
    ///
    /// # Errors
    /// [`AskError::Ended`].
    pub fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&Process<T>) -> R + Send + 'static,
    ) -> Result<R, AskError> {
        let (answer, answered) = sync_channel(1);
        // Who asked waits for the answer.
        let job = move |process: &mut Process<T>| drop(answer.send(question(process)));
        self.jobs.send(Message::Job(Box::new(job))).map_err(|_| AskError::Ended)?;
        answered.recv().map_err(|_| AskError::Ended)
    }

    /// Ends the engine after the jobs that wait.
    pub(super) fn stop(&self) {
        // It may have ended by itself.
        drop(self.jobs.send(Message::Stop));
    }
}

/// The engine's end of the queue.
pub(super) struct Jobs<T: Topology>(Receiver<Message<T>>);

/// A queue of jobs and both its ends.
pub(super) fn queue<T: Topology>() -> (Asker<T>, Jobs<T>) {
    let (jobs, queue) = sync_channel(JOBS_MAX);
    (Asker { jobs }, Jobs(queue))
}

impl<T: Topology> Jobs<T> {
    /// Does jobs until `due`; whether the engine is to go on then.
    pub(super) fn work_until(&self, due: Timestamp, process: &mut Process<T>) -> bool {
        loop {
            // An engine that is behind still takes a job now and then.
            let left = u64::try_from(due.as_millis() - now().as_millis()).unwrap_or(0);
            match self.0.recv_timeout(Duration::from_millis(left)) {
                Ok(Message::Job(job)) => job(process),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
            // Many who ask without a pause do not hold up the epochs.
            if left == 0 {
                return true;
            }
        }
    }
}
