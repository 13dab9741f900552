//! When a strip is split or merged.
//!
//! Two rules, the first above the second:
//!
//! 1. *Occupancy*: a strip holds `strip_min` to `strip_max` objects.
//! 2. *Shape*: a strip is about three times as wide as its objects are apart, so that a small disc
//!    meets few strips and few objects beside it. With n objects over width w and height h they
//!    are √(w·h/n) apart; so w·n/h should be near 8, wherever the objects crowd.
//!
//! Splitting quarters w·n/h and merging at most quadruples it; between the limits lies a factor of
//! two, so a strip that was split is not merged at once. First all merges are done, then all
//! splits: merging leaves fewer strips each time and splitting leaves legal ones, so both end.

use super::Occupancy;

/// w·n/h above which a strip is split, if both halves are legal.
const SHAPE_MAX: f32 = 16.0;
/// w·n/h of a union below which two strips are merged, if the union is legal.
const SHAPE_MIN: f32 = 8.0;

/// What the rules look at and do: a row per strip.
pub(super) trait Strips {
    fn count(&self) -> usize;
    fn len(&self, strip: usize) -> usize;
    fn height(&self, strip: usize) -> f32;
    fn lower(&self, strip: usize) -> f32;
    /// Merges strip `upper` with the one below it.
    fn merge(&mut self, upper: usize);
    /// Splits `strip` at its median; says no if that does not leave two legal strips.
    fn split(&mut self, strip: usize) -> bool;
}

/// Merges and splits until every strip is as it should be or cannot be; says whether any was.
pub(super) fn restore(strips: &mut impl Strips, bounds: Occupancy) -> bool {
    let mut changed = false;
    let mut strip = 0;
    while strip < strips.count() {
        match merge_due(strips, strip, bounds) {
            Some(upper) => {
                strips.merge(upper);
                changed = true;
                strip = upper - 1;
            }
            None => strip += 1,
        }
    }
    strip = 0;
    while strip < strips.count() {
        if split_due(strips, strip, bounds) && strips.split(strip) {
            changed = true;
        } else {
            strip += 1;
        }
    }
    changed
}

/// The upper one of the two strips to merge, if `strip` is one of them.
fn merge_due(strips: &impl Strips, strip: usize, bounds: Occupancy) -> Option<usize> {
    if strips.count() == 1 {
        return None;
    }
    let last = strip + 1 == strips.count();
    let left_is_smaller = last || (strip > 0 && strips.len(strip - 1) <= strips.len(strip + 1));
    let upper = if left_is_smaller { strip } else { strip + 1 };
    if strips.len(strip) < bounds.strip_min() {
        return Some(upper);
    }
    let len = strips.len(upper - 1) + strips.len(upper);
    let width = width(strips, upper - 1)? + width(strips, upper)?;
    let height = strips.height(upper - 1).max(strips.height(upper));
    (len <= bounds.strip_max() && shape(width, len, height) < SHAPE_MIN).then_some(upper)
}

/// Whether `strip` is to be split.
fn split_due(strips: &impl Strips, strip: usize, bounds: Occupancy) -> bool {
    let len = strips.len(strip);
    let crowded = |width| shape(width, len, strips.height(strip)) > SHAPE_MAX;
    len > bounds.strip_max()
        || (len >= 2 * bounds.strip_min() && width(strips, strip).is_some_and(crowded))
}

/// w·n/h; NaN, which is neither large nor small, where the height is unknown.
fn shape(width: f32, len: usize, height: f32) -> f32 {
    width * len as f32 / height
}

/// The width of `strip`; an outer strip, which is endless, counts as wide as its neighbour.
fn width(strips: &impl Strips, strip: usize) -> Option<f32> {
    let count = strips.count();
    if count < 3 {
        return None;
    }
    let inner = strip.clamp(1, count - 2);
    Some(strips.lower(inner + 1) - strips.lower(inner))
}
