//! The in-place path: each mover leaves its cell and enters another, the rest stays untouched.
//!
//! The table of positions tells where the object was, so no second table from objects to rows has
//! to be kept: its old strip and cell follow from its old position, its row from a look at a few
//! slots.

use geo::Coord;

use super::balance;
use super::directory::Directory;
use super::rebuild::split_rows;
use super::rows::{BuildScratch, Row, Strip};
use super::{ABSENT, Occupancy, StripIndex};
use crate::names::Slot;

/// Movers that are looked up together: more, more reads at a time; fewer, more of what was read is
/// still in the cache when it is used.
const BATCH: usize = 256;

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
    pub(super) fn move_in_place(&mut self, slots: &[Slot], to: &[Coord]) {
        let mut batch = std::mem::take(&mut self.batch);
        for (slots, to) in slots.chunks(BATCH).zip(to.chunks(BATCH)) {
            self.write_positions(slots, to, &mut batch);
            self.place(&mut batch);
            self.read_ahead(&batch);
            for done in 0..batch.len() {
                if self.move_one(batch[done]) {
                    // A strip was built anew and has other cells.
                    self.place(&mut batch[done + 1..]);
                }
            }
        }
        self.batch = batch;
    }

    fn write_positions(&mut self, slots: &[Slot], to: &[Coord], batch: &mut Vec<Move>) {
        // Read ahead, as below.
        let touch = |seen: u64, slot: &Slot| seen ^ self.positions[slot.index()].x.to_bits();
        std::hint::black_box(slots.iter().fold(0, touch));
        batch.clear();
        batch.extend(slots.iter().zip(to).map(|(&slot, &at)| {
            let from = std::mem::replace(&mut self.positions[slot.index()], at);
            let from = (from.x as f32, from.y as f32);
            Move { from, row: Row::new(at, slot), old: (0, 0), new: (0, 0) }
        }));
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

    /// Reads what the moves will read, and does nothing with it: memory answers many such reads at
    /// a time, while a move would wait for one after the other. The shorter the loops, the more
    /// reads are under way; so the cells are looked up in one and the rows read in the next.
    fn read_ahead(&self, batch: &[Move]) {
        let mut first_rows = [(0, 0); 2 * BATCH];
        let (mut count, mut seen) = (0, 0);
        for &Move { old, new, .. } in batch {
            first_rows[count] = (old.0, self.strips[old.0 as usize].first_row(old.1 as usize));
            count += 1;
            if old != new {
                first_rows[count] = (new.0, self.strips[new.0 as usize].first_row(new.1 as usize));
                count += 1;
                seen ^= self.strips[old.0 as usize].cell_len(old.1 as usize);
                seen ^= self.strips[new.0 as usize].cell_len(new.1 as usize);
            }
        }
        let touch = |&(strip, row): &Place| self.strips[strip as usize].touch(row);
        let rows = first_rows[..count].iter().map(touch);
        std::hint::black_box(rows.fold(seen, |seen, row| seen ^ row));
    }

    /// Carries out a move; says whether a strip was built anew for it.
    #[inline]
    fn move_one(&mut self, next: Move) -> bool {
        let Move { from, row, old, new } = next;
        if from.0.is_nan() {
            self.len += 1;
        } else if old == new {
            self.strips[new.0 as usize].overwrite(new.1 as usize, row);
            return false;
        } else {
            self.strips[old.0 as usize].remove(old.1 as usize, row.slot);
        }
        self.strips[new.0 as usize].insert(new.1 as usize, row, &mut self.scratch)
    }

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
            self.rebuild(&[], &[]);
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
