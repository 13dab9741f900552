//! The in-place path: each mover leaves its cell and enters another, the rest stays untouched.
//!
//! The table of positions tells where the object was, so no second table from objects to rows has
//! to be kept: its old strip and cell follow from its old position, its row from a look at a few
//! slots.

use geo::Coord;
use rayon::prelude::*;
use smallvec::SmallVec;

use super::balance;
use super::directory::Directory;
use super::rebuild::split_rows;
use super::rows::{BuildScratch, Row, Strip};
use super::{ABSENT, Occupancy, StripIndex};
use crate::names::Slot;

/// Movers that are looked up together: more, more reads at a time; fewer, more of what was read is
/// still in the cache when it is used.
const BATCH: usize = 128;
/// Movers that are handed to threads together, and from how many on.
const SHARED_BATCH: usize = 16 * 1_024;
const SHARED_MIN: usize = 4 * 1_024;
/// The most threads that share the strips: each looks at all movers for its own.
const SHARERS_MAX: usize = 8;

/// A strip and a cell in it.
type Place = (u32, u32);

/// A mover with where it was (NaN if nowhere) and where it will be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    from: (f32, f32),
    row: Row,
    old: Place,
    new: Place,
}

impl StripIndex {
    /// Moves objects one by one. Threads share the strips, not the movers: in each strip things
    /// happen in the movers' order, however many threads there are.
    pub(super) fn move_in_place(&mut self, slots: &[Slot], to: &[Coord]) {
        let is_shared = slots.len() >= SHARED_MIN && rayon::current_num_threads() > 1;
        let batch_len = if is_shared { SHARED_BATCH } else { BATCH };
        let mut batch = std::mem::take(&mut self.batch);
        for (slots, to) in slots.chunks(batch_len).zip(to.chunks(batch_len)) {
            self.write_positions(slots, to, &mut batch);
            if is_shared {
                batch.par_chunks_mut(BATCH).for_each(|moves| self.place(moves));
                self.move_shared(&batch);
            } else {
                self.place(&mut batch);
                let part = Part { first: 0, strips: &mut self.strips, rebuilt: SmallVec::new() };
                part.carry_out(&batch, &mut self.scratch);
            }
        }
        self.batch = batch;
    }

    /// Carries out moves, each thread those in its strips.
    fn move_shared(&mut self, batch: &[Move]) {
        let sharers = rayon::current_num_threads().min(SHARERS_MAX);
        let share = self.len / sharers + 1;
        let (mut parts, mut rest, mut first) = (Vec::new(), &mut self.strips[..], 0);
        while !rest.is_empty() {
            let mut held = 0;
            let count = rest.iter().take_while(|strip| {
                let is_open = held < share;
                held += strip.len();
                is_open
            });
            let (strips, others) = rest.split_at_mut(count.count());
            let next = first + strips.len();
            parts.push(Part { first, strips, rebuilt: SmallVec::new() });
            (rest, first) = (others, next);
        }
        parts.into_par_iter().with_max_len(1).for_each(|part| {
            let own = batch.iter().filter(|next| part.has(next.old) || part.has(next.new));
            let own: Vec<Move> = own.copied().collect();
            part.carry_out(&own, &mut BuildScratch::default());
        });
    }

    fn write_positions(&mut self, slots: &[Slot], to: &[Coord], batch: &mut Vec<Move>) {
        batch.clear();
        for (slots, to) in slots.chunks(BATCH).zip(to.chunks(BATCH)) {
            slots.iter().for_each(|&slot| self.prefetch(slot));
            batch.extend(slots.iter().zip(to).map(|(&slot, &at)| {
                let from = std::mem::replace(&mut self.positions[slot.index()], at);
                self.len += usize::from(from.x.is_nan());
                let from = (from.x as f32, from.y as f32);
                Move { from, row: Row::new(at, slot), old: (0, 0), new: (0, 0) }
            }));
        }
    }

    /// Finds the strips and cells of moves.
    fn place(&self, moves: &mut [Move]) {
        for Move { from, row, old, new, .. } in moves.iter_mut() {
            let strip = self.directory.locate(from.0);
            old.0 = strip as u32;
            let stays = self.directory.holds(strip, row.x);
            new.0 = if stays { strip } else { self.directory.locate(row.x) } as u32;
        }
        for Move { from, row, old, new, .. } in moves {
            old.1 = self.strips[old.0 as usize].cell(from.1) as u32;
            new.1 = self.strips[new.0 as usize].cell(row.y) as u32;
        }
    }
}

/// Neighbouring strips, while moves are carried out in them.
struct Part<'a> {
    /// The number of the first.
    first: usize,
    strips: &'a mut [Strip],
    /// Those that were built anew: they have other cells than when the moves were placed.
    rebuilt: SmallVec<[usize; 8]>,
}

