//! Answers as lines of JSON, many at a time.
//!
//! ```text
//! engine ──collect──> Batch (flat columns) ──write──> Desk: order, format in parallel ──> output
//!                        └────────── the next batch is collected meanwhile ──────────┘
//! ```
//!
//! A batch holds numbers only: which query, which epoch, which objects at which keys and places. The
//! desk turns it into text while the engine goes on. Where all threads are engines, each with a
//! batch of its own, they are all formatting after that, and only the output lags behind. There is
//! one desk, so lines keep their order, memory is bounded, and the bytes do not depend on the number
//! of threads.

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
use desk::Desk;
use text::Texts;

pub(crate) use batch::Batch;
pub(crate) use text::Names;

/// Members of a batch: with 70 bytes each, some MiB of text.
pub(crate) const BATCH_MEMBERS: usize = 64 * 1024;
/// How long to wait for the desk before looking whether there is something to help with.
const PAUSE: Duration = Duration::from_micros(200);

/// Writes answers to an output.
#[derive(Debug)]
pub(crate) struct AnswerWriter<S: Space> {
    texts: Arc<Texts<S>>,
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
        let (report, done) = channel();
        let texts = Arc::new(Texts::new(names));
        Self { texts, answers: 0, idle: Some(Desk::new(output)), done, report }
    }

    /// Writes the answers to all queries as they stand at `time`.
    pub(crate) fn write_all(
        &mut self,
        standing: &StandingQueries<S>,
        time: Timestamp,
    ) -> Result<(), OutputError> {
        let mut batch = [Batch::default()];
        for number in 0..standing.query_count() {
            batch[0].add(number, time, standing.answer(number), standing.index());
            if batch[0].len() >= BATCH_MEMBERS {
                self.write(&mut batch)?;
            }
        }
        self.write(&mut batch)
    }

    /// Writes the answers in `batches`, by time and query, and empties them. In each batch they
    /// are in that order already.
    pub(crate) fn write(&mut self, batches: &mut [Batch]) -> Result<(), OutputError> {
        self.answers += batches.iter().map(|batch| batch.answers().len() as u64).sum::<u64>();
        let mut desk = self.desk()?;
        let all_collected = batches.len() > 1;
        desk.take(batches);
        if all_collected {
            desk.format(&self.texts)?;
        }
        let (texts, report) = (Arc::clone(&self.texts), self.report.clone());
        rayon::spawn(move || {
            let formatted = if all_collected { Ok(()) } else { desk.format(&texts) };
            let outcome = formatted.and_then(|()| desk.write()).map(|()| desk);
            // After a failure nobody waits for the desk.
            let _ = report.send(outcome);
        });
        Ok(())
    }

    /// Waits for what is still to be written and ends the output.
    pub(crate) fn finish(mut self) -> Result<Written, OutputError> {
        let bytes = self.desk()?.finish()?;
        Ok(Written { answers: self.answers, bytes })
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
