//! The strip directory: which strip holds an x.
//!
//! ```text
//! borders   -inf      b1    b2         b3      +inf      half-open: strip i is [b_i, b_i+1)
//! strips     |    0    | 1  |     2    |   3    |
//! table     [0 0 0 0 0 0 1 1 2 2 2 2 2 2 3 3]            equal steps of x -> least strip there
//! ```
//!
//! A table of equal steps over x gives the least strip that a step can meet. Most steps hold one
//! border or none, so what remains is to compare x with that border; where borders crowd into one
//! step, it is a binary search.

use super::ruler::{between, nearest};

/// Table steps per strip: more steps, fewer borders in one, more memory.
const STEPS_PER_STRIP: usize = 16;

/// The most steps of the table.
const STEPS_MAX: usize = 1 << 20;

/// Marks a step of the table that holds more than one border.
const CROWDED: u32 = 1 << 31;

/// The sorted lower borders of all strips, with a table that finds a strip in O(1).
#[derive(Clone, Debug)]
pub(super) struct Directory {
    /// Lower border of each strip, the first -∞, and +∞ behind the last.
    borders: Vec<f32>,
    /// Upper border of each strip, but that of the last is NaN, beyond which nothing lies.
    uppers: Vec<f32>,
    /// For each step of x, the last strip whose lower border lies in an earlier step.
    table: Vec<u32>,
    origin: f32,
    steps_per_x: f32,
    last_step: f32,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new(vec![f32::NEG_INFINITY])
    }
}

impl Directory {
    /// A directory of strips with these lower borders: -∞ first, strictly rising.
    pub(super) fn new(mut lower: Vec<f32>) -> Self {
        debug_assert!(lower[0] == f32::NEG_INFINITY && lower.is_sorted_by(|a, b| a < b));
        lower.push(f32::INFINITY);
        let strip_count = lower.len() - 1;
        let (first, last) = (lower[1], lower[strip_count - 1]);
        let step_count = (strip_count * STEPS_PER_STRIP).next_power_of_two().min(STEPS_MAX);
        let last_step = (step_count - 1) as f32;
        let steps_per_x =
            if strip_count > 2 { (last_step / (last - first)).min(f32::MAX) } else { 0.0 };
        let origin = if strip_count > 1 { first } else { 0.0 };
        let mut uppers = lower[1..].to_vec();
        uppers[strip_count - 1] = f32::NAN;
        let table = vec![0; step_count];
        let mut directory = Self { borders: lower, uppers, table, origin, steps_per_x, last_step };
        directory.fill_table();
        directory
    }

    /// Fills the table from border to border.
    fn fill_table(&mut self) {
        assert!(self.len() < CROWDED as usize, "fewer than 2^31 strips");
        let mut begin = 0;
        for strip in 0..self.len() - 1 {
            let step = self.step(self.borders[strip + 1]) as usize;
            if step < begin {
                self.table[step] |= CROWDED;
            } else {
                self.table[begin..=step].fill(strip as u32);
                begin = step + 1;
            }
        }
        let last = self.len() - 1;
        self.table[begin..].fill(last as u32);
    }

    /// The table's step of `x`: rises with x, which is all that the table relies on. Plain
    /// arithmetic, for many x at once.
    #[inline]
    pub(super) fn step(&self, x: f32) -> u32 {
        nearest(between((x - self.origin) * self.steps_per_x, 0.0, self.last_step))
    }

    /// How many strips there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.borders.len() - 1
    }

    /// The strip that holds `x`.
    #[inline]
    pub(super) fn locate(&self, x: f32) -> usize {
        self.locate_in(self.step(x), x)
    }

    /// The strip that holds `x`, which lies in `step` of the table; for NaN, some strip.
    #[inline]
    pub(super) fn locate_in(&self, step: u32, x: f32) -> usize {
        let first = self.table[step as usize];
        let strip = (first & !CROWDED) as usize;
        if first >= CROWDED {
            return strip + self.uppers[strip..].partition_point(|&upper| upper <= x);
        }
        strip + usize::from(self.uppers[strip] <= x)
    }

    /// Whether `strip` holds `x`.
    #[inline]
    pub(super) fn holds(&self, strip: usize, x: f32) -> bool {
        (self.borders[strip] <= x) & (x < self.borders[strip + 1])
    }

    /// The strips that the closed interval from `min` to `max` meets; none if it is empty.
    #[inline]
    pub(super) fn meeting(&self, min: f32, max: f32) -> std::ops::Range<usize> {
        if min > max {
            return 0..0;
        }
        self.locate(min)..self.locate(max) + 1
    }

    /// The lower border of `strip`; of the strip behind the last, +∞.
    #[inline]
    pub(super) fn lower(&self, strip: usize) -> f32 {
        self.borders[strip]
    }

    /// The lower borders of all strips.
    pub(super) fn lowers(&self) -> &[f32] {
        &self.borders[..self.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_definition(lowers: &[f32], x: f32) -> usize {
        lowers.iter().rposition(|&lower| lower <= x).expect("the first border is -inf")
    }

    proptest! {
        #[test]
        fn locate_agrees_with_its_definition(
            mut cuts in prop::collection::vec(
                prop_oneof![-1e3f32..1e3, -1e-6f32..1e-6, Just(0.0), Just(1e9), Just(-3e38), Just(3e38), Just(f32::INFINITY)], 0..200),
            xs in prop::collection::vec(prop_oneof![-2e3f32..2e3, -1e-6f32..1e-6, Just(1e30), Just(f32::INFINITY)], 1..50),
        ) {
            cuts.sort_by(f32::total_cmp);
            cuts.dedup();
            let lowers: Vec<f32> = [f32::NEG_INFINITY].into_iter().chain(cuts).collect();
            let directory = Directory::new(lowers.clone());
            for &x in xs.iter().chain(&lowers[1..]) {
                prop_assert_eq!(directory.locate(x), by_definition(&lowers, x), "x = {}", x);
            }
        }
    }

    #[test]
    fn everything_meets_every_strip() {
        let (all, none) = (f32::INFINITY, f32::NEG_INFINITY);
        let directory = Directory::new(vec![f32::NEG_INFINITY, 1.0, 2.0]);
        assert_eq!(directory.meeting(-all, all), 0..3);
        assert_eq!(directory.meeting(all, none), 0..0);
        assert_eq!(directory.meeting(1.0, 1.5), 1..2);
        assert_eq!(Directory::default().meeting(-all, all), 0..1);
        assert!(directory.locate(f32::NAN) < 3);
    }
}
