//! One strip: its objects in y order, in flat columns with a little room in every cell.
//!
//! ```text
//! cells     |   0    | 1 |      2     |        cell c owns rows starts[c]..starts[c + 1]
//! rows      | a b c _| d _| e f g h _ |        objects first, then gaps
//! ```
//!
//! Inside a cell the order is free, so removing is a swap, and inserting into a full cell shifts
//! one object per cell up to the next gap. A gap holds NaN: it is inside no window, so a stretch of
//! y is scanned as one slice, gaps and all. Rows are 12 bytes: half the memory of exact positions
//! to move at every epoch, and to read for a query. How many objects a cell holds is nowhere
//! written: who changes a cell reads its rows anyway.

use std::ops::RangeInclusive;

use geo::Coord;
use prefetch_index::prefetch_index;

use super::ahead::prefetch_value;
use super::ruler::Ruler;
use crate::names::Slot;

/// An object and its position, rounded to 32 bits each.
///
/// Rounding to nearest never reorders two values. So an object inside a window is, after rounding,
/// inside the rounded window: rows decide which objects to look at, never which to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// x; NaN in a row that holds no object.
    pub x: f32,
    /// y; NaN in a row that holds no object.
    pub y: f32,
    /// The object.
    pub slot: Slot,
}

impl Row {
    /// A row without an object.
    pub(super) const GAP: Self = Self { x: f32::NAN, y: f32::NAN, slot: NOBODY };

    #[inline]
    pub(super) fn new(at: Coord, slot: Slot) -> Self {
        Self { x: at.x as f32, y: at.y as f32, slot }
    }
}

/// The slot of a gap.
const NOBODY: Slot = Slot(u32::MAX);

/// A strip gets a new ruler when its cells are so much more crowded than when it got its last.
const CROWDING_GROWTH: f32 = 1.5;
/// What an empty cell costs, in cell mates.
const CELL_COST: u64 = 4;
/// Rows that are compared together in the search for an object, without a branch on each, which
/// nothing could predict; most cells have no more.
const GLANCE: usize = 8;
/// Rows without an object for which no column is made anew.
const ROOM_MIN: usize = 64;
/// Cells that an insertion looks at on either side for a gap before the strip is built anew.
const SHIFT_MAX: usize = 32;

/// The objects of one strip, in rows ordered by cells of y.
#[derive(Clone, Debug, Default)]
pub(super) struct Strip {
    rows: Vec<Row>,
    starts: Vec<u32>,
    ruler: Ruler,
    len: usize,
    /// How crowded the cells may get before the ruler is fitted anew.
    crowding_max: f32,
    /// The strip was too full and could not be cut; not tried again before so many changes.
    pub(super) uncut_for: usize,
}

/// Working memory of [`Strip::build`], kept between calls.
#[derive(Debug, Default)]
pub(super) struct BuildScratch {
    below: Vec<f32>,
    cells: Vec<u32>,
    /// How many objects each cell holds.
    lens: Vec<u32>,
}

impl Strip {
    /// How many objects the strip holds.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The extent of y in which most objects lay when the ruler was fitted.
    #[inline]
    pub(super) fn height(&self) -> f32 {
        self.ruler.height()
    }

    /// An empty strip that expects y as this one does.
    pub(super) fn sibling(&self) -> Self {
        Self { ruler: self.ruler.clone(), crowding_max: self.crowding_max, ..Self::default() }
    }

