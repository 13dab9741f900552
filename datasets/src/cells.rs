//! Positions turned into events: an object enters a cell of a grid.
//!
//! ```text
//!   plane: squares from the origin            sphere: rows of latitude from the south pole,
//!   +------+------+------+                     each cut into as many cells as fit at its middle
//!   | 1:-1 | 1:0  | 1:1  |                     +------+------+------+   row 1: 3 cells
//!   +------+------O------+                     +----+----+----+----+    row 0: 4 cells
//!   | 0:-1 | 0:0  | 0:1  |                     180 W             180 E
//! ```
//!
//! So whatever mines streams of passages mines traces too: objects that keep meeting in cells.

use dunlin_index::space::EARTH_RADIUS_M;
use dunlin_index::{Coord, Slot, SpaceKind};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::order::sort;
use crate::{Events, Trace};

/// One event whenever an object enters a cell: at its first record, and at each record in another
/// cell than that of its record before, in the order of (time, row). The trace need not be sorted;
/// the events are ordered by time.
///
/// `cell` is a length in metres, or in units of the plane. Streams are named `ROW:COLUMN`. In the
/// plane cells are squares, counted from the origin. On the sphere rows are `cell` high, counted
/// from the south pole; the last one may be lower. Each row has a whole number of equal cells, at
/// least `cell` wide at its middle if there are several, counted eastwards from 180 degrees west.
/// A pole lies in column 0 of its row, and so does longitude 180, whatever its sign.
///
/// # Panics
/// If `cell` is not a finite number of at least 10⁻⁹.
#[must_use]
pub fn cell_passages(trace: &Trace, space: SpaceKind, cell: f64) -> Events {
    assert!(cell.is_finite() && cell >= CELL_MIN, "a cell of {cell}");
    let mut times = trace.times.clone();
    let mut passages = Passages::new(trace, Grid { space, cell });
    match sort(&mut times) {
        None => (0..trace.len()).for_each(|row| passages.visit(row)),
        Some(order) => order.iter().for_each(|&row| passages.visit(row as usize)),
    }
    passages.events
}

const CELL_MIN: f64 = 1e-9;

struct Passages<'a> {
    trace: &'a Trace,
    grid: Grid,
    /// Where each object was last.
    last: Vec<Option<Cell>>,
    streams: HashMap<Cell, Slot, FixedState>,
    events: Events,
}

impl<'a> Passages<'a> {
    fn new(trace: &'a Trace, grid: Grid) -> Self {
        let last = vec![None; trace.names.len()];
        let events = Events { object_names: trace.names.clone(), ..Events::default() };
        Self { trace, grid, last, streams: HashMap::default(), events }
    }

    fn visit(&mut self, row: usize) {
        let (object, cell) = (self.trace.objects[row], self.grid.cell(self.trace.at[row]));
        if self.last[object.index()].replace(cell) == Some(cell) {
            return;
        }
        let names = &mut self.events.stream_names;
        let stream = self.streams.entry(cell).or_insert_with(|| names.intern(&cell.name()));
        self.events.times.push(self.trace.times[row]);
        self.events.streams.push(*stream);
        self.events.objects.push(object);
    }
}

/// A cell by the bits of its row and column: whole numbers, which in the plane may be beyond 2⁶⁴.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Cell {
    row: u64,
    column: u64,
}

impl Cell {
    fn new(row: f64, column: f64) -> Self {
        // Adding zero turns -0 into 0.
        let [row, column] = [row, column].map(|number| (number + 0.0).to_bits());
        Self { row, column }
    }

    fn name(self) -> String {
        format!("{}:{}", f64::from_bits(self.row), f64::from_bits(self.column))
    }
}

#[derive(Clone, Copy)]
struct Grid {
    space: SpaceKind,
    cell: f64,
}

impl Grid {
    fn cell(self, at: Coord) -> Cell {
        match self.space {
            SpaceKind::Plane => Cell::new((at.y / self.cell).floor(), (at.x / self.cell).floor()),
            SpaceKind::Sphere => self.cell_on_sphere(at),
        }
    }

    fn cell_on_sphere(self, at: Coord) -> Cell {
        let rows = (std::f64::consts::PI * EARTH_RADIUS_M / self.cell).ceil().max(1.0);
        let row = ((at.y + 90.0).to_radians() * EARTH_RADIUS_M / self.cell).floor().min(rows - 1.0);
        let columns = self.columns(row);
        let is_first = at.x.abs() >= 180.0 || at.y.abs() >= 90.0;
        let share = if is_first { 0.0 } else { (at.x + 180.0) / 360.0 };
        Cell::new(row, (share * columns).floor().min(columns - 1.0))
    }

