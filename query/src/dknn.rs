//! k nearest neighbours in at most two rounds over the strips (DKNN).
//!
//! ```text
//! round 1   a disc that should hold k objects, by the density ── k of them or more ──> the k nearest
//!           else strips nearest the point, enough to hold k ── k nearest ──> radius r
//! round 2   strips meeting the disc of radius r ── objects inside ──> the k nearest of all
//! ```
//!
//! What lies in a disc is all that is nearer than its border, so where it holds k objects one round
//! is enough. Else round 1 looks at real objects, so the true k-th neighbour is no farther than r, and
//! round 2 misses none; where the disc is wide, the nearest strips come first and it shrinks with what
//! they hold. A caller that knows a radius already skips round 1. Never a third round.
//! (Z. Yu et al., TKDE 2015, the DKNN algorithm; the first look is ours.)

use std::ops::Range;
use std::slice::SliceIndex;

use dunlin_index::{
    Coord, ObjectNames, Row, Sieve, Slot, Space, StripIndex, Window, prefetch_neighbours,
    prefetch_rows,
};

use crate::member::{self, Member};

/// What a search cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchCost {
    /// Rounds over the strips: 1 or 2.
    pub rounds: u32,
    /// Strips asked, summed over the rounds.
    pub strips: u32,
    /// Distances computed: exact ones, and bounds where round 1 looks for a radius.
    pub evaluations: u32,
}

/// Searches an index; holds the memory that searches need, so that they allocate nothing.
///
/// ```
/// use dunlin_index::{Coord, ObjectNames, Plane, StripIndex};
/// use dunlin_query::Searcher;
///
/// let (mut names, mut index) = (ObjectNames::default(), StripIndex::default());
/// let slots = ["ada", "bob", "cy"].map(|name| names.intern(name));
/// index.apply(&slots, &[(0.0, 0.0), (3.0, 4.0), (6.0, 8.0)].map(Coord::from));
///
/// let mut searcher = Searcher::<Plane>::default();
/// let cost = searcher.knn(&index, &names, Coord { x: 3.0, y: 3.0 }, 2, None);
/// let found: Vec<_> = searcher.found().iter().map(|member| names.name(member.slot)).collect();
/// assert_eq!(found, ["bob", "ada"]);
/// assert!(cost.rounds <= 2);
/// ```
#[derive(Debug)]
pub struct Searcher<S: Space> {
    found: Vec<Member>,
    candidates: Vec<Slot>,
    bounds: Vec<f64>,
    /// How far strips are from the point of a wide disc, and which.
    outwards: Vec<(f64, usize)>,
    cost: SearchCost,
    space: std::marker::PhantomData<S>,
}

impl<S: Space> Default for Searcher<S> {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            candidates: Vec::new(),
            bounds: Vec::new(),
            outwards: Vec::new(),
            cost: SearchCost::default(),
            space: std::marker::PhantomData,
        }
    }
}

/// Objects expected in the disc of the first look, beyond those wanted, in standard deviations of
/// their number (Poisson): more, more to look at; fewer, more second looks.
const DEVIATIONS: f64 = 2.0;
/// The most rows of the first look: so many, and so many for each object expected. Where objects lie
/// evenly there are a third of them.
const LOOK_ROWS_MIN: f64 = 64.0;
const LOOK_ROWS: f64 = 6.0;

/// Candidates, beside twice as many as are wanted, after which a wide disc shrinks.
const SETTLE_MIN: usize = 32;

/// Objects that round 1 looks at, for each neighbour wanted: the box around a disc is a little
/// larger than the disc.
const ROUND_1_SURPLUS: f64 = 1.3;

impl<S: Space> Searcher<S> {
    /// Finds the `k` objects nearest `at`, all if there are fewer, leaving out `except`.
    pub fn knn(
        &mut self,
        index: &StripIndex,
        names: &ObjectNames,
        at: Coord,
        k: usize,
        except: Option<Slot>,
    ) -> SearchCost {
        let probe = S::probe(at);
        self.cost = SearchCost::default();
        if self.look(index, at, &probe, k, except) {
            self.cost.rounds = 1;
            self.keep_first(k, names);
            return self.cost;
        }
        // If it looked in vain, that was part of round 1.
        let key = if k == 0 { 0.0 } else { self.radius(index, at, &probe, k, except) };
        let window = S::window(&probe, key);
        let strips = index.strips_in(&window);
        if count_of(&strips) <= STRIPS_AHEAD {
            return self.knn_within(index, names, &probe, window, key, k, except);
        }
        self.collect_outwards(index, names, at, &probe, key, k, except);
        self.keep_first(k, names);
        self.cost
    }

