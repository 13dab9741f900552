//! Where in a strip's y order a y belongs: a monotone map from y to cell.
//!
//! The range of y is cut into steps of equal height, and each step into as many cells as its share
//! of the objects deserves:
//!
//! ```text
//! y      |        |        |        |        |>      dense steps get many low cells, sparse ones
//! cells  | |  |  |||||||||||  |  |     |     |       few high ones
//! ```
//!
//! The outermost sixty-fourths of the objects do not stretch the range: they fall into its first
//! and last cell. So neither a far outlier nor two distant crowds on one meridian flatten the rest.

/// Steps of a ruler.
const STEPS: usize = 128;

/// How many y are sampled to find the range.
const SAMPLE: usize = 64;

/// Objects per cell aimed at: fewer, more exact scans; more, fewer cell bounds to keep.
const CELL_TARGET: usize = 6;

/// A monotone map from y to `0..cell_count`.
#[derive(Clone, Debug)]
pub(super) struct Ruler {
    origin: f32,
    steps_per_y: f32,
    steps: [Step; STEPS],
    cell_count: u32,
    height: f32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    first_cell: u32,
    /// Cells beyond the first.
    more_cells: u32,
    cells: f32,
}

impl Default for Ruler {
    fn default() -> Self {
        Self {
            origin: 0.0,
            steps_per_y: 0.0,
            steps: [Step::default(); STEPS],
            cell_count: 1,
            height: 0.0,
        }
    }
}

impl Ruler {
    /// A ruler for exactly these `len` values of y.
    pub(super) fn fit(ys: impl Iterator<Item = f32> + Clone, len: usize) -> Self {
        let mut ruler = Self::default();
        let mut sample: Vec<f32> = ys.clone().step_by(len.div_ceil(SAMPLE).max(1)).collect();
        let half = sample.len() / 2;
        if half == 0 {
            return ruler;
        }
        sample.sort_unstable_by(f32::total_cmp);
        let trim = usize::from(sample.len() == SAMPLE);
        let (low, high) = (sample[trim], sample[sample.len() - 1 - trim]);
        let steps_per_y = STEPS as f32 / (high - low);
        ruler.height = 2.0 * (sample[sample.len() * 3 / 4] - sample[sample.len() / 4]);
        ruler.origin = low;
        ruler.steps_per_y = if steps_per_y.is_finite() { steps_per_y } else { 0.0 };
        let mut counts = [0usize; STEPS];
        for y in ys {
            counts[ruler.step(y).0] += 1;
        }
        let mut first = 0;
        for (step, count) in ruler.steps.iter_mut().zip(counts) {
            let cells = u32::try_from((count / CELL_TARGET).max(1)).expect("cells fit 32 bits");
            *step = Step { first_cell: first, more_cells: cells - 1, cells: cells as f32 };
            first += cells;
        }
        ruler.cell_count = first;
        ruler
    }

    /// The extent of y in which most objects lie: twice that of the middle half.
    #[inline]
    pub(super) fn height(&self) -> f32 {
        self.height
    }

    /// How many cells there are.
    #[inline]
    pub(super) fn cell_count(&self) -> usize {
        self.cell_count as usize
    }

    /// The step of `y`, and how far into it y lies, from 0 (and below) to 1 (and above).
    #[inline]
    fn step(&self, y: f32) -> (usize, f32) {
        let at = (y - self.origin) * self.steps_per_y;
        let step = (at as usize).min(STEPS - 1);
        (step, at - step as f32)
    }

    /// The cell of `y`; never falls as y rises.
    #[inline]
    pub(super) fn cell(&self, y: f32) -> usize {
        let (step, inside) = self.step(y);
        let step = &self.steps[step];
        let offset = (inside * step.cells) as u32;
        (step.first_cell + offset.min(step.more_cells)) as usize
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
    fn an_outlier_does_not_flatten_the_rest() {
        let ys = (0..1000).map(|i| if i == 500 { 0.0 } else { 39.0 + i as f32 * 1e-4 });
        let ruler = Ruler::fit(ys.clone(), 1000);
        let mut counts = vec![0; ruler.cell_count()];
        ys.for_each(|y| counts[ruler.cell(y)] += 1);
        let fullest = counts.iter().max().expect("there are cells");
        assert!(*fullest <= 30, "{fullest} of 1000 objects in one cell");
    }
}
