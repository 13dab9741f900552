//! One strip: its objects in y order, in flat columns with a little room in every cell.
//!
//! ```text
//! cells     |   0    | 1 |      2     |        cell c owns rows starts[c]..starts[c + 1]
//! rows      | a b c _| d _| e f g h _ |        its first lens[c] rows are objects, the rest gaps
//! ```
//!
//! Inside a cell the order is free, so removing is a swap, and inserting into a full cell shifts
//! one object per cell up to the next gap. A gap holds NaN: it fails every distance test, so a
//! stretch of y is scanned as one slice, gaps and all.

use std::ops::Range;

use geo::Coord;

use super::ruler::{Ruler, SAMPLE};
use crate::names::Slot;
use crate::space::Interval;

/// An object on its way into a strip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) at: Coord,
    pub(super) slot: Slot,
}

/// What a gap holds.
pub(super) const GAP: Coord = Coord { x: f64::NAN, y: f64::NAN };
/// The slot of a gap.
const NOBODY: Slot = Slot(u32::MAX);

/// Objects per cell when a strip is built: fewer, more exact scans; more, fewer cell bounds.
const CELL_TARGET: usize = 6;
/// Cells that an insertion looks at on either side for a gap before the strip is built anew.
const SHIFT_MAX: usize = 32;

/// The objects of one strip, in columns ordered by cells of y.
#[derive(Clone, Debug, Default)]
pub(super) struct Strip {
    ruler: Ruler,
    starts: Vec<u32>,
    lens: Vec<u32>,
    points: Vec<Coord>,
    slots: Vec<Slot>,
    len: usize,
    /// The strip was too full and could not be cut; not tried again before so many changes.
    pub(super) uncut_for: usize,
}

/// Working memory of [`Strip::build`], kept between calls.
#[derive(Debug, Default)]
pub(super) struct BuildScratch {
    cells: Vec<u32>,
}