impl Part<'_> {
    /// Carries out, of moves, what happens in these strips.
    fn carry_out(mut self, batch: &[Move], scratch: &mut BuildScratch) {
        for moves in batch.chunks(BATCH) {
            self.read_ahead(moves);
            moves.iter().for_each(|next| self.move_one(next, scratch));
        }
    }

    /// Whether a place is here.
    #[inline]
    fn has(&self, (strip, _): Place) -> bool {
        (strip as usize).wrapping_sub(self.first) < self.strips.len()
    }

    /// The strip, counted from the first, and the cell of a place; `None` if it is not here.
    #[inline]
    fn here(&self, (strip, cell): Place, y: f32) -> Option<(usize, usize)> {
        let strip = (strip as usize).wrapping_sub(self.first);
        if strip >= self.strips.len() {
            return None;
        }
        let is_placed = self.rebuilt.is_empty() || !self.rebuilt.contains(&strip);
        Some((strip, if is_placed { cell as usize } else { self.strips[strip].cell(y) }))
    }

    /// Reads ahead the rows that the moves will read. Where they begin is read in short loops, in
    /// which memory answers many reads at a time: one over the old cells, one over the cells of
    /// those that leave theirs, which are few. The rows are read, not prefetched: of so many
    /// prefetches at a time a processor drops some.
    fn read_ahead(&self, moves: &[Move]) {
        let mut first_rows = [(0, 0); 2 * BATCH];
        let mut count = 0;
        let mut add = |(strip, cell): (usize, usize)| {
            first_rows[count] = (strip, self.strips[strip].first_row(cell));
            count += 1;
        };
        for next in moves {
            self.here(next.old, next.from.1).map(&mut add);
        }
        for next in moves.iter().filter(|next| next.old != next.new) {
            self.here(next.new, next.row.y).map(&mut add);
        }
        let touch = |&(strip, row): &(usize, u32)| self.strips[strip].touch(row);
        let rows = first_rows[..count].iter().map(touch);
        std::hint::black_box(rows.fold(0, |seen, row| seen ^ row));
    }

    /// Carries out, of a move, what happens here.
    #[inline]
    fn move_one(&mut self, next: &Move, scratch: &mut BuildScratch) {
        let old = self.here(next.old, next.from.1).filter(|_| !next.from.0.is_nan());
        let new = self.here(next.new, next.row.y);
        if let (true, Some((strip, cell))) = (old == new, new) {
            return self.strips[strip].overwrite(cell, next.row);
        }
        if let Some((strip, cell)) = old {
            self.strips[strip].remove(cell, next.row.slot);
        }
        if let Some((strip, cell)) = new
            && self.strips[strip].insert(cell, next.row, scratch)
        {
            self.rebuilt.push(strip);
        }
    }
}

impl StripIndex {
    pub(super) fn remove_in_place(&mut self, slot: Slot) {
        let Some(at) = self.position(slot) else { return };
        let strip = &mut self.strips[self.directory.locate(at.x as f32)];
        let cell = strip.cell(at.y as f32);
        strip.remove(cell, slot);
        self.positions[slot.index()] = ABSENT;
        self.len -= 1;
    }

    /// Splits and merges until every strip is as it should be or cannot be.
    pub(super) fn restore_balance(&mut self) {
        if self.needs_retuning() {
            self.rebuild(&[], &[], true);
        }
        let lowers = self.directory.lowers().to_vec();
        let (strips, bounds, scratch) = (&mut self.strips, self.occupancy, &mut self.scratch);
        let mut plan = Plan { lowers, strips, bounds, scratch };
        if balance::restore(&mut plan, bounds) {
            self.directory = Directory::new(plan.lowers);
            self.layout_version += 1;
        }
    }
}

/// The strips with their lower borders, while these change.
struct Plan<'a> {
    lowers: Vec<f32>,
    strips: &'a mut Vec<Strip>,
    bounds: Occupancy,
    scratch: &'a mut BuildScratch,
}

impl balance::Strips for Plan<'_> {
    fn count(&self) -> usize {
        self.strips.len()
    }

    fn len(&self, strip: usize) -> usize {
        self.strips[strip].len()
    }

    fn height(&self, strip: usize) -> f32 {
        self.strips[strip].height()
    }

    fn lower(&self, strip: usize) -> f32 {
        self.lowers[strip]
    }

    fn merge(&mut self, upper: usize) {
        let mut rows = Vec::new();
        self.strips.remove(upper).gather(&mut rows);
        self.lowers.remove(upper);
        let union = &mut self.strips[upper - 1];
        union.gather(&mut rows);
        union.build(std::iter::once(rows.as_slice()), self.scratch);
    }

    fn split(&mut self, strip: usize) -> bool {
        // Where it was not possible, it is not tried again for a while.
        if self.strips[strip].uncut_for > 0 {
            return false;
        }
        let mut rows = Vec::new();
        self.strips[strip].gather(&mut rows);
        let Some((border, low, high)) = split_rows(&mut rows, self.bounds) else {
            self.strips[strip].uncut_for = self.bounds.strip_min();
            return false;
        };
        let mut upper = self.strips[strip].sibling();
        upper.build(std::iter::once(high), self.scratch);
        self.strips[strip].build(std::iter::once(low), self.scratch);
        self.strips.insert(strip + 1, upper);
        self.lowers.insert(strip + 1, border);
        true
    }
}
