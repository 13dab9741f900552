//! Answers as lines of JSON, many at a time.
//!
//! ```text
//! engine ──collect──> Batch (flat columns) ──full──> Desk: format, pieces in parallel ──> write
//!                        └────────── the next batch is collected meanwhile ──────────┘
//! ```
//!
//! A batch holds numbers only: which query, which epoch, which objects at which keys and places.
//! When it has [`BATCH_MEMBERS`] of them the desk turns it into text, while the engine goes on. There
//! is one desk, so lines keep their order, memory is bounded, and the bytes do not depend on the
//! number of threads.

mod batch;
mod desk;
mod text;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use dunlin::index::Space;
use dunlin::query::StandingQueries;
use dunlin::stream::Timestamp;

use super::output::{Output, OutputError};
use batch::Batch;
use desk::Desk;
use text::Texts;

pub(crate) use text::Names;

/// Members of a batch: with 70 bytes each, some MiB of text.
const BATCH_MEMBERS: usize = 64 * 1024;
/// How long to wait for the desk before looking whether there is something to help with.
const PAUSE: Duration = Duration::from_micros(200);

/// Writes answers to an output.
#[derive(Debug)]
pub(crate) struct AnswerWriter<S: Space> {
    texts: Arc<Texts<S>>,
    batch: Batch,
    answers: u64,
    /// The desk, unless it is at work.
    idle: Option<Desk>,
    done: Receiver<Outcome>,
    report: Sender<Outcome>,
}

/// The desk back from work, or why it failed.
type Outcome = Result<Desk, OutputError>;

/// What was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// Lines.
    pub(crate) answers: u64,
    /// Bytes of text.
    pub(crate) bytes: u64,
}

impl<S: Space> AnswerWriter<S> {
    /// A writer of answers to queries and about objects with the given names.
    pub(crate) fn new(names: Names, output: Output) -> Self {
        let object_count = names.object_count();
        let (report, done) = channel();
        Self {
            texts: Arc::new(Texts::new(names)),
            batch: Batch::new(object_count),
            answers: 0,
            idle: Some(Desk::new(Batch::new(object_count), output)),
            done,
            report,
        }
    }

    /// Takes the answers to the queries `numbers` as they stand at `time`.
    pub(crate) fn take(
        &mut self,
        standing: &StandingQueries<S>,
        time: Timestamp,
        numbers: impl Iterator<Item = usize>,
    ) -> Result<(), OutputError> {
        for number in numbers {
            self.batch.add(number, time, standing.answer(number), standing.index());
            self.answers += 1;
            if self.batch.len() >= BATCH_MEMBERS {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    /// Writes what is left and ends the output.
    pub(crate) fn finish(mut self) -> Result<Written, OutputError> {
        self.hand_over()?;
        let bytes = self.desk()?.finish()?;
        Ok(Written { answers: self.answers, bytes })
    }

    /// Gives the batch to the desk and takes back an empty one.
    fn hand_over(&mut self) -> Result<(), OutputError> {
        let mut desk = self.desk()?;
        std::mem::swap(&mut self.batch, desk.batch());
        let (texts, report) = (Arc::clone(&self.texts), self.report.clone());
        rayon::spawn(move || {
            let outcome = desk.work(&texts).map(|()| desk);
            // After a failure nobody waits for the desk.
            let _ = report.send(outcome);
        });
        Ok(())
    }

    /// The desk, when it is done; helps it, and on a single thread does all its work.
    fn desk(&mut self) -> Result<Desk, OutputError> {
        if let Some(desk) = self.idle.take() {
            return Ok(desk);
        }
        loop {
            if rayon::yield_now() == Some(rayon::Yield::Executed) {
                continue;
            }
            match self.done.recv_timeout(PAUSE) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("`report` is kept"),
            }
        }
    }
}
