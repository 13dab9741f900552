//! The desk where batches become text: one batch at a time, all threads at one batch.
//!
//! It owns the output, so whoever has the desk may write, and lines cannot overtake each other.

use std::io::Write;

use dunlin::index::Space;
use rayon::prelude::*;

use super::batch::Batch;
use super::text::Texts;
use crate::cli::output::{Output, OutputError};

/// Members and lines of the piece that is formatted as a whole: some hundred KiB of text.
const PIECE_MEMBERS: usize = 4 * 1024;

/// Formats and writes batches.
#[derive(Debug)]
pub(super) struct Desk {
    batch: Batch,
    /// The text of each piece, kept for its memory.
    pieces: Vec<Vec<u8>>,
    output: Output,
    bytes: u64,
}

impl Desk {
    pub(super) fn new(batch: Batch, output: Output) -> Self {
        Self { batch, pieces: Vec::new(), output, bytes: 0 }
    }

    /// The batch to work on, empty before and after.
    pub(super) fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Turns the batch into text and writes it, piece after piece.
    pub(super) fn work<S: Space>(&mut self, texts: &Texts<S>) -> Result<(), OutputError> {
        let cuts = self.batch.cuts(PIECE_MEMBERS);
        self.pieces.resize_with(self.pieces.len().max(cuts.len()), Vec::new);
        let batch = &self.batch;
        let places = texts.places(batch);
        self.pieces.par_iter_mut().zip(&cuts).with_max_len(1).for_each(|(piece, answers)| {
            piece.clear();
            texts.write(batch, answers.clone(), &places, piece);
        });
        for piece in &self.pieces[..cuts.len()] {
            self.output.write_all(piece).map_err(|source| self.output.failed(source))?;
            self.bytes += piece.len() as u64;
        }
        self.batch.clear();
        Ok(())
    }

    /// Ends the output and says how many bytes went there.
    pub(super) fn finish(self) -> Result<u64, OutputError> {
        self.output.finish()?;
        Ok(self.bytes)
    }
}