    /// How many cells a row has: as many as are not narrower than a cell at the row's middle.
    fn columns(self, row: f64) -> f64 {
        let angle = self.cell / EARTH_RADIUS_M;
        let (south, north) = (row * angle, ((row + 1.0) * angle).min(std::f64::consts::PI));
        let circle = std::f64::consts::TAU * EARTH_RADIUS_M * libm::sin((south + north) / 2.0);
        (circle / self.cell).floor().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_stream::Timestamp;
    use proptest::prelude::*;

    fn name(space: SpaceKind, cell: f64, x: f64, y: f64) -> String {
        Grid { space, cell }.cell(Coord { x, y }).name()
    }

    fn plane(x: f64, y: f64) -> String {
        name(SpaceKind::Plane, 10.0, x, y)
    }

    fn sphere(x: f64, y: f64) -> String {
        name(SpaceKind::Sphere, 1_000.0, x, y)
    }

    #[test]
    fn squares_are_counted_from_the_origin() {
        assert_eq!([plane(0.0, 0.0), plane(-0.0, -0.0), plane(9.9, 9.9)], ["0:0"; 3]);
        assert_eq!(
            [plane(10.0, 0.0), plane(-0.1, 20.0), plane(-10.1, -1.0)],
            ["0:1", "2:-1", "-1:-2"]
        );
        assert_ne!(plane(1e150, 0.0), plane(-1e150, 0.0));
    }

    #[test]
    fn the_antimeridian_is_one_meridian() {
        assert_eq!(sphere(180.0, 40.0), sphere(-180.0, 40.0));
        assert_eq!(sphere(180.0, 40.0), sphere(-179.999, 40.0));
        assert_ne!(sphere(180.0, 40.0), sphere(179.999, 40.0));
        assert_ne!(sphere(180.0_f64.next_down(), 40.0), sphere(180.0, 40.0));
    }

    #[test]
    fn poles_are_points() {
        for y in [90.0, -90.0] {
            let expected = sphere(0.0, y);
            for x in [-180.0, -77.0, 1.0, 100.0, 180.0] {
                assert_eq!(sphere(x, y), expected);
            }
        }
        // Half the circumference is 20 015.1 cells: the last row is a tenth of a cell high.
        assert_eq!([sphere(7.0, -90.0), sphere(7.0, 90.0)], ["0:0", "20015:0"]);
        assert_eq!(sphere(1.0, 89.999_9), "20015:0");
    }

    #[test]
    fn a_cell_larger_than_the_earth_holds_all() {
        for (x, y) in [(0.0, 0.0), (179.0, 89.0), (-180.0, -90.0), (180.0, 90.0)] {
            assert_eq!(name(SpaceKind::Sphere, 1e9, x, y), "0:0");
        }
    }

    #[test]
    fn nothing_passes_in_an_empty_trace() {
        assert!(cell_passages(&Trace::default(), SpaceKind::Plane, 1.0).is_empty());
    }

    #[test]
    #[should_panic(expected = "a cell of NaN")]
    fn a_cell_without_size_is_a_bug() {
        let _ = cell_passages(&Trace::default(), SpaceKind::Plane, f64::NAN);
    }

    proptest! {
        #[test]
        fn cells_are_as_high_and_at_least_as_wide_as_asked(
            cell in 50.0f64..3e6, lat in -90.0f64..90.0,
        ) {
            let grid = Grid { space: SpaceKind::Sphere, cell };
            let row = f64::from_bits(grid.cell(Coord { x: 0.0, y: lat }).row);
            let metres = (lat + 90.0).to_radians() * EARTH_RADIUS_M;
            prop_assert!((row * cell..=(row + 1.0) * cell).contains(&metres));
            let end = EARTH_RADIUS_M * std::f64::consts::PI;
            let middle = (row * cell + ((row + 1.0) * cell).min(end)) / 2.0 / EARTH_RADIUS_M;
            let circle = std::f64::consts::TAU * EARTH_RADIUS_M * middle.sin();
            let columns = grid.columns(row);
            prop_assert!(columns == 1.0 || circle / columns >= cell);
            prop_assert!(circle / (columns + 1.0) < cell);
            let east = f64::from_bits(grid.cell(Coord { x: 180.0_f64.next_down(), y: lat }).column);
            prop_assert_eq!(east, columns - 1.0);
        }

        #[test]
        fn passages_are_changes_of_cell(
            rows in proptest::collection::vec((0i64..20, 0u32..4, -3i32..3, -3i32..3), 0..60),
            on_sphere in any::<bool>(),
        ) {
            let (space, cell) = match on_sphere {
                true => (SpaceKind::Sphere, 150_000.0),
                false => (SpaceKind::Plane, 2.0),
            };
            let mut trace = Trace::default();
            for &(second, object, x, y) in &rows {
                let at = Coord { x: x.into(), y: y.into() };
                let time = Timestamp::from_millis_unchecked(second * 1000);
                trace.push(time, &format!("o{object}"), at);
            }
            // Rows by time, each against the latest one before it of the same object.
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_key(|&row| (rows[row].0, row));
            let cell_of = |row: usize| name(space, cell, rows[row].2.into(), rows[row].3.into());
            let mut expected = Vec::new();
            for (place, &row) in order.iter().enumerate() {
                let before = order[..place].iter().rev().find(|&&other| rows[other].1 == rows[row].1);
                if before.is_none_or(|&before| cell_of(before) != cell_of(row)) {
                    expected.push((rows[row].0 * 1000, cell_of(row), format!("o{}", rows[row].1)));
                }
            }
            let events = cell_passages(&trace, space, cell);
            let stream = |row: usize| events.stream_names.name(events.streams[row]).to_owned();
            let object = |row: usize| events.object_names.name(events.objects[row]).to_owned();
            let actual: Vec<_> = (0..events.len())
                .map(|row| (events.times[row].as_millis(), stream(row), object(row)))
                .collect();
            prop_assert_eq!(actual, expected);
        }
    }
}
