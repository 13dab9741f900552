//! The whole-epoch path: lay all objects out anew in one pass over flat columns.
//!
//! ```text
//! positions (by slot) ──┬─ chunk 0 ─> its entries, grouped by strip ─┐
//!                       ├─ chunk 1 ─> its entries, grouped by strip ─┼─> strip 0 | strip 1 | …
//!                       └─ …                                         ┘    cells of y
//! ```
//!
//! A chunk fits the second-level cache, so grouping by strip touches memory once; chunks, and
//! afterwards strips, are independent and run in parallel. Chunks have a fixed size, so the layout
//! does not depend on the number of threads. Splits and merges happen between the two halves, on
//! the cuts between groups: merging two strips removes a cut, splitting one adds a cut.

use geo::Coord;
use rayon::prelude::*;

use super::ahead::ROWS_PER_LINE;
use super::balance;
use super::directory::Directory;
use super::rows::{BuildScratch, Row, Strip};
use super::{Occupancy, StripIndex};
use crate::names::Slot;

/// Objects per chunk: 16 bytes each in, 12 out.
const CHUNK: usize = 1 << 16;
/// Objects of a chunk that are written and looked at together, in the first-level cache.
const BLOCK: usize = 1 << 10;

/// Working memory of a rebuild, kept between epochs.
#[derive(Debug, Default)]
pub(super) struct Staging {
    chunks: Vec<Chunk>,
}

#[derive(Debug, Default)]
struct Chunk {
    strips: Vec<u32>,
    entries: Vec<Row>,
    /// Where each strip's entries begin, and, at the end, where the last strip's end.
    cuts: Vec<u32>,
}

#[cfg(test)]
impl Staging {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

impl StripIndex {
    /// Moves `slots` to `to`, lays all objects out anew and restores the strips' occupancy. The
    /// heart of the whole-epoch path.
    pub(super) fn rebuild(&mut self, slots: &[Slot], to: &[Coord], is_in_order: bool) {
        let mut chunks = std::mem::take(&mut self.staging.chunks);
        // Others are written before, on one thread.
        let (slots, to) = if is_in_order {
            (slots, to)
        } else {
            self.len += write_positions(&mut self.positions, 0, slots, to);
            (&[][..], &[][..])
        };
        self.write_and_group(slots, to, &mut chunks);
        self.retune();
        let lowers = self.directory.lowers().to_vec();
        let mut plan = Plan::new(lowers, &mut self.strips, &mut chunks, self.occupancy);
        if balance::restore(&mut plan, self.occupancy) {
            self.directory = Directory::new(plan.lowers);
            self.layout_version += 1;
        }
        self.strips.par_iter_mut().enumerate().with_min_len(4).for_each_init(
            BuildScratch::default,
            |scratch, (index, strip)| {
                strip.build(chunks.iter().map(|chunk| chunk.strip(index)), scratch);
            },
        );
        self.staging.chunks = chunks;
        self.calm_epochs = 0;
    }

    /// Writes the new positions of slots in rising order and groups all objects by strip, chunk by
    /// chunk while it is in the cache.
    fn write_and_group(&mut self, slots: &[Slot], to: &[Coord], chunks: &mut Vec<Chunk>) {
        chunks.resize_with(self.positions.len().div_ceil(CHUNK), Chunk::default);
        let directory = &self.directory;
        let group = |(index, (chunk, positions)): (usize, (&mut Chunk, &mut [Coord]))| {
            let first = index * CHUNK;
            let start = slots.partition_point(|slot| slot.index() < first);
            chunk.group(directory, positions, first, (&slots[start..], &to[start..]))
        };
        let all = chunks.par_iter_mut().zip(self.positions.par_chunks_mut(CHUNK)).enumerate();
        self.len += all.map(group).sum::<usize>();
    }
}

/// Writes positions of slots that begin at `first`; how many of them were absent.
fn write_positions(positions: &mut [Coord], first: usize, slots: &[Slot], to: &[Coord]) -> usize {
    let mut entered = 0;
    for (slot, &at) in slots.iter().zip(to) {
        let position = &mut positions[slot.index() - first];
        entered += usize::from(position.x.is_nan());
        *position = at;
    }
    entered
}

impl Chunk {
    /// Writes the movers' positions and groups the present objects by strip. The first position has
    /// slot `first_slot`; the movers are in order of slots from there on. Says how many entered.
    fn group(
        &mut self,
        directory: &Directory,
        positions: &mut [Coord],
        first_slot: usize,
        (mut slots, mut to): (&[Slot], &[Coord]),
    ) -> usize {
        let absent = directory.len();
        self.cuts.clear();
        self.cuts.resize(absent + 2, 0);
        self.strips.clear();
        let mut entered = 0;
        for (index, block) in positions.chunks_mut(BLOCK).enumerate() {
            let first = first_slot + index * BLOCK;
            let near = &slots[..slots.len().min(BLOCK)];
            let count = near.partition_point(|slot| slot.index() < first + block.len());
            entered += write_positions(block, first, &slots[..count], &to[..count]);
            (slots, to) = (&slots[count..], &to[count..]);
            self.count_strips(directory, block);
        }
        for strip in 0..=absent {
            self.cuts[strip + 1] += self.cuts[strip];
        }
        self.entries.resize(positions.len(), Row::GAP);
        // Brings the lines into the cache in their order: scattered writes would wait for each.
        self.entries.iter_mut().step_by(ROWS_PER_LINE).for_each(|row| *row = Row::GAP);
        let mut next = self.cuts.clone();
        let entries = self.entries.as_mut_slice();
        let slots = (first_slot as u32..).map(Slot);
        for ((&at, &strip), slot) in positions.iter().zip(&self.strips).zip(slots) {
            let row = &mut next[strip as usize];
            entries[*row as usize] = Row::new(at, slot);
            *row += 1;
        }
        self.cuts.truncate(absent + 1);
        entered
    }

