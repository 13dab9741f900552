//! The dynamic strip index (DSI): moving objects in vertical strips of bounded occupancy.
//!
//! ```text
//!   -inf    b1   b2      b3   +inf       half-open strips [b_i, b_i+1) along x
//!     |      |·  |·  ·   |      |        each with strip_min..=strip_max objects,
//!     |  ·   | · |   ·   |·   · |        split at the median, merged with a neighbour
//!     |·     |·· |·      |  ·   |        inside, objects in cells of y ([`strip`](self))
//! ```
//!
//! The strips order positions rounded to 32 bits; [`StripIndex::position`] has them in full. What a
//! query reads from the strips is a superset to refine ([`Row`]).
//!
//! Invariants: every present object is in exactly one strip, the one whose borders hold its
//! rounded x; a
//! strip has fewer than `strip_min` objects only if it is the only one; it has more than
//! `strip_max` only if no vertical line leaves `strip_min` objects on both sides.
//!
//! Cost: moving m of n objects takes O(m) in place, or one pass of O(n) over flat columns when so
//! many move that the pass is cheaper; splits and merges add O(1) amortised per move.
//! (Z. Yu et al., TKDE 2015, for strips and occupancy; the order in y inside a strip is ours.)

mod ahead;
mod balance;
mod directory;
mod in_place;
mod rebuild;
mod rows;
mod ruler;

use std::ops::Range;

use geo::Coord;

pub use self::ahead::{Ahead, prefetch_neighbours, prefetch_rows};
use self::directory::Directory;
pub use self::rows::Row;
use self::rows::{BuildScratch, Strip};
use crate::names::Slot;
use crate::space::{Interval, Window};

/// How many objects a strip may hold.
///
/// ```
/// use dunlin_index::Occupancy;
///
/// assert!(Occupancy::new(100, 400).is_some());
/// assert_eq!(Occupancy::new(100, 199), None); // two halves of a full strip must be legal
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    strip_min: usize,
    strip_max: usize,
}

impl Occupancy {
    /// Between `strip_min` (ξ of the paper) and `strip_max` (its θ) objects; `None` unless
    /// `strip_min ≥ 1` and `strip_max ≥ 2 · strip_min`. Best is `strip_max ≥ 4 · strip_min`.
    #[must_use]
    pub const fn new(strip_min: usize, strip_max: usize) -> Option<Self> {
        if strip_min >= 1 && strip_max / 2 >= strip_min {
            Some(Self { strip_min, strip_max })
        } else {
            None
        }
    }

    /// The occupancy that suits `object_count` objects: wide bounds about the number with which
    /// uniform objects make strips of the right shape.
    #[must_use]
    pub fn for_objects(object_count: usize) -> Self {
        let uniform = ((object_count * STRIP_SHAPE) as f64).sqrt() as usize;
        let uniform = uniform.max(STRIP_TARGET_MIN);
        Self { strip_min: uniform / 16, strip_max: uniform * 2 }
    }

    /// Least number of objects of a strip that has a neighbour.
    #[must_use]
    pub const fn strip_min(self) -> usize {
        self.strip_min
    }

    /// Greatest number of objects of a strip that can be cut.
    #[must_use]
    pub const fn strip_max(self) -> usize {
        self.strip_max
    }
}

/// The position of an absent object.
const ABSENT: Coord = Coord { x: f64::NAN, y: f64::NAN };
/// Uniform objects make strips of √(this · objects); see `balance`.
const STRIP_SHAPE: usize = 8;
/// The least number of objects that strips are made for.
const STRIP_TARGET_MIN: usize = 32;
/// A move in place costs about as much as rebuilding this many objects in a pass.
const IN_PLACE_COST: usize = 4;

/// Epochs without a rebuild after which its working memory, 16 bytes per object, is given back.
const STAGING_EPOCHS: usize = 16;

/// Moving objects in dynamic strips; see the module documentation.
///
/// ```
/// use dunlin_index::{Coord, Slot, StripIndex};
///
/// let mut index = StripIndex::default();
/// index.apply(&[Slot(0), Slot(1)], &[Coord { x: 1.0, y: 2.0 }, Coord { x: 3.0, y: 4.0 }]);
/// index.apply(&[Slot(1)], &[Coord { x: 5.0, y: 4.0 }]);
/// index.remove(&[Slot(0)]);
/// assert_eq!(index.position(Slot(1)), Some(Coord { x: 5.0, y: 4.0 }));
/// assert_eq!(index.len(), 1);
/// ```
#[derive(Debug)]
pub struct StripIndex {
    /// Position of each slot, NaN for the absent.
    positions: Vec<Coord>,
    len: usize,
    directory: Directory,
    strips: Vec<Strip>,
    occupancy: Occupancy,
    /// The object count for which `occupancy` was chosen; `None` where the caller fixed it.
    tuned_for: Option<usize>,
    layout_version: u64,
    staging: rebuild::Staging,
    /// Epochs since `staging` was used.
    calm_epochs: usize,
    scratch: BuildScratch,
    batch: Vec<in_place::Move>,
}

