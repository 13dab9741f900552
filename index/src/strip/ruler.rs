//! Where in a strip's y order a y belongs: a monotone map from y to cell.
//!
//! The range of y is cut into steps, and each step into as many cells of equal height as its share
//! of the objects deserves:
//!
//! ```text
//! y      |        |        |        |        |>      dense steps get many low cells, sparse ones
//! cells  | |  |  |||||||||||  |  |     |     |       few high ones
//! ```
//!
//! The outermost objects, some sixty-fourths of all on either side, have a few steps of their own.
//! So neither a far outlier nor two distant crowds on one meridian flatten the rest.

use super::ahead::prefetch_value;

/// Steps in the lower tail, the middle and the upper tail.
const ZONE_STEPS: [usize; 3] = [8, 48, 8];
/// Steps of a ruler.
const STEPS: usize = 64;

/// How many y are sampled to find the zones, and how many of them are in either tail.
const SAMPLE: usize = 64;
const TAIL: usize = 2;

/// Objects per cell aimed at: fewer, more exact scans; more, fewer cell bounds to keep.
const CELL_TARGET: usize = 6;
/// The most cells of a ruler: [`nearest`] tells so many apart.
const CELLS_MAX: usize = (1 << 22) - 1;

/// A monotone map from y to `0..cell_count`.
///
/// All rulers together should lie in the second-level cache, so a step is no more than a number.
#[derive(Clone, Debug)]
pub(super) struct Ruler {
    zones: [Zone; 3],
    height: f32,
    /// The first cell of each step, and the end of all cells.
    firsts: [f32; STEPS + 1],
}

/// What cells a step is cut into: where h steps lie below, it is `at_zero + h · cells_per_step`,
/// rounded to a whole number, but no less than the first and no more than the last.
#[derive(Clone, Copy, Debug)]
struct Step {
    at_zero: f32,
    cells_per_step: f32,
    first: f32,
    last: f32,
}

impl Step {
    /// The step that begins where `below` steps lie below, cut into the cells from `first` to before
    /// `end`.
    #[inline]
    fn new(below: u32, first: f32, end: f32) -> Self {
        let cells = end - first;
        // What is rounded to the nearest lies half a cell above its lower end.
        let at_zero = first - 0.5 - below as f32 * cells;
        Self { at_zero, cells_per_step: cells, first, last: end - 1.0 }
    }

    /// The cell above whose step `below` steps lie; never falls as they rise.
    #[inline]
    fn cell(&self, below: f32) -> u32 {
        nearest(between(self.at_zero + below * self.cells_per_step, self.first, self.last))
    }
}

/// All steps of a ruler, worked out; for many y.
pub(super) struct Steps([Step; STEPS]);

impl Steps {
    /// The cell in `step` of a y under which `below` steps lie; never falls as they rise.
    #[inline]
    pub(super) fn cell(&self, step: u32, below: f32) -> u32 {
        self.0[step as usize % STEPS].cell(below)
    }
}

/// A range of y with steps of one height.
#[derive(Clone, Copy, Debug, Default)]
struct Zone {
    low: f32,
    steps_per_y: f32,
    y_per_step: f32,
}

impl Zone {
    fn new(low: f32, high: f32, steps: usize) -> Self {
        let (steps_per_y, y_per_step) = (steps as f32 / (high - low), (high - low) / steps as f32);
        if steps_per_y.is_finite() && y_per_step.is_finite() {
            Self { low, steps_per_y, y_per_step }
        } else {
            Self { low, steps_per_y: 0.0, y_per_step: 0.0 }
        }
    }

    /// How many of the zone's steps lie below `y`.
    #[inline]
    fn steps_below(&self, y: f32, steps: usize) -> f32 {
        between((y - self.low) * self.steps_per_y, 0.0, steps as f32)
    }
}

/// The integer nearest `value`, which must lie in 0..2²²: added to 2²³, it is in the lowest bits.
/// Rises with `value`, and costs two instructions where a cast would cost eight.
#[inline]
pub(super) fn nearest(value: f32) -> u32 {
    const SHIFT: u32 = 1 << 23;
    (value + SHIFT as f32).to_bits() & (SHIFT - 1)
}

/// `value`, but no less than `low` and no more than `high`; `low` if it is NaN. Two instructions,
/// where `max` and `min` would cost ten.
#[inline]
pub(super) fn between(value: f32, low: f32, high: f32) -> f32 {
    let value = if value > low { value } else { low };
    if value < high { value } else { high }
}

impl Default for Ruler {
    /// All y in the first cell.
    fn default() -> Self {
        Self {
            zones: [Zone::default(); 3],
            height: f32::NAN,
            firsts: std::array::from_fn(|step| step as f32),
        }
    }
}

impl Ruler {
    /// A ruler for exactly these `len` values of y.
    pub(super) fn fit(ys: impl Iterator<Item = f32> + Clone, len: usize) -> Self {
        let mut ruler = Self::default();
        let mut sample: Vec<f32> = ys.clone().step_by(len.div_ceil(SAMPLE).max(1)).collect();
        if sample.len() < 2 {
            return ruler;
        }
        sample.sort_unstable_by(f32::total_cmp);
        let tail = if sample.len() >= SAMPLE / 2 { TAIL } else { 0 };
        let (low, high) = (sample[tail], sample[sample.len() - 1 - tail]);
        let (min, max) = ys.clone().fold((low, high), |(min, max), y| (min.min(y), max.max(y)));
        ruler.height = 2.0 * (sample[sample.len() * 3 / 4] - sample[sample.len() / 4]);
        let ends = [min, low, high, max];
        ruler.zones =
            std::array::from_fn(|zone| Zone::new(ends[zone], ends[zone + 1], ZONE_STEPS[zone]));
        let mut counts = [0usize; STEPS];
        for y in ys {
            counts[Self::step(ruler.steps_below(y)) as usize] += 1;
        }
        let per_cell = CELL_TARGET.max(len / (CELLS_MAX - STEPS) + 1);
        let mut end = 0;
        for (first, count) in ruler.firsts[1..].iter_mut().zip(counts) {
            end += (count / per_cell).max(1);
            *first = end as f32;
        }
        ruler
    }