    /// Round 2 where the disc meets many strips: the nearest strips first, and the disc shrinks with
    /// what is found. From far away a disc that holds `k` objects of a crowd holds most of it.
    #[allow(clippy::too_many_arguments, reason = "one call, arguments of all types")]
    fn collect_outwards(
        &mut self,
        index: &StripIndex,
        names: &ObjectNames,
        at: Coord,
        probe: &S::Probe,
        mut key: f64,
        k: usize,
        except: Option<Slot>,
    ) {
        let mut window = S::window(probe, key);
        let mut sieve = S::sieve(probe, &window, key);
        let mut strips = index.strips_in(&window);
        let gap = |strip: usize| {
            let borders = index.strip_borders(strip);
            if borders.contains(&(at.x as f32)) {
                return 0.0;
            }
            let [start, end] = [borders.start, borders.end].map(f64::from);
            S::gap_x(at.x, start).min(S::gap_x(at.x, end))
        };
        let mut outwards = std::mem::take(&mut self.outwards);
        outwards.clear();
        outwards.extend(strips.clone().into_iter().flatten().map(|strip| (gap(strip), strip)));
        outwards.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        self.cost.rounds += 1;
        self.candidates.clear();
        for &(_, strip) in &outwards {
            if !strips.iter().any(|met| met.contains(&strip)) {
                continue;
            }
            self.cost.strips += 1;
            push_passing(index, index.rows(strip, window.y), &sieve, &mut self.candidates);
            if self.candidates.len() < k.saturating_mul(2).saturating_add(SETTLE_MIN) {
                continue;
            }
            self.measure(index, probe, 0..self.candidates.len(), key, except);
            self.keep_first(k, names);
            self.candidates.clear();
            self.candidates.extend(self.found.iter().map(|member| member.slot));
            if let Some(last) = k.checked_sub(1).and_then(|last| self.found.get(last)) {
                key = last.key;
                window = S::window(probe, key);
                sieve = S::sieve(probe, &window, key);
                strips = index.strips_in(&window);
            }
        }
        self.outwards = outwards;
        self.measure(index, probe, 0..self.candidates.len(), key, except);
    }

    /// Round 1 as it mostly ends: collects the objects in a disc that should hold a few more than `k`,
    /// judging by the density about `at`. Says no if it holds fewer, or seems to hold far too many.
    fn look(
        &mut self,
        index: &StripIndex,
        at: Coord,
        probe: &S::Probe,
        k: usize,
        except: Option<Slot>,
    ) -> bool {
        let wanted = (k + usize::from(except.is_some())) as f64;
        let expected = wanted + DEVIATIONS * wanted.sqrt();
        let key = S::key_of_area(probe, expected / index.density(index.strip_at(at.x), at.y));
        if !(key > 0.0 && key.is_finite()) {
            return false;
        }
        let window = S::window(probe, key);
        let strips = index.strips_in(&window);
        let count = count_of(&strips);
        if count > STRIPS_AHEAD {
            return false;
        }
        let mut stretches: [&[Row]; STRIPS_AHEAD] = [&[]; STRIPS_AHEAD];
        let mut row_count = 0;
        for (strip, stretch) in strips.into_iter().flatten().zip(&mut stretches) {
            *stretch = index.rows(strip, window.y);
            prefetch_rows(stretch);
            row_count += stretch.len();
        }
        if row_count as f64 > LOOK_ROWS_MIN + LOOK_ROWS * expected {
            return false;
        }
        self.cost.strips += count as u32;
        self.candidates.clear();
        let sieve = S::sieve(probe, &window, key);
        for rows in &stretches[..count] {
            push_passing(index, rows, &sieve, &mut self.candidates);
        }
        if self.candidates.len() < k {
            return false;
        }
        self.measure(index, probe, 0..self.candidates.len(), key, except);
        self.found.len() >= k
    }

    /// The members that the last search found, in answer order.
    #[must_use]
    pub fn found(&self) -> &[Member] {
        &self.found
    }

    /// What the searches since the last [`Searcher::knn`] began have cost.
    #[must_use]
    pub fn cost(&self) -> SearchCost {
        self.cost
    }