impl Default for StripIndex {
    fn default() -> Self {
        Self::with(Occupancy::for_objects(0), Some(0))
    }
}

impl StripIndex {
    /// An empty index whose strips keep to `occupancy`. The default index chooses by itself and
    /// anew whenever the number of objects has doubled or halved.
    #[must_use]
    pub fn with_occupancy(occupancy: Occupancy) -> Self {
        Self::with(occupancy, None)
    }

    fn with(occupancy: Occupancy, tuned_for: Option<usize>) -> Self {
        let mut index = Self {
            positions: Vec::new(),
            len: 0,
            directory: Directory::default(),
            strips: vec![Strip::default()],
            occupancy,
            tuned_for,
            layout_version: 0,
            staging: rebuild::Staging::default(),
            calm_epochs: 0,
            scratch: BuildScratch::default(),
            batch: Vec::new(),
        };
        index.strips[0].build(std::iter::empty(), &mut index.scratch);
        index
    }

    /// Moves each of `slots` to the position beside it in `to`; new ones enter. Where a slot
    /// occurs twice, its last position counts. Positions must have passed `Space::check`.
    ///
    /// # Panics
    /// If the columns differ in length.
    pub fn apply(&mut self, slots: &[Slot], to: &[Coord]) {
        assert_eq!(slots.len(), to.len(), "one position per slot");
        let is_in_order = slots.is_sorted_by(|a, b| a < b);
        let last = if is_in_order { slots.last() } else { slots.iter().max() };
        self.make_room_for(last);
        if slots.len() * IN_PLACE_COST >= self.len {
            self.rebuild(slots, to, is_in_order);
        } else {
            self.calm_epochs += 1;
            if self.calm_epochs == STAGING_EPOCHS {
                self.staging = rebuild::Staging::default();
            }
            self.move_in_place(slots, to);
        }
        self.restore_balance();
    }

    /// Takes `slots` out; the absent are passed over.
    pub fn remove(&mut self, slots: &[Slot]) {
        for &slot in slots {
            self.remove_in_place(slot);
        }
        self.restore_balance();
    }

    fn make_room_for(&mut self, last: Option<&Slot>) {
        let end = last.map_or(0, |slot| slot.index() + 1);
        if end > self.positions.len() {
            self.positions.resize(end, ABSENT);
        }
    }

    /// Chooses a new occupancy where the object count has left the range of the old one.
    fn retune(&mut self) {
        if self.needs_retuning() {
            self.tuned_for = Some(self.len);
            self.occupancy = Occupancy::for_objects(self.len);
        }
    }

    fn needs_retuning(&self) -> bool {
        let Some(tuned_for) = self.tuned_for else { return false };
        let smallest = STRIP_TARGET_MIN * STRIP_TARGET_MIN / STRIP_SHAPE;
        let (now, before) = (self.len.max(smallest), tuned_for.max(smallest));
        now > before * 2 || now * 2 < before
    }

    /// How many objects are present.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no object is present.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where `slot` is, if present.
    #[inline]
    #[must_use]
    pub fn position(&self, slot: Slot) -> Option<Coord> {
        let at = *self.positions.get(slot.index())?;
        (!at.x.is_nan()).then_some(at)
    }

    /// Where all slots are, by slot; an absent one is at NaN.
    #[must_use]
    pub fn positions(&self) -> &[Coord] {
        &self.positions
    }