impl Strip {
    /// How many objects the strip holds.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes the strip hold exactly the objects of `pieces`. O(objects), no comparison sort.
    pub(super) fn build<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [Entry]> + Clone,
        scratch: &mut BuildScratch,
    ) {
        self.len = pieces.clone().map(<[Entry]>::len).sum();
        self.uncut_for = 0;
        self.ruler = fit_ruler(pieces.clone(), self.len);
        let cell_count = self.ruler.cell_count();
        self.lens.clear();
        self.lens.resize(cell_count, 0);
        scratch.cells.clear();
        for entry in pieces.clone().flatten() {
            let cell = self.ruler.cell(entry.at.y);
            self.lens[cell] += 1;
            scratch.cells.push(cell as u32);
        }
        self.lay_out_cells();
        for (entry, &cell) in pieces.flatten().zip(&scratch.cells) {
            // Until here starts[c + 1] is where the next object of cell c goes.
            let row = &mut self.starts[cell as usize + 1];
            self.points[*row as usize] = entry.at;
            self.slots[*row as usize] = entry.slot;
            *row += 1;
        }
        self.close_cells();
    }

    /// Sets starts[c + 1] to the first row of cell c, with room behind every cell.
    fn lay_out_cells(&mut self) {
        self.starts.clear();
        self.starts.push(0);
        let mut row = 0;
        for &len in &self.lens {
            self.starts.push(row);
            row += len + room(len);
        }
        self.points.resize(row as usize, GAP);
        self.slots.resize(row as usize, NOBODY);
    }

    /// Turns the fill marks in `starts` into cell ends and marks the rows between as gaps.
    fn close_cells(&mut self) {
        for cell in 0..self.lens.len() {
            let filled = self.starts[cell + 1] as usize;
            let end = filled + room(self.lens[cell]) as usize;
            self.points[filled..end].fill(GAP);
            self.slots[filled..end].fill(NOBODY);
            self.starts[cell + 1] = end as u32;
        }
    }

    /// The rows of all objects whose y lies in `interval`, and of some others and gaps.
    #[inline]
    pub(super) fn rows(&self, interval: Interval) -> Range<usize> {
        if self.len == 0 || interval.is_empty() {
            return 0..0;
        }
        let (first, last) = (self.ruler.cell(interval.min), self.ruler.cell(interval.max));
        self.starts[first] as usize..self.starts[last + 1] as usize
    }

    /// The rows of at least `count` objects around `y`, or all rows.
    #[inline]
    pub(super) fn rows_around(&self, y: f64, count: usize) -> Range<usize> {
        if self.len <= count {
            return 0..self.points.len();
        }
        let cell = self.ruler.cell(y);
        let (mut first, mut last, mut seen) = (cell, cell, self.lens[cell] as usize);
        while seen < count {
            if first > 0 {
                first -= 1;
                seen += self.lens[first] as usize;
            }
            if last + 1 < self.lens.len() {
                last += 1;
                seen += self.lens[last] as usize;
            }
        }
        self.starts[first] as usize..self.starts[last + 1] as usize
    }

    /// The positions in `rows`; a gap is NaN.
    #[inline]
    pub(super) fn points(&self, rows: Range<usize>) -> &[Coord] {
        &self.points[rows]
    }

    /// The slots in `rows`.
    #[inline]
    pub(super) fn slots(&self, rows: Range<usize>) -> &[Slot] {
        &self.slots[rows]
    }

    /// The cell of `y`.
    #[inline]
    pub(super) fn cell(&self, y: f64) -> usize {
        self.ruler.cell(y)
    }

    /// Adds all objects to `entries`.
    pub(super) fn gather(&self, entries: &mut Vec<Entry>) {
        let rows = self.points.iter().zip(&self.slots).filter(|&(_, &slot)| slot != NOBODY);
        entries.extend(rows.map(|(&at, &slot)| Entry { at, slot }));
    }

    /// The row of `slot` in `cell`.
    #[inline]
    fn find(&self, cell: usize, slot: Slot) -> usize {
        let start = self.starts[cell] as usize;
        let rows = &self.slots[start..start + self.lens[cell] as usize];
        let offset = rows.iter().position(|&other| other == slot);
        start + offset.expect("an object lies in the cell of its position")
    }

    /// Moves an object inside `cell`.
    #[inline]
    pub(super) fn overwrite(&mut self, cell: usize, entry: Entry) {
        let row = self.find(cell, entry.slot);
        self.points[row] = entry.at;
    }

    /// Takes an object out of `cell`.
    #[inline]
    pub(super) fn remove(&mut self, cell: usize, slot: Slot) {
        let row = self.find(cell, slot);
        let last = (self.starts[cell] + self.lens[cell]) as usize - 1;
        self.points[row] = self.points[last];
        self.slots[row] = self.slots[last];
        self.points[last] = GAP;
        self.slots[last] = NOBODY;
        self.lens[cell] -= 1;
        self.len -= 1;
        self.uncut_for = self.uncut_for.saturating_sub(1);
    }

    /// Puts an object into `cell`.
    #[inline]
    pub(super) fn insert(&mut self, cell: usize, entry: Entry, scratch: &mut BuildScratch) {
        let row = self.starts[cell] + self.lens[cell];
        if row == self.starts[cell + 1] && !self.shift_up(cell) && !self.shift_down(cell) {
            let mut entries = Vec::with_capacity(self.len + 1);
            self.gather(&mut entries);
            entries.push(entry);
            let uncut_for = self.uncut_for;
            self.build(std::iter::once(entries.as_slice()), scratch);
            self.uncut_for = uncut_for.saturating_sub(1);
            return;
        }
        let row = (self.starts[cell] + self.lens[cell]) as usize;
        self.points[row] = entry.at;
        self.slots[row] = entry.slot;
        self.lens[cell] += 1;
        self.len += 1;
        self.uncut_for = self.uncut_for.saturating_sub(1);
    }

    #[inline]
    fn has_gap(&self, cell: usize) -> bool {
        self.starts[cell] + self.lens[cell] < self.starts[cell + 1]
    }

    fn move_row(&mut self, from: usize, to: usize) {
        self.points[to] = self.points[from];
        self.slots[to] = self.slots[from];
        self.points[from] = GAP;
        self.slots[from] = NOBODY;
    }

    /// Opens a gap in the full `cell` by passing one object per cell up to a gap above it.
    fn shift_up(&mut self, cell: usize) -> bool {
        let end = self.lens.len().min(cell + 1 + SHIFT_MAX);
        let Some(gap) = (cell + 1..end).find(|&above| self.has_gap(above)) else { return false };
        for above in (cell + 1..=gap).rev() {
            let start = self.starts[above] as usize;
            if self.lens[above] > 0 {
                self.move_row(start, start + self.lens[above] as usize);
            }
            self.starts[above] += 1;
        }
        true
    }

    /// The same downwards; the new gap is the first row of `cell`, so its last object moves there.
    fn shift_down(&mut self, cell: usize) -> bool {
        let end = cell.saturating_sub(SHIFT_MAX);
        let Some(gap) = (end..cell).rev().find(|&below| self.has_gap(below)) else { return false };
        for above in gap + 1..=cell {
            self.starts[above] -= 1;
            let start = self.starts[above] as usize;
            if self.lens[above] > 0 {
                self.move_row(start + self.lens[above] as usize, start);
            }
        }
        true
    }

    /// Panics unless the columns are as the file's head draws them; for tests.
    pub(super) fn assert_valid(&self) {
        let mut seen = 0;
        for cell in 0..self.lens.len() {
            let (start, end) = (self.starts[cell] as usize, self.starts[cell + 1] as usize);
            let filled = start + self.lens[cell] as usize;
            assert!(start <= filled && filled <= end, "cell {cell} overflows");
            for row in start..end {
                let gap = row >= filled;
                assert_eq!(self.slots[row] == NOBODY, gap, "row {row} of cell {cell}");
                assert_eq!(self.points[row].x.is_nan(), gap, "row {row} of cell {cell}");
                assert!(gap || self.ruler.cell(self.points[row].y) == cell, "row {row} misplaced");
            }
            seen += self.lens[cell] as usize;
        }
        assert_eq!(seen, self.len, "count of the strip");
        assert_eq!(self.starts.last().map_or(0, |&end| end as usize), self.points.len());
    }
}

/// Gaps left behind a cell of `len` objects.
#[inline]
fn room(len: u32) -> u32 {
    1 + len / 8
}

/// A ruler from an even sample of the pieces' y.
fn fit_ruler<'a>(pieces: impl Iterator<Item = &'a [Entry]>, len: usize) -> Ruler {
    let stride = len.div_ceil(SAMPLE).max(1);
    let mut sample = [0.0; SAMPLE];
    let (mut taken, mut skip) = (0, 0);
    for piece in pieces {
        while skip < piece.len() {
            sample[taken] = piece[skip].at.y;
            taken += 1;
            skip += stride;
        }
        skip -= piece.len();
    }
    Ruler::fit(&mut sample[..taken], len / CELL_TARGET)
}