    /// Forgets what the searches before have cost, and their candidates.
    pub(crate) fn begin(&mut self) {
        self.cost = SearchCost::default();
        self.candidates.clear();
    }

    /// Round 1: the key of a radius within which there are `k` objects; infinite if there are not.
    pub(crate) fn radius(
        &mut self,
        index: &StripIndex,
        at: Coord,
        probe: &S::Probe,
        k: usize,
        except: Option<Slot>,
    ) -> f64 {
        let wanted = k + usize::from(except.is_some());
        if index.len() <= wanted {
            return f64::INFINITY;
        }
        let strips = candidate_strips::<S>(index, at, wanted);
        let share = wanted as f64 * ROUND_1_SURPLUS / strips.len() as f64;
        self.cost.rounds += 1;
        self.cost.strips += strips.len() as u32;
        let mut quota = share.ceil() as usize;
        loop {
            self.bounds.clear();
            let rows = strips.clone().map(|strip| index.rows_around(strip, at.y, quota));
            scan_ahead(rows, |rows| {
                // Round 2 will see the same rows and a few beside them, and most of these objects.
                prefetch_neighbours(rows);
                let others = rows.iter();
                let others = others.filter(|row| !row.x.is_nan() && Some(row.slot) != except);
                self.bounds.extend(others.map(|row| {
                    index.prefetch(row.slot);
                    S::key_above(probe, row.x, row.y)
                }));
            });
            self.cost.evaluations += self.bounds.len() as u32;
            if self.bounds.len() >= k {
                return member::kth_smallest(&mut self.bounds, k);
            }
            // A strip may have had less than its share: the others make up for it.
            quota *= 2;
        }
    }

    /// Round 2: the `k` nearest of the objects within `key_max` of the probe, all of which lie in
    /// `window`.
    #[allow(
        clippy::too_many_arguments,
        reason = "one call of the hot path, arguments of all types"
    )]
    pub(crate) fn knn_within(
        &mut self,
        index: &StripIndex,
        names: &ObjectNames,
        probe: &S::Probe,
        window: Window,
        key_max: f64,
        k: usize,
        except: Option<Slot>,
    ) -> SearchCost {
        self.collect(index, probe, &window, key_max, except);
        self.keep_first(k, names);
        self.cost
    }

    /// Keeps the first `k` of what was found, in answer order.
    pub(crate) fn keep_first(&mut self, k: usize, names: &ObjectNames) {
        member::keep_first(&mut self.found, k, names);
    }

    /// Collects the objects within `key_max` of the probe, all of which lie in `window`, in no
    /// order.
    pub(crate) fn collect(
        &mut self,
        index: &StripIndex,
        probe: &S::Probe,
        window: &Window,
        key_max: f64,
        except: Option<Slot>,
    ) {
        self.candidates.clear();
        let candidates = self.gather(index, window, &S::sieve(probe, window, key_max));
        self.measure(index, probe, candidates, key_max, except);
    }

    /// Collects the objects whose rounded position lies in the rounded `window`.
    pub(crate) fn collect_window(&mut self, index: &StripIndex, window: &Window) -> &[Slot] {
        self.candidates.clear();
        let candidates = self.gather(index, window, &Sieve::of_window(window));
        self.candidates(candidates)
    }

    /// One round over the strips that meet `window`: adds what passes the sieve to the candidates,
    /// and says which of them it is.
    pub(crate) fn gather(
        &mut self,
        index: &StripIndex,
        window: &Window,
        sieve: &Sieve,
    ) -> Range<usize> {
        let first = self.candidates.len();
        self.cost.rounds += 1;
        let strips = index.strips_in(window);
        self.cost.strips += count_of(&strips) as u32;
        let rows = strips.into_iter().flatten().map(|strip| index.rows(strip, window.y));
        scan_ahead(rows, |rows| push_passing(index, rows, sieve, &mut self.candidates));
        first..self.candidates.len()
    }

    /// Some of the candidates gathered since [`Searcher::begin`]; a whole search forgets them, too.
    pub(crate) fn candidates(&self, range: impl SliceIndex<[Slot], Output = [Slot]>) -> &[Slot] {
        &self.candidates[range]
    }

    /// Finds the objects within `key_max` of the probe among some candidates, in no order.
    pub(crate) fn measure(
        &mut self,
        index: &StripIndex,
        probe: &S::Probe,
        candidates: Range<usize>,
        key_max: f64,
        except: Option<Slot>,
    ) {
        let candidates = &self.candidates[candidates];
        self.cost.evaluations += candidates.len() as u32;
        self.found.clear();
        self.found.resize(candidates.len(), Member { key: 0.0, slot: Slot(0) });
        let (positions, mut len) = (index.positions(), 0);
        for &slot in candidates {
            let key = S::key(probe, positions[slot.index()]);
            self.found[len] = Member { key, slot };
            len += usize::from((key <= key_max) & (Some(slot) != except));
        }
        self.found.truncate(len);
    }
}