    /// The extent of y in which most objects lie, twice that of the middle half; NaN if unknown.
    #[inline]
    pub(super) fn height(&self) -> f32 {
        self.height
    }

    /// How many cells there are.
    #[inline]
    pub(super) fn cell_count(&self) -> usize {
        self.firsts[STEPS] as usize
    }

    /// How many steps lie below `y`; never falls as y rises. Plain arithmetic, for many y at once.
    #[inline]
    pub(super) fn steps_below(&self, y: f32) -> f32 {
        let [lower, middle, upper] = &self.zones;
        lower.steps_below(y, ZONE_STEPS[0])
            + middle.steps_below(y, ZONE_STEPS[1])
            + upper.steps_below(y, ZONE_STEPS[2])
    }

    /// The step that begins at or under the height above which `below` steps lie. Plain arithmetic.
    #[inline]
    pub(super) fn step(below: f32) -> u32 {
        nearest(between(below - 0.5, 0.0, (STEPS - 1) as f32))
    }

    #[inline]
    fn work_out(&self, step: u32) -> Step {
        let index = step as usize % STEPS;
        Step::new(step, self.firsts[index], self.firsts[index + 1])
    }

    /// All steps.
    pub(super) fn steps(&self) -> Steps {
        Steps(std::array::from_fn(|step| self.work_out(step as u32)))
    }

    /// The cell of `y`.
    #[inline]
    pub(super) fn cell(&self, y: f32) -> usize {
        let below = self.steps_below(y);
        self.work_out(Self::step(below)).cell(below) as usize
    }

    /// Prefetches what [`Ruler::cell`] reads first.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch_value(&self.zones);
    }

    /// How high the cell of `y` is.
    #[inline]
    pub(super) fn cell_height(&self, y: f32) -> f32 {
        let step = Self::step(self.steps_below(y)) as usize;
        let zone =
            usize::from(step >= ZONE_STEPS[0]) + usize::from(step >= ZONE_STEPS[0] + ZONE_STEPS[1]);
        self.zones[zone].y_per_step / (self.firsts[step + 1] - self.firsts[step])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cells_rise_with_y(
            sample in prop::collection::vec(prop_oneof![-1f32..1.0, Just(0.0), -3e38f32..3e38], 0..64),
            mut ys in prop::collection::vec(prop_oneof![-1.5f32..1.5, Just(0.0), -3e38f32..3e38, Just(f32::INFINITY), Just(f32::NEG_INFINITY)], 2..50),
        ) {
            let ruler = Ruler::fit(sample.iter().copied(), sample.len());
            ys.extend(&sample);
            ys.sort_by(f32::total_cmp);
            let cells: Vec<_> = ys.iter().map(|&y| ruler.cell(y)).collect();
            prop_assert!(cells.is_sorted(), "{:?} {:?}", ys, cells);
            prop_assert!(cells.iter().all(|&cell| cell < ruler.cell_count()));
        }
    }

    #[test]
    fn objects_at_equal_distances_share_cells_evenly() {
        let ys = (0..6_000).map(|i| i as f32 * 0.25);
        let ruler = Ruler::fit(ys.clone(), 6_000);
        let mut counts = vec![0; ruler.cell_count()];
        ys.for_each(|y| counts[ruler.cell(y)] += 1);
        let fullest = *counts.iter().max().expect("there are cells");
        assert!(fullest <= 3 * CELL_TARGET, "{fullest} of 6000 objects in one cell");
        assert!(ruler.cell_count() >= 800, "{} cells", ruler.cell_count());
    }

    /// As many cells as there are, some so many in one step that rounding meets its ends.
    #[test]
    fn cells_rise_where_there_are_many_in_a_step() {
        let crowded = |i: usize| if i.is_multiple_of(3) { 1e6 } else { 1.0 + i as f32 * 1e-7 };
        let ys: Vec<f32> = (0..100_000).map(crowded).collect();
        let ruler = Ruler::fit(ys.iter().copied(), ys.len());
        assert!(ruler.cell_count() > 10_000);
        let mut beside: Vec<f32> =
            ys.iter().flat_map(|y| [y.next_down(), *y, y.next_up()]).collect();
        for step in 0..=4 * STEPS {
            // The ends of steps, and what lies beside them.
            for zone in &ruler.zones {
                let y = zone.low + zone.y_per_step * step as f32 / 4.0;
                beside.extend([y.next_down(), y, y.next_up()]);
            }
        }
        beside.sort_by(f32::total_cmp);
        let cells: Vec<_> = beside.iter().map(|&y| ruler.cell(y)).collect();
        assert!(cells.is_sorted());
        assert!(cells.last() < Some(&ruler.cell_count()));
    }

    #[test]
    fn an_outlier_does_not_flatten_the_rest() {
        let ys = (0..1000).map(|i| if i == 500 { 0.0 } else { 39.0 + i as f32 * 1e-4 });
        let ruler = Ruler::fit(ys.clone(), 1000);
        let mut counts = vec![0; ruler.cell_count()];
        ys.for_each(|y| counts[ruler.cell(y)] += 1);
        let fullest = counts.iter().max().expect("there are cells");
        assert!(*fullest <= 40, "{fullest} of 1000 objects in one cell");
    }
}