    /// The bounds that strips keep to now.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        self.occupancy
    }

    /// How many strips there are; at least one.
    #[inline]
    #[must_use]
    pub fn strip_count(&self) -> usize {
        self.strips.len()
    }

    /// How many objects `strip` holds.
    #[inline]
    #[must_use]
    pub fn strip_len(&self, strip: usize) -> usize {
        self.strips[strip].len()
    }

    /// The half-open range of `strip`, in x rounded to 32 bits.
    #[must_use]
    pub fn strip_borders(&self, strip: usize) -> Range<f32> {
        self.directory.lower(strip)..self.directory.lower(strip + 1)
    }

    /// The strip whose range holds `x`.
    #[inline]
    #[must_use]
    pub fn strip_at(&self, x: f64) -> usize {
        self.directory.locate(x as f32)
    }

    /// The strips that `window` meets, each once.
    #[inline]
    #[must_use]
    pub fn strips_in(&self, window: &Window) -> [Range<usize>; 2] {
        let [first, mut second] =
            window.x.map(|x| self.directory.meeting(x.min as f32, x.max as f32));
        // The two intervals may end and begin in one strip.
        if second.start < first.end && first.start < second.end {
            if second.start < first.start {
                second.end = first.start;
            } else {
                second.start = first.end;
            }
        }
        [first, second]
    }

    /// How many objects lie in a square unit of x and y about a place in `strip`, roughly, judging by
    /// its cells; looks at no object. Zero in strips without end.
    #[inline]
    #[must_use]
    pub fn density(&self, strip: usize, y: f64) -> f64 {
        let borders = self.strip_borders(strip);
        f64::from(self.strips[strip].density(y as f32) / (borders.end - borders.start))
    }

    /// How long a stretch of y about `y` holds `count` objects of `strip`, roughly; looks at no object.
    #[inline]
    #[must_use]
    pub fn stretch(&self, strip: usize, y: f64, count: usize) -> f32 {
        self.strips[strip].stretch(y as f32, count)
    }

    /// The objects of `strip` whose y lies in the closed interval, and some others, some rows of
    /// NaN among them.
    #[inline]
    #[must_use]
    pub fn rows(&self, strip: usize, y: Interval) -> &[Row] {
        self.strips[strip].rows(y.min as f32, y.max as f32)
    }

    /// As many rows of `strip` about `y` as hold `count` objects where none has left since the strip
    /// was laid out; else they may hold fewer. All rows if `count` is large enough; rows as of
    /// [`StripIndex::rows`].
    #[inline]
    #[must_use]
    pub fn rows_around(&self, strip: usize, y: f64, count: usize) -> &[Row] {
        self.strips[strip].rows_around(y as f32, count)
    }

    /// A number that changes whenever a strip's borders do.
    #[inline]
    #[must_use]
    pub fn layout_version(&self) -> u64 {
        self.layout_version
    }

    /// Checks the invariants of the module documentation; for tests. O(objects).
    ///
    /// # Panics
    /// If one does not hold.
    pub fn assert_valid(&self) {
        assert_eq!(self.directory.len(), self.strips.len(), "a border for every strip");
        let mut seen = vec![false; self.positions.len()];
        for strip in 0..self.strips.len() {
            self.strips[strip].assert_valid();
            self.assert_occupancy(strip);
            let rows = self.rows(strip, Interval::ALL).iter();
            for row in rows.filter(|row| !row.x.is_nan()) {
                assert_eq!(self.directory.locate(row.x), strip, "{row:?}");
                let borders = self.strip_borders(strip);
                let is_inside = borders.contains(&row.x) || row.x == f32::INFINITY;
                assert!(is_inside, "{row:?} in strip {strip}");
                let exact = self.position(row.slot).map(|at| Row::new(at, row.slot));
                assert_eq!(exact, Some(*row));
                let twice = std::mem::replace(&mut seen[row.slot.index()], true);
                assert!(!twice, "{row:?} twice");
            }
        }
        let present: Vec<bool> = self.positions.iter().map(|at| !at.x.is_nan()).collect();
        assert_eq!(seen, present, "every present object is in a strip");
        assert_eq!(self.len, present.iter().filter(|&&here| here).count(), "object count");
    }

    fn assert_occupancy(&self, strip: usize) {
        let (len, bounds) = (self.strips[strip].len(), self.occupancy);
        assert!(len >= bounds.strip_min || self.strips.len() == 1, "strip {strip} has {len}");
        if len > bounds.strip_max {
            let mut rows = Vec::new();
            self.strips[strip].gather(&mut rows);
            let mut xs: Vec<f32> = rows.iter().map(|row| row.x).collect();
            let cut = rebuild::median_cut(&mut xs, bounds);
            assert!(cut.is_none() || self.strips[strip].uncut_for > 0, "strip {strip} has {len}");
        }
    }
}

#[cfg(test)]
#[path = "strip_tests.rs"]
mod tests;