/// How many strips there are in ranges of strips.
#[inline]
fn count_of(strips: &[Range<usize>; 2]) -> usize {
    strips.iter().map(ExactSizeIterator::len).sum()
}

/// Strips whose rows are prefetched together; who looks at more is not waiting for memory.
const STRIPS_AHEAD: usize = 8;

/// Scans stretches of rows in their order, some of them prefetched before any is scanned.
#[inline]
fn scan_ahead<'a>(mut stretches: impl Iterator<Item = &'a [Row]>, mut scan: impl FnMut(&'a [Row])) {
    let mut ahead: [&[Row]; STRIPS_AHEAD] = [&[]; STRIPS_AHEAD];
    loop {
        let mut count = 0;
        for (place, rows) in ahead.iter_mut().zip(stretches.by_ref()) {
            prefetch_rows(rows);
            *place = rows;
            count += 1;
        }
        ahead[..count].iter().for_each(|rows| scan(rows));
        if count < STRIPS_AHEAD {
            return;
        }
    }
}

/// Adds the objects of the rows that pass the sieve, and prefetches where they are. Without a branch
/// on the outcome, which nothing could predict.
#[inline]
fn push_passing(index: &StripIndex, rows: &[Row], sieve: &Sieve, slots: &mut Vec<Slot>) {
    let len = slots.len();
    slots.resize(len + rows.len(), Slot(0));
    let room = &mut slots[len..];
    let mut count = 0;
    for row in rows {
        room[count] = row.slot;
        count += usize::from(sieve.passes(row.x, row.y));
    }
    slots.truncate(len + count);
    slots[len..].iter().for_each(|&slot| index.prefetch(slot));
}

/// The strips nearest `at`, in number enough to hold `wanted` objects and to be, together, about as
/// wide as the stretch of y in which each of them holds its share.
fn candidate_strips<S: Space>(
    index: &StripIndex,
    at: Coord,
    wanted: usize,
) -> impl ExactSizeIterator<Item = usize> + Clone {
    let strip_count = index.strip_count();
    let home = index.strip_at(at.x);
    index.prefetch_beside(home);
    let width = square_width(index, home, at.y, wanted).clamp(1, strip_count);
    index.prefetch_cells_beside(home, at.y);
    let (mut first, mut count, mut held) = (home, 1, index.strip_len(home));
    while count < strip_count && (count < width || held < wanted) {
        let last = (first + count - 1) % strip_count;
        let below = (S::WRAPS || first > 0).then(|| (first + strip_count - 1) % strip_count);
        let above = (S::WRAPS || last + 1 < strip_count).then(|| (last + 1) % strip_count);
        // The gap to a strip is the gap to its border on this side.
        let gap_below = below.map(|strip| S::gap_x(at.x, index.strip_borders(strip).end.into()));
        let gap_above = above.map(|strip| S::gap_x(at.x, index.strip_borders(strip).start.into()));
        let go_below = gap_above.is_none_or(|above| gap_below.is_some_and(|below| below <= above));
        let next = if go_below { below } else { above }.expect("a strip is left on one side");
        first = if go_below { next } else { first };
        held += index.strip_len(next);
        count += 1;
    }
    (0..count).map(move |offset| (first + offset) % strip_count)
}

/// How many strips of the width of `home` are as wide as the stretch of y in which each would hold
/// its share of `wanted` objects: if `home` alone holds them in a stretch h, c strips hold them in
/// h / c, so c · width = h / c.
fn square_width(index: &StripIndex, home: usize, y: f64, wanted: usize) -> usize {
    let borders = index.strip_borders(home);
    let stretch = index.stretch(home, y, wanted);
    (stretch / (borders.end - borders.start)).sqrt().ceil() as usize
}

#[cfg(test)]
#[path = "dknn_tests.rs"]
mod tests;
