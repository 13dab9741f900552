//! Reading ahead: memory answers many reads at a time, while who needs what is read waits for each.
//!
//! What is read here is of no use but to be in the cache afterwards.

use std::hint::black_box;

use super::{Interval, Row, StripIndex};
use crate::names::Slot;

/// Rows in a line of the cache.
const ROWS_PER_LINE: usize = 5;

/// Stretches of rows to be read ahead together. Where they lie is read for all of them before any
/// row is, so that no stretch waits for another.
#[derive(Debug, Default)]
pub struct Ahead {
    /// Strip, first cell, end of cells.
    cells: Vec<(u32, u32, u32)>,
}

impl StripIndex {
    /// Reads where objects are.
    pub fn read_ahead(&self, slots: impl Iterator<Item = Slot>) {
        let touch = |seen: u64, slot: Slot| {
            seen ^ self.positions.get(slot.index()).map_or(0, |at| at.x.to_bits())
        };
        black_box(slots.fold(0, touch));
    }

    /// Adds the rows of `strip` in an interval of y to those that are to be read ahead, and reads
    /// where they lie.
    #[inline]
    pub fn plan_ahead(&self, strip: usize, y: Interval, ahead: &mut Ahead) {
        if let Some((first, end)) = self.strips[strip].cells(y.min as f32, y.max as f32) {
            let strip_rows = &self.strips[strip];
            black_box(strip_rows.first_row(first) ^ strip_rows.first_row(end));
            ahead.cells.push((strip as u32, first as u32, end as u32));
        }
    }

    /// Reads the rows that were to be read ahead; none are then.
    pub fn read_planned(&self, ahead: &mut Ahead) {
        let mut seen = 0;
        for (strip, first, end) in ahead.cells.drain(..) {
            let rows = self.strips[strip as usize].rows_of(first as usize, end as usize);
            seen ^= read_lines(rows);
        }
        black_box(seen);
    }
}

/// Reads a row of each line of the cache in which `rows` lie; what to give to `black_box`.
#[inline]
#[must_use]
pub fn read_lines(rows: &[Row]) -> u32 {
    let lines = rows.iter().step_by(ROWS_PER_LINE).chain(rows.last());
    lines.fold(0, |seen, row| seen ^ row.slot.0)
}