    /// Makes the strip hold exactly the objects of `pieces`. O(objects), no comparison sort.
    pub(super) fn build<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [Row]> + Clone,
        scratch: &mut BuildScratch,
    ) {
        self.len = pieces.clone().map(<[Row]>::len).sum();
        self.uncut_for = 0;
        let crowding = self.count_cells(pieces.clone(), scratch);
        if crowding > self.crowding_max && self.len > 0 {
            self.ruler = Ruler::fit(pieces.clone().flatten().map(|entry| entry.y), self.len);
            self.crowding_max = CROWDING_GROWTH * self.count_cells(pieces.clone(), scratch);
        }
        self.lay_out_cells(&scratch.lens);
        let mut cells = scratch.cells.iter();
        let next = &mut self.starts[1..];
        for piece in pieces {
            for (entry, &cell) in piece.iter().zip(&mut cells) {
                // Until the cells are closed, starts[c + 1] is the next free row of cell c.
                let row = &mut next[cell as usize];
                self.rows[*row as usize] = *entry;
                *row += 1;
            }
        }
        self.close_cells(&scratch.lens);
    }

    /// Finds and counts the objects' cells by the present ruler; how crowded they are: the mean
    /// number of rows, and of cells to find them, that an object shares its cell with.
    fn count_cells<'a>(
        &self,
        pieces: impl Iterator<Item = &'a [Row]>,
        BuildScratch { below, cells, lens }: &mut BuildScratch,
    ) -> f32 {
        lens.clear();
        lens.resize(self.ruler.cell_count(), 0);
        below.clear();
        for piece in pieces {
            below.extend(piece.iter().map(|row| self.ruler.steps_below(row.y)));
        }
        cells.clear();
        cells.extend(below.iter().map(|&below| Ruler::step(below)));
        let steps = self.ruler.steps();
        for (cell, &below) in cells.iter_mut().zip(&*below) {
            *cell = steps.cell(*cell, below);
            lens[*cell as usize] += 1;
        }
        let mates: u64 = lens.iter().map(|&len| u64::from(len) * u64::from(len)).sum();
        (mates + CELL_COST * lens.len() as u64) as f32 / self.len.max(1) as f32
    }

    /// Sets starts[c + 1] to the first row of cell c, with room behind every cell, and makes all rows
    /// gaps. These writes go on in one direction; those of the objects, all over the strip, would each
    /// wait for memory if the rows were not in the cache then.
    fn lay_out_cells(&mut self, lens: &[u32]) {
        self.starts.clear();
        make_room(&mut self.starts, lens.len() + 1);
        self.starts.push(0);
        let mut row = 0;
        self.starts.extend(lens.iter().map(|&len| {
            let start = row;
            row += len + room(len);
            start
        }));
        make_room(&mut self.rows, row as usize);
        self.rows.resize(row as usize, Row::GAP);
        let (groups, rest) = self.rows.as_chunks_mut();
        groups.fill([Row::GAP; 4]);
        rest.fill(Row::GAP);
    }

    /// Turns the fill marks in `starts` into cell ends, behind the gaps.
    fn close_cells(&mut self, lens: &[u32]) {
        for (end, &len) in self.starts[1..].iter_mut().zip(lens) {
            *end += room(len);
        }
    }

    /// The rows of all objects whose y lies from `y_min` to `y_max`, and of some others and gaps.
    #[inline]
    pub(super) fn rows(&self, y_min: f32, y_max: f32) -> &[Row] {
        self.cells(y_min, y_max).map_or(&[], |(first, end)| self.rows_of(first, end))
    }

    /// The cells, and the end of the cells, whose rows [`Strip::rows`] takes.
    #[inline]
    pub(super) fn cells(&self, y_min: f32, y_max: f32) -> Option<(usize, usize)> {
        let meets = self.len > 0 && y_min <= y_max;
        meets.then(|| (self.ruler.cell(y_min), self.ruler.cell(y_max) + 1))
    }

    /// The rows of the cells from `first` to before `end`.
    #[inline]
    pub(super) fn rows_of(&self, first: usize, end: usize) -> &[Row] {
        &self.rows[self.starts[first] as usize..self.starts[end] as usize]
    }

    /// How many objects there are per unit of y about `y`, if the cell of `y` holds as many as cells do
    /// in the mean.
    #[inline]
    pub(super) fn density(&self, y: f32) -> f32 {
        self.len as f32 / ((self.starts.len() - 1) as f32 * self.ruler.cell_height(y))
    }

    /// How long a stretch of y about `y` holds `count` objects, if all its cells are as high as
    /// that of `y`.
    #[inline]
    pub(super) fn stretch(&self, y: f32, count: usize) -> f32 {
        self.cells_around(y, count).count() as f32 * self.ruler.cell_height(y)
    }

    /// Rows around `y` that had room for `count` objects when the strip was laid out, or all rows.
    #[inline]
    pub(super) fn rows_around(&self, y: f32, count: usize) -> &[Row] {
        let cells = self.cells_around(y, count);
        self.rows_of(*cells.start(), *cells.end() + 1)
    }

    /// Cells about `y` that hold `count` objects if only those rows are gaps that [`room`] left, or all
    /// cells: so no row need be read.
    #[inline]
    fn cells_around(&self, y: f32, count: usize) -> RangeInclusive<usize> {
        let top = self.starts.len() - 2;
        let cell = self.ruler.cell(y);
        let (mut first, mut last) = (cell, cell);
        let held = |first: usize, last: usize| {
            let rows = (self.starts[last + 1] - self.starts[first]) as usize;
            let rows = rows.saturating_sub(last + 1 - first);
            rows - rows / (ROOM_SHARE as usize + 1)
        };
        while held(first, last) < count && (first > 0 || last < top) {
            first = first.saturating_sub(1);
            last = top.min(last + 1);
        }
        first..=last
    }

    /// Prefetches what tells the cell of a y.
    #[inline]
    pub(super) fn prefetch_head(&self) {
        prefetch_value(&self.starts);
        self.ruler.prefetch();
    }

    /// Prefetches where the rows of the cell of `y` are.
    #[inline]
    pub(super) fn prefetch_cell(&self, y: f32) {
        self.prefetch_start(self.ruler.cell(y));
    }

    /// Prefetches where the rows of `cell` begin.
    #[inline]
    pub(super) fn prefetch_start(&self, cell: usize) {
        prefetch_index(&self.starts, cell);
    }

    /// The cell of `y`.
    #[inline]
    pub(super) fn cell(&self, y: f32) -> usize {
        self.ruler.cell(y)
    }

    /// The first row of `cell`.
    #[inline]
    pub(super) fn first_row(&self, cell: usize) -> u32 {
        self.starts[cell]
    }

    /// Reads, from the lines of the cache that hold the rows from `row` on, what is of no use.
    #[inline]
    pub(super) fn touch(&self, row: u32) -> u32 {
        let rows = self.rows[row as usize..].first_chunk::<GLANCE>();
        rows.map_or(0, |rows| rows[0].slot.0 ^ rows[GLANCE / 2].slot.0 ^ rows[GLANCE - 1].slot.0)
    }

    /// Adds the rows of all objects to `entries`.
    pub(super) fn gather(&self, entries: &mut Vec<Row>) {
        entries.extend(self.rows.iter().filter(|row| row.slot != NOBODY));
    }

    /// The row of `slot` in `cell`.
    #[inline]
    fn find(&self, cell: usize, slot: Slot) -> usize {
        let start = self.starts[cell] as usize;
        let (groups, rest) = self.rows[start..].as_chunks::<GLANCE>();
        for (group, rows) in groups.iter().enumerate() {
            let hits = |hits, row: &Row| (hits << 1) | u32::from(row.slot == slot);
            let hits: u32 = rows.iter().rev().fold(0, hits);
            if hits != 0 {
                return start + group * GLANCE + hits.trailing_zeros() as usize;
            }
        }
        let offset = rest.iter().position(|row| row.slot == slot);
        start + groups.len() * GLANCE + offset.expect("an object lies in the cell of its position")
    }

    /// Moves an object inside `cell`.
    #[inline]
    pub(super) fn overwrite(&mut self, cell: usize, entry: Row) {
        let row = self.find(cell, entry.slot);
        self.rows[row] = entry;
    }

    /// Takes an object out of `cell`.
    #[inline]
    pub(super) fn remove(&mut self, cell: usize, slot: Slot) {
        let row = self.find(cell, slot);
        let last = self.first_gap(cell) - 1;
        self.rows[row] = self.rows[last];
        self.rows[last] = Row::GAP;
        self.len -= 1;
        self.uncut_for = self.uncut_for.saturating_sub(1);
    }

    /// Puts an object into `cell`; says whether the strip had to be built anew for it.
    #[inline]
    pub(super) fn insert(&mut self, cell: usize, entry: Row, scratch: &mut BuildScratch) -> bool {
        if !self.has_gap(cell) && !self.shift_up(cell) && !self.shift_down(cell) {
            let mut entries = Vec::with_capacity(self.len + 1);
            self.gather(&mut entries);
            entries.push(entry);
            let uncut_for = self.uncut_for;
            self.build(std::iter::once(entries.as_slice()), scratch);
            self.uncut_for = uncut_for.saturating_sub(1);
            return true;
        }
        let row = self.first_gap(cell);
        self.rows[row] = entry;
        self.len += 1;
        self.uncut_for = self.uncut_for.saturating_sub(1);
        false
    }

    /// The row behind the objects of `cell`: its first gap, or its end.
    #[inline]
    fn first_gap(&self, cell: usize) -> usize {
        let (start, end) = (self.starts[cell] as usize, self.starts[cell + 1] as usize);
        // Cells have few gaps.
        let gaps = self.rows[start..end].iter().rev().take_while(|row| row.slot == NOBODY);
        end - gaps.count()
    }

    #[inline]
    fn has_gap(&self, cell: usize) -> bool {
        let (start, end) = (self.starts[cell] as usize, self.starts[cell + 1] as usize);
        start < end && self.rows[end - 1].slot == NOBODY
    }

    fn move_row(&mut self, from: usize, to: usize) {
        self.rows[to] = std::mem::replace(&mut self.rows[from], Row::GAP);
    }

    /// Opens a gap in the full `cell` by passing one object per cell up to a gap above it.
    fn shift_up(&mut self, cell: usize) -> bool {
        let end = (self.starts.len() - 1).min(cell + 1 + SHIFT_MAX);
        let Some(gap) = (cell + 1..end).find(|&above| self.has_gap(above)) else { return false };
        for above in (cell + 1..=gap).rev() {
            let (start, gap) = (self.starts[above] as usize, self.first_gap(above));
            if start < gap {
                self.move_row(start, gap);
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
            let (start, gap) = (self.starts[above] as usize, self.first_gap(above));
            if start < gap {
                self.move_row(gap - 1, start - 1);
            }
            self.starts[above] -= 1;
        }
        true
    }

    /// Panics unless the columns are as the file's head draws them; for tests.
    pub(super) fn assert_valid(&self) {
        let mut seen = 0;
        for cell in 0..self.starts.len() - 1 {
            let (start, end) = (self.starts[cell] as usize, self.starts[cell + 1] as usize);
            assert!(start <= end, "cell {cell} ends before it begins");
            let filled = start + self.rows[start..end].partition_point(|row| row.slot != NOBODY);
            for row in start..end {
                let gap = row >= filled;
                let entry = self.rows[row];
                assert_eq!(entry.slot == NOBODY, gap, "row {row} of cell {cell}");
                assert_eq!(entry.x.is_nan(), gap, "row {row} of cell {cell}");
                assert!(gap || self.ruler.cell(entry.y) == cell, "row {row} misplaced");
            }
            seen += filled - start;
        }
        assert_eq!(seen, self.len, "count of the strip");
        assert_eq!(self.starts.last().map_or(0, |&end| end as usize), self.rows.len());
        let room_max = |len: usize| ROOM_MIN + len + len / 2;
        assert!(self.rows.capacity() <= room_max(self.rows.len()), "rows take too much memory");
        assert!(self.starts.capacity() <= room_max(self.starts.len()), "cells take too much");
    }
}

/// Makes room for `len` rows and a few more: by doubling, a strip would hold up to twice what it needs,
/// and go on doing so after it is split. What is in the column may go.
fn make_room<T>(column: &mut Vec<T>, len: usize) {
    if !(len..=ROOM_MIN + len + len / 2).contains(&column.capacity()) {
        *column = Vec::with_capacity(len + len / 8);
    }
}

/// Objects of a cell for which it gets a second gap, a third, and so on.
const ROOM_SHARE: u32 = 8;

/// Gaps left behind a cell of `len` objects.
#[inline]
fn room(len: u32) -> u32 {
    1 + len / ROOM_SHARE
}
