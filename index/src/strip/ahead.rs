//! Reading ahead: memory is asked for what will be needed soon, while nobody waits for it.
//!
//! A search follows a chain (strip, cells, rows, positions), each link of which memory takes a
//! hundred nanoseconds to bring. Asking for the next links of many chains at a time, or for what a
//! chain will most likely need, hides most of that. A few lines are prefetched; of hundreds at a time a
//! processor drops some, so those are read.

use std::{hint, slice};

use prefetch_index::prefetch_index;

use super::{Interval, Row, StripIndex};
use crate::names::Slot;

/// Rows in a line of the cache.
pub(super) const ROWS_PER_LINE: usize = 5;

/// Stretches of rows to be prefetched together.
#[derive(Debug, Default)]
pub struct Ahead {
    /// Strip, first cell, end of cells.
    cells: Vec<(u32, u32, u32)>,
}

impl StripIndex {
    /// Prefetches where an object is.
    #[inline]
    pub fn prefetch(&self, slot: Slot) {
        prefetch_index(&self.positions, slot.index());
    }

    /// Reads where many objects are, so that it is in the cache.
    #[inline]
    pub fn read_ahead(&self, slots: &[Slot]) {
        let x = |slot: &Slot| self.positions.get(slot.index()).map_or(0, |at| at.x.to_bits());
        hint::black_box(slots.iter().fold(0, |seen, slot| seen ^ x(slot)));
    }

    /// Prefetches what tells the cells of the strips beside `strip`.
    #[inline]
    pub fn prefetch_beside(&self, strip: usize) {
        self.beside(strip).for_each(|strip| self.strips[strip].prefetch_head());
    }

    /// Prefetches where the rows about `y` are in the strips beside `strip`.
    #[inline]
    pub fn prefetch_cells_beside(&self, strip: usize, y: f64) {
        self.beside(strip).for_each(|strip| self.strips[strip].prefetch_cell(y as f32));
    }

    fn beside(&self, strip: usize) -> impl Iterator<Item = usize> {
        let is_there = |strip: &usize| *strip < self.strips.len();
        [strip.wrapping_sub(1), strip + 1].into_iter().filter(is_there)
    }

    /// Adds the rows of `strip` in an interval of y to those that are to be prefetched, and
    /// prefetches where they lie.
    #[inline]
    pub fn plan_ahead(&self, strip: usize, y: Interval, ahead: &mut Ahead) {
        let rows = &self.strips[strip];
        if let Some((first, end)) = rows.cells(y.min as f32, y.max as f32) {
            rows.prefetch_start(first);
            rows.prefetch_start(end);
            ahead.cells.push((strip as u32, first as u32, end as u32));
        }
    }

    /// Prefetches the rows that were to be; none are then.
    pub fn prefetch_planned(&self, ahead: &mut Ahead) {
        for (strip, first, end) in ahead.cells.drain(..) {
            prefetch_rows(self.strips[strip as usize].rows_of(first as usize, end as usize));
        }
    }
}

/// Prefetches `rows`.
#[inline]
pub fn prefetch_rows(rows: &[Row]) {
    (0..rows.len()).step_by(ROWS_PER_LINE).for_each(|row| prefetch_index(rows, row));
    prefetch_index(rows, rows.len().wrapping_sub(1));
}

/// Prefetches two lines of the cache on either side of `rows`: those of the cells beside them.
#[inline]
pub fn prefetch_neighbours(rows: &[Row]) {
    for distance in [ROWS_PER_LINE, 2 * ROWS_PER_LINE] {
        prefetch_index(rows, 0usize.wrapping_sub(distance));
        prefetch_index(rows, rows.len() + distance);
    }
}

/// Prefetches the line of the cache in which `value` begins.
#[inline]
pub(super) fn prefetch_value<T>(value: &T) {
    prefetch_index(slice::from_ref(value), 0);
}
