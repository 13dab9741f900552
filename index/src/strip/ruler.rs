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
const STEPS: usize = 64;

/// How many y are sampled to find the range.
const SAMPLE: usize = 64;

/// Objects per cell aimed at: fewer, more exact scans; more, fewer cell bounds to keep.
const CELL_TARGET: usize = 6;

/// A monotone map from y to `0..cell_count`.
#[derive(Clone, Debug)]
pub(super) struct Ruler {
    origin: f32,
    steps_per_y: f32,
    height: f32,
    /// The first cell of each step, and behind the last the number of cells.
    first_cells: [u32; STEPS + 1],
}

impl Default for Ruler {
    /// All y in the first cell.
    fn default() -> Self {
        Self { origin: 0.0, steps_per_y: 0.0, height: 0.0, first_cells: ONE_CELL_A_STEP }
    }
}

const ONE_CELL_A_STEP: [u32; STEPS + 1] = {
    let mut cells = [0; STEPS + 1];
    let mut step = 0;
    while step <= STEPS {
        cells[step] = step as u32;
        step += 1;
    }
    cells
};

impl Ruler {
    /// A ruler for exactly these `len` values of y.
    pub(super) fn fit(ys: impl Iterator<Item = f32> + Clone, len: usize) -> Self {
        let mut ruler = Self::default();
        let mut sample: Vec<f32> = ys.clone().step_by(len.div_ceil(SAMPLE).max(1)).collect();
        if sample.len() < 2 {
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
        for (step, count) in counts.into_iter().enumerate() {
            let cells = u32::try_from((count / CELL_TARGET).max(1)).expect("cells fit 32 bits");
            ruler.first_cells[step + 1] = ruler.first_cells[step] + cells;
        }
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
        self.first_cells[STEPS] as usize
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
        let (first, next) = (self.first_cells[step], self.first_cells[step + 1]);
        let offset = (inside * (next - first) as f32) as u32;
        (first + offset.min(next - first - 1)) as usize
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
