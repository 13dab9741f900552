//! The in-place path: each mover leaves its cell and enters another, the rest stays untouched.
//!
//! The table of positions tells where the object was, so no second table from objects to rows has
//! to be kept: its old strip and cell follow from its old position, its row from a look at a few
//! slots.

use geo::Coord;

use super::directory::Directory;
use super::rebuild::{split_entries, upper_of_merge};
use super::strip::{Row, Strip};
use super::{ABSENT, StripIndex};
use crate::names::Slot;

impl StripIndex {
    pub(super) fn move_in_place(&mut self, slots: &[Slot], to: &[Coord]) {
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

    /// Splits and merges until every strip is within bounds or cannot be.
    pub(super) fn restore_occupancy(&mut self) {
        if self.needs_retuning() {
            return self.rebuild(&[], &[]);
        }
        let bounds = self.occupancy;
        let mut lowers = None;
        let mut strip = 0;
        while strip < self.strips.len() {
            let len = self.strips[strip].len();
            if len < bounds.strip_min() && self.strips.len() > 1 {
                let lowers = lowers.get_or_insert_with(|| self.directory.lowers().to_vec());
                strip = self.merge_in_place(strip, lowers);
            } else if len > bounds.strip_max() && self.strips[strip].uncut_for == 0 {
                let lowers = lowers.get_or_insert_with(|| self.directory.lowers().to_vec());
                self.split_in_place(strip, lowers);
            } else {
                strip += 1;
            }
        }
        if let Some(lowers) = lowers {
            self.directory = Directory::new(lowers);
            self.layout_version += 1;
        }
    }

    fn merge_in_place(&mut self, strip: usize, lowers: &mut Vec<f32>) -> usize {
        let right = upper_of_merge(strip, self.strips.len(), |strip| self.strips[strip].len());
        let mut entries = Vec::new();
        self.strips.remove(right).gather(&mut entries);
        lowers.remove(right);
        let union = &mut self.strips[right - 1];
        union.gather(&mut entries);
        union.build(std::iter::once(entries.as_slice()), &mut self.scratch);
        right - 1
    }

    /// Splits `strip`, or marks it as one that cannot be cut for now.
    fn split_in_place(&mut self, strip: usize, lowers: &mut Vec<f32>) {
        let mut entries = Vec::new();
        self.strips[strip].gather(&mut entries);
        let Some((border, low, high)) = split_entries(&mut entries, self.occupancy) else {
            self.strips[strip].uncut_for = self.occupancy.strip_min();
            return;
        };
        let mut upper = Strip::default();
        upper.build(std::iter::once(high), &mut self.scratch);
        self.strips[strip].build(std::iter::once(low), &mut self.scratch);
        self.strips.insert(strip + 1, upper);
        lowers.insert(strip + 1, border);
    }
}