    /// Finds and counts the strips of some positions.
    fn count_strips(&mut self, directory: &Directory, positions: &[Coord]) {
        let start = self.strips.len();
        self.strips.extend(positions.iter().map(|at| directory.step(at.x as f32)));
        let counts = &mut self.cuts[1..];
        for (at, strip) in positions.iter().zip(&mut self.strips[start..]) {
            let found = directory.locate_in(*strip, at.x as f32);
            let found = if at.x.is_nan() { directory.len() } else { found };
            counts[found] += 1;
            *strip = found as u32;
        }
    }

    fn strip(&self, strip: usize) -> &[Row] {
        &self.entries[self.cuts[strip] as usize..self.cuts[strip + 1] as usize]
    }
}

/// The strips to be: their lower borders, and in every chunk the cuts between them.
struct Plan<'a> {
    lowers: Vec<f32>,
    lens: Vec<usize>,
    strips: &'a mut Vec<Strip>,
    chunks: &'a mut [Chunk],
    bounds: Occupancy,
}

impl balance::Strips for Plan<'_> {
    fn count(&self) -> usize {
        self.lens.len()
    }

    fn len(&self, strip: usize) -> usize {
        self.lens[strip]
    }

    fn height(&self, strip: usize) -> f32 {
        self.strips[strip].height()
    }

    fn lower(&self, strip: usize) -> f32 {
        self.lowers[strip]
    }

    fn merge(&mut self, upper: usize) {
        self.lens[upper - 1] += self.lens.remove(upper);
        self.lowers.remove(upper);
        let (below, above) = (self.strips[upper - 1].height(), self.strips[upper].height());
        self.strips.remove(if below >= above { upper } else { upper - 1 });
        for chunk in self.chunks.iter_mut() {
            chunk.cuts.remove(upper);
        }
    }

    fn split(&mut self, strip: usize) -> bool {
        let entries = self.chunks.iter().flat_map(|chunk| chunk.strip(strip));
        let mut xs: Vec<f32> = entries.map(|entry| entry.x).collect();
        let Some(border) = median_cut(&mut xs, self.bounds) else { return false };
        let mut low_count = 0;
        for chunk in self.chunks.iter_mut() {
            let (start, end) = (chunk.cuts[strip], chunk.cuts[strip + 1]);
            let entries = &mut chunk.entries[start as usize..end as usize];
            let low = partition(entries, border);
            chunk.cuts.insert(strip + 1, start + low as u32);
            low_count += low;
        }
        let high_count = self.lens[strip] - low_count;
        self.lens[strip] = low_count;
        self.lens.insert(strip + 1, high_count);
        self.lowers.insert(strip + 1, border);
        self.strips.insert(strip + 1, self.strips[strip].sibling());
        true
    }
}

impl<'a> Plan<'a> {
    fn new(
        lowers: Vec<f32>,
        strips: &'a mut Vec<Strip>,
        chunks: &'a mut [Chunk],
        bounds: Occupancy,
    ) -> Self {
        let len = |strip| chunks.iter().map(|chunk: &Chunk| chunk.strip(strip).len()).sum();
        let lens = (0..lowers.len()).map(len).collect();
        Self { lowers, lens, strips, chunks, bounds }
    }
}

/// The x nearest the median at which a strip of `xs` can be cut so that both sides keep
/// `strip_min` objects; reorders `xs`. Equal x stay together, so there may be none.
pub(super) fn median_cut(xs: &mut [f32], bounds: Occupancy) -> Option<f32> {
    let half = xs.len() / 2;
    let (_, &mut median, _) = xs.select_nth_unstable_by(half, f32::total_cmp);
    let below = xs.iter().filter(|&&x| x < median).count();
    let through = xs.iter().filter(|&&x| x <= median).count();
    let next = xs.iter().copied().filter(|&x| x > median).min_by(f32::total_cmp);
    let legal = bounds.strip_min()..=xs.len() - bounds.strip_min();
    [Some((below, median)), next.map(|next| (through, next))]
        .into_iter()
        .flatten()
        .filter(|(low_count, _)| legal.contains(low_count))
        .min_by_key(|(low_count, _)| low_count.abs_diff(half))
        .map(|(_, border)| border)
}

/// Brings the entries left of `border` to the front; their number.
fn partition(entries: &mut [Row], border: f32) -> usize {
    let mut low = 0;
    for row in 0..entries.len() {
        if entries[row].x < border {
            entries.swap(low, row);
            low += 1;
        }
    }
    low
}

/// Cuts `entries` in two at the median, as [`median_cut`] finds it: the border and the two sides.
pub(super) fn split_rows(entries: &mut [Row], bounds: Occupancy) -> Option<(f32, &[Row], &[Row])> {
    let mut xs: Vec<f32> = entries.iter().map(|entry| entry.x).collect();
    let border = median_cut(&mut xs, bounds)?;
    let low = partition(entries, border);
    let (low, high) = entries.split_at(low);
    Some((border, low, high))
}
