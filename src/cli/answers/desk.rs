//! The desk where batches become text: one lot at a time, all threads at one lot.
//!
//! A lot is a batch from each part of the questions; its lines are put in the order of epochs and
//! queries, whatever part they come from. Text is made for a few pieces at a time: that bounds
//! memory when one epoch has very many answers.

use std::io::Write;
use std::ops::Range;

use dunlin::index::Space;
use rayon::prelude::*;

use super::batch::{Batch, Line};
use super::text::Texts;
use crate::cli::output::{Output, OutputError};

/// Members and lines of the piece that is formatted as a whole: some hundred KiB of text.
const PIECE_MEMBERS: usize = 4 * 1024;
/// Pieces that are formatted before they are written.
const PIECES: usize = 16;

/// Formats and writes lots.
#[derive(Debug)]
pub(super) struct Desk {
    /// The lines of all batches, in order.
    lines: Vec<Line>,
    /// The text of each piece, kept for its memory.
    pieces: Vec<Vec<u8>>,
    output: Output,
    bytes: u64,
}

impl Desk {
    pub(super) fn new(output: Output) -> Self {
        Self { lines: Vec::new(), pieces: Vec::new(), output, bytes: 0 }
    }

    /// Turns the lot into text and writes it.
    pub(super) fn write<S: Space>(
        &mut self,
        batches: &[Batch],
        texts: &Texts<S>,
    ) -> Result<(), OutputError> {
        self.put_in_order(batches);
        let places: Vec<_> = batches.iter().map(|batch| texts.places(batch)).collect();
        let weight =
            |line: &Line| 1 + batches[line.batch as usize].members(line.row as usize).len();
        let cuts = cuts(self.lines.iter().map(weight), PIECE_MEMBERS);
        for cuts in cuts.chunks(PIECES) {
            let Self { lines, pieces, .. } = self;
            pieces.resize_with(pieces.len().max(cuts.len()), Vec::new);
            pieces.par_iter_mut().zip(cuts).with_max_len(1).for_each(|(piece, cut)| {
                piece.clear();
                texts.write(batches, &places, &lines[cut.clone()], piece);
            });
            self.write_pieces(cuts.len())?;
        }
        Ok(())
    }

    /// Writes the first pieces, one after the other.
    fn write_pieces(&mut self, count: usize) -> Result<(), OutputError> {
        for piece in &self.pieces[..count] {
            self.output.write_all(piece).map_err(|source| self.output.failed(source))?;
            self.bytes += piece.len() as u64;
        }
        Ok(())
    }

    /// Merges the lines of all batches by epoch and query.
    fn put_in_order(&mut self, batches: &[Batch]) {
        self.lines.clear();
        let mut next: Vec<_> =
            batches.iter().map(|batch| batch.answers().iter().peekable()).collect();
        let mut rows = vec![0; batches.len()];
        loop {
            let heads = next.iter_mut().enumerate().filter_map(|(batch, answers)| {
                let answer = answers.peek()?;
                Some((answer.time, answer.query, batch))
            });
            let Some((.., batch)) = heads.min() else { break };
            next[batch].next();
            self.lines.push(Line { batch: batch as u32, row: rows[batch] });
            rows[batch] += 1;
        }
    }

    /// Ends the output and says how many bytes went there.
    pub(super) fn finish(self) -> Result<u64, OutputError> {
        self.output.finish()?;
        Ok(self.bytes)
    }
}

/// Cuts rows of the given weights into ranges of about `size`.
fn cuts(weights: impl ExactSizeIterator<Item = usize>, size: usize) -> Vec<Range<usize>> {
    let (mut cuts, mut start, mut weight, end) = (Vec::new(), 0, 0, weights.len());
    for (row, added) in weights.enumerate() {
        weight += added;
        if weight >= size || row + 1 == end {
            cuts.push(start..row + 1);
            (start, weight) = (row + 1, 0);
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin::index::StripIndex;
    use dunlin::stream::Timestamp;
    use std::path::Path;

    #[test]
    fn lines_come_by_epoch_and_query_whatever_batch_they_are_in() {
        let index = StripIndex::default();
        let batch = |answers: &[(i64, usize)]| {
            let mut batch = Batch::default();
            for &(time, query) in answers {
                batch.add(query, Timestamp::from_millis_unchecked(time), &[], &index);
            }
            batch
        };
        let mut desk = Desk::new(Output::open(Path::new("-")).unwrap());
        let batches = [batch(&[(10, 2), (30, 0), (30, 4)]), batch(&[(10, 1), (20, 3), (30, 3)])];
        desk.put_in_order(&batches);
        let answers = desk.lines.iter().map(|line| {
            let answer = batches[line.batch as usize].answers()[line.row as usize];
            (answer.time.as_millis(), answer.query)
        });
        let expected = [(10, 1), (10, 2), (20, 3), (30, 0), (30, 3), (30, 4)];
        assert!(answers.eq(expected), "{:?}", desk.lines);
    }

    #[test]
    fn cuts_cover_every_row_once() {
        for size in 1..40 {
            let cuts = cuts((0..10).map(|row| 1 + row % 4), size);
            let rows: Vec<usize> = cuts.iter().cloned().flatten().collect();
            assert_eq!(rows, (0..10).collect::<Vec<_>>(), "size {size}");
        }
        assert!(cuts(std::iter::empty(), 1).is_empty());
    }
}
