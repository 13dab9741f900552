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

/// Movers that are read ahead together.
const READ_AHEAD: usize = 32;

impl StripIndex {
    pub(super) fn move_in_place(&mut self, slots: &[Slot], to: &[Coord]) {
        for (slots, to) in slots.chunks(READ_AHEAD).zip(to.chunks(READ_AHEAD)) {
            self.read_ahead(slots, to);
            self.move_each(slots, to);
        }
    }

    /// Reads what moving will read, and does nothing with it: memory answers many such reads at a
    /// time, while a move waits for one after the other.
    fn read_ahead(&self, slots: &[Slot], to: &[Coord]) {
        let mut seen = 0;
        for (&slot, &at) in slots.iter().zip(to) {
            for at in [self.positions[slot.index()], at] {
                let (strip, cell) = self.cell(at);
                seen ^= self.strips[strip].first_slot(cell).0;
            }
        }
        std::hint::black_box(seen);
    }

    fn move_each(&mut self, slots: &[Slot], to: &[Coord]) {
        for (&slot, &at) in slots.iter().zip(to) {
            let from = std::mem::replace(&mut self.positions[slot.index()], at);
            let row = Row::new(at, slot);
            let (strip, cell) = self.cell(at);
            if from.x.is_nan() {
                self.len += 1;
            } else {
                let (old_strip, old_cell) = self.cell(from);
                if (old_strip, old_cell) == (strip, cell) {
                    self.strips[strip].overwrite(cell, row);
                    continue;
                }
                self.strips[old_strip].remove(old_cell, slot);
            }
            self.strips[strip].insert(cell, row, &mut self.scratch);
        }
    }

    /// The strip and the cell in it where an object at `at` belongs.
    #[inline]
    fn cell(&self, at: Coord) -> (usize, usize) {
        let strip = self.directory.locate(at.x as f32);
        (strip, self.strips[strip].cell(at.y as f32))
    }

    pub(super) fn remove_in_place(&mut self, slot: Slot) {
        let Some(at) = self.position(slot) else { return };
        let (strip, cell) = self.cell(at);
        self.strips[strip].remove(cell, slot);
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
