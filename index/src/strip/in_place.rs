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
    from: Coord,
    row: Row,
    old: Place,
    new: Place,
}

impl StripIndex {
    pub(super) fn move_in_place(&mut self, slots: &[Slot], to: &[Coord]) {
        let mut batch = std::mem::take(&mut self.batch);
        for (slots, to) in slots.chunks(BATCH).zip(to.chunks(BATCH)) {
            self.write_positions(slots, to, &mut batch);
            batch.iter_mut().for_each(|next| self.place(next));
            self.read_ahead(&batch);
            for done in 0..batch.len() {
                if self.move_one(batch[done]) {
                    // A strip was built anew and has other cells.
                    batch[done + 1..].iter_mut().for_each(|later| self.place(later));
                }
            }
        }
        self.batch = batch;
    }

    fn write_positions(&mut self, slots: &[Slot], to: &[Coord], batch: &mut Vec<Move>) {
        batch.clear();
        batch.extend(slots.iter().zip(to).map(|(&slot, &at)| {
            let from = std::mem::replace(&mut self.positions[slot.index()], at);
            Move { from, row: Row::new(at, slot), old: (0, 0), new: (0, 0) }
        }));
    }

    #[inline]
    fn place(&self, next: &mut Move) {
        next.old = self.cell(next.from.x as f32, next.from.y as f32);
        next.new = self.cell(next.row.x, next.row.y);
    }

    /// Reads the rows that the moves will read, and does nothing with them: memory answers many
    /// such reads at a time, while a move would wait for one after the other.
    fn read_ahead(&self, batch: &[Move]) {
        let mut cells: [&[Row]; 2 * BATCH] = [&[]; 2 * BATCH];
        let mut count = 0;
        for next in batch {
            let places = if next.old == next.new { &[next.old][..] } else { &[next.old, next.new] };
            for &(strip, cell) in places {
                cells[count] = self.strips[strip as usize].cell_rows(cell as usize);
                count += 1;
            }
        }
        let mut seen = 0;
        for rows in &cells[..count] {
            if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
                seen ^= first.slot.0 ^ last.slot.0;
            }
        }
        std::hint::black_box(seen);
    }

    /// Carries out a move; says whether a strip was built anew for it.
    #[inline]
    fn move_one(&mut self, next: Move) -> bool {
        let Move { from, row, old, new } = next;
        if from.x.is_nan() {
            self.len += 1;
        } else if old == new {
            self.strips[new.0 as usize].overwrite(new.1 as usize, row);
            return false;
        } else {
            self.strips[old.0 as usize].remove(old.1 as usize, row.slot);
        }
        self.strips[new.0 as usize].insert(new.1 as usize, row, &mut self.scratch)
    }

    /// The strip and the cell in it where an object belongs.
    #[inline]
    fn cell(&self, x: f32, y: f32) -> Place {
        let strip = self.directory.locate(x);
        (strip as u32, self.strips[strip].cell(y) as u32)
    }

    pub(super) fn remove_in_place(&mut self, slot: Slot) {
        let Some(at) = self.position(slot) else { return };
        let (strip, cell) = self.cell(at.x as f32, at.y as f32);
        self.strips[strip as usize].remove(cell as usize, slot);
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
