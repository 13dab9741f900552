//! Where in a strip's y order a y belongs: a monotone map from y to cell.
//!
//! The objects' y are cut at sixteenths of a sample into segments, and each segment into the same
//! number of cells of equal height:
//!
//! ```text
//! y      ─────────────┬──┬──┬─────┬───────>      dense stretches get low cells, sparse ones high
//! cells   |  |  |  |  |||||||||| | | | |  |
//! ```
//!
//! So one far outlier or two distant crowds on one meridian cost nothing: however the objects lie,
//! no segment holds much more than a sixteenth of them.

/// Segments of a ruler; the search below is written for sixteen.
const SEGMENTS: usize = 16;

/// How many y are sampled to place the segments.
pub(super) const SAMPLE: usize = 64;

/// A monotone map from y to `0..cell_count`.
#[derive(Clone, Debug)]
pub(super) struct Ruler {
    /// Lower end of each segment; what lies below the first belongs to the first cell.
    base: [f64; SEGMENTS],
    /// Cells per unit of y in each segment, finite.
    cells_per_y: [f64; SEGMENTS],
    cells_per_segment: u32,
}

impl Default for Ruler {
    fn default() -> Self {
        Self { base: [0.0; SEGMENTS], cells_per_y: [0.0; SEGMENTS], cells_per_segment: 1 }
    }
}

impl Ruler {
    /// A ruler of at least `cell_count` cells for y of which `sample` is a fair sample; sorts it.
    pub(super) fn fit(sample: &mut [f64], cell_count: usize) -> Self {
        let cells_per_segment = cell_count.div_ceil(SEGMENTS).max(1);
        let mut ruler = Self {
            cells_per_segment: u32::try_from(cells_per_segment).expect("cells fit 32 bits"),
            ..Self::default()
        };
        if sample.is_empty() {
            return ruler;
        }
        sample.sort_unstable_by(f64::total_cmp);
        let quantile = |part: usize| sample[(part * (sample.len() - 1)) / SEGMENTS];
        for segment in 0..SEGMENTS {
            let (low, high) = (quantile(segment), quantile(segment + 1));
            let density = cells_per_segment as f64 / (high - low);
            ruler.base[segment] = low;
            ruler.cells_per_y[segment] = if density.is_finite() { density } else { 0.0 };
        }
        ruler
    }

    /// How many cells there are.
    #[inline]
    pub(super) fn cell_count(&self) -> usize {
        SEGMENTS * self.cells_per_segment as usize
    }

    /// The cell of `y`; never falls as y rises.
    #[inline]
    pub(super) fn cell(&self, y: f64) -> usize {
        let mut segment = 0;
        for half in [8, 4, 2, 1] {
            segment += if y >= self.base[segment + half] { half } else { 0 };
        }
        let inside = ((y - self.base[segment]) * self.cells_per_y[segment]) as u32;
        segment * self.cells_per_segment as usize + inside.min(self.cells_per_segment - 1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cells_rise_with_y(
            mut sample in prop::collection::vec(prop_oneof![-1.0..1.0, Just(0.0), -1e300..1e300], 0..64),
            mut ys in prop::collection::vec(prop_oneof![-1.5..1.5, Just(0.0), -1e301..1e301, Just(f64::INFINITY), Just(f64::NEG_INFINITY)], 2..50),
            cell_count in 0usize..200,
        ) {
            let ruler = Ruler::fit(&mut sample, cell_count);
            prop_assert!(ruler.cell_count() >= cell_count);
            ys.extend(&sample);
            ys.sort_by(f64::total_cmp);
            let cells: Vec<_> = ys.iter().map(|&y| ruler.cell(y)).collect();
            prop_assert!(cells.is_sorted(), "{:?} {:?}", ys, cells);
            prop_assert!(cells.iter().all(|&cell| cell < ruler.cell_count()));
        }
    }

    #[test]
    fn an_outlier_does_not_flatten_the_rest() {
        let mut sample: Vec<f64> = (0..63).map(|i| 39.0 + f64::from(i) * 0.01).collect();
        sample.push(0.0);
        let ruler = Ruler::fit(&mut sample, 160);
        let low = ruler.cell(39.1);
        let high = ruler.cell(39.5);
        assert!(high - low > 60, "40 % of the objects spread over {} of 160 cells", high - low);
    }
}
