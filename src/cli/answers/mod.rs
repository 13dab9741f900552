//! Answers as lines of JSON, many at a time.
//!
//! ```text
//! engine ──collect──> Batch (flat columns) ──write──> Desk: order, format in parallel ──> output
//! ```
//!
//! A batch holds numbers only: which query, which epoch, which objects at which keys and places. The
//! desk turns some batches at a time into text. There is one desk, so lines keep their order, memory
//! is bounded, and the bytes do not depend on the number of threads.

mod batch;
mod desk;
mod text;

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

/// Writes answers to an output.
#[derive(Debug)]
pub(crate) struct AnswerWriter<S: Space> {
    texts: Texts<S>,
    desk: Desk,
    answers: u64,
}

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
        Self { texts: Texts::new(names), desk: Desk::new(output), answers: 0 }
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
    /// are in that order already. After an error what was written may end anywhere.
    pub(crate) fn write(&mut self, batches: &mut [Batch]) -> Result<(), OutputError> {
        self.answers += batches.iter().map(|batch| batch.answers().len() as u64).sum::<u64>();
        let written = self.desk.write(batches, &self.texts);
        batches.iter_mut().for_each(Batch::clear);
        written
    }

    /// Ends the output.
    pub(crate) fn finish(self) -> Result<Written, OutputError> {
        Ok(Written { answers: self.answers, bytes: self.desk.finish()? })
    }
}
