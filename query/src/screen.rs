//! The screen: all questions' windows side by side, tested against one mover at a time.
//!
//! ```text
//! tops      | box of block 0 | box of block 1 | …                LANES boxes to a block,
//! blocks    | q q q q … q q  | q q q q … q q  | …                least and greatest x and y in
//!                                                                columns: one pass, no branch
//! ```
//!
//! Neighbours share a block, and a block whose box is not on the mover's way is passed over. Of the
//! boxes that hold a mover, a fifth hold it in a corner, outside their question's disc: a second look
//! at the disc costs less than bringing an answer up to date that stays as it is. Where there are few
//! strips, so that each is listed with a good part of all questions, the screen costs less than the
//! lists of the strips (see [`crate::disc_lists`]), and nothing when a strip is cut.
//!
//! Cost: a mover looks at one box for each block and at the blocks on its way; a new window
//! rewrites one lane and the box of its block.

use dunlin_index::{Sieve, Window};

use crate::rounded::RoundedBox;

/// Boxes that are tested together.
const LANES: usize = 32;
/// Windows rewritten, for each question, until the questions are put in order of place again.
const REWRITES_MAX: usize = 16;

/// [`LANES`] boxes in columns.
#[derive(Clone, Debug)]
struct Block {
    x_min: [f32; LANES],
    x_max: [f32; LANES],
    y_min: [f32; LANES],
    y_max: [f32; LANES],
}

impl Block {
    const EMPTY: Self = Self {
        x_min: [RoundedBox::EMPTY.x.0; LANES],
        x_max: [RoundedBox::EMPTY.x.1; LANES],
        y_min: [RoundedBox::EMPTY.y.0; LANES],
        y_max: [RoundedBox::EMPTY.y.1; LANES],
    };

    fn set(&mut self, lane: usize, bounds: &RoundedBox) {
        (self.x_min[lane], self.x_max[lane]) = bounds.x;
        (self.y_min[lane], self.y_max[lane]) = bounds.y;
    }

    fn get(&self, lane: usize) -> RoundedBox {
        RoundedBox {
            x: (self.x_min[lane], self.x_max[lane]),
            y: (self.y_min[lane], self.y_max[lane]),
        }
    }

    /// The lanes whose box meets another, as bits.
    #[inline]
    fn meeting(&self, other: &RoundedBox) -> u32 {
        (0..LANES).fold(0, |lanes, lane| {
            let meets_x = (self.x_min[lane] <= other.x.1) & (other.x.0 <= self.x_max[lane]);
            let meets_y = (self.y_min[lane] <= other.y.1) & (other.y.0 <= self.y_max[lane]);
            lanes | u32::from(meets_x & meets_y) << lane
        })
    }

    /// Whether the box of a lane holds a position.
    #[inline]
    fn holds(&self, lane: usize, (x, y): (f32, f32)) -> bool {
        let inside_x = (self.x_min[lane] <= x) & (x <= self.x_max[lane]);
        let inside_y = (self.y_min[lane] <= y) & (y <= self.y_max[lane]);
        inside_x & inside_y
    }

    /// The smallest box around all lanes.
    fn bounds(&self) -> RoundedBox {
        let min = |column| extreme(column, |value, least| value < least);
        let max = |column| extreme(column, |value, greatest| value > greatest);
        RoundedBox {
            x: (min(&self.x_min), max(&self.x_max)),
            y: (min(&self.y_min), max(&self.y_max)),
        }
    }
}

/// The value of `column` that is beyond all others; a few in one step.
#[inline]
fn extreme(column: &[f32; LANES], beyond: impl Fn(f32, f32) -> bool) -> f32 {
    const STEP: usize = 8;
    let further = |a, b| if beyond(a, b) { a } else { b };
    let (first, rest) = column.split_first_chunk::<STEP>().expect("several steps");
    let mut ends = *first;
    for values in rest.as_chunks::<STEP>().0 {
        ends.iter_mut().zip(values).for_each(|(end, &value)| *end = further(value, *end));
    }
    ends.into_iter().reduce(further).expect("a step is not empty")
}

/// A question's disc in rounded coordinates, where the space is flat: who lies in its box, but not
/// here, is in a corner. Of a question without one, all of the box.
#[derive(Clone, Copy, Debug)]
struct Disc {
    center: (f32, f32),
    weight_x: f32,
    limit: f32,
}

impl Disc {
    const ALL: Self = Self { center: (0.0, 0.0), weight_x: 0.0, limit: f32::INFINITY };

    fn of(sieve: &Sieve) -> Self {
        match *sieve {
            Sieve::Box { .. } => Self::ALL,
            Sieve::Ellipse { center, weight_x, limit } => Self { center, weight_x, limit },
        }
    }

    /// Whether a position of the box may be in the disc. One that is infinite, rounded, is no number
    /// of steps away from anywhere, and may be.
    #[inline]
    fn holds(&self, (x, y): (f32, f32)) -> bool {
        let (dx, dy) = (x - self.center.0, y - self.center.1);
        let is_beyond = self.weight_x * dx * dx + dy * dy > self.limit;
        !is_beyond
    }
}

/// The windows of all questions; see the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// The boxes of the blocks.
    tops: Vec<Block>,
    blocks: Vec<Block>,
    /// Of each lane.
    discs: Vec<Disc>,
    /// The question of each lane, and the lane of each question, counted through all blocks.
    questions: Vec<u32>,
    lanes: Vec<u32>,
    rewrites: usize,
}

impl Screen {
    /// Takes the windows of all questions, which are numbered from 0, each with what passes in it.
    pub(crate) fn reset(&mut self, reaches: impl Iterator<Item = (Window, Sieve)>) {
        let (boxes, discs): (Vec<_>, Vec<_>) =
            reaches.map(|(window, sieve)| (RoundedBox::around(&window), Disc::of(&sieve))).unzip();
        self.questions = in_order_of_place(&boxes);
        self.lanes = vec![0; boxes.len()];
        self.discs = self.questions.iter().map(|&question| discs[question as usize]).collect();
        self.blocks = vec![Block::EMPTY; boxes.len().div_ceil(LANES)];
        self.tops = vec![Block::EMPTY; self.blocks.len().div_ceil(LANES)];
        for (lane, &question) in self.questions.iter().enumerate() {
            self.lanes[question as usize] = lane as u32;
            self.blocks[lane / LANES].set(lane % LANES, &boxes[question as usize]);
        }
        (0..self.blocks.len()).for_each(|block| self.fit_top(block));
        self.rewrites = 0;
    }

    /// Gives `question` another window, and what passes in it.
    pub(crate) fn set(&mut self, question: usize, window: &Window, sieve: &Sieve) {
        let lane = self.lanes[question] as usize;
        self.discs[lane] = Disc::of(sieve);
        let (block, place) = (lane / LANES, lane % LANES);
        let (before, now) = (self.blocks[block].get(place), RoundedBox::around(window));
        self.blocks[block].set(place, &now);
        // A box that is well inside the block's own, before and now, is not what bounds it.
        let top = self.tops[block / LANES].get(block % LANES);
        if !(top.encloses(&before) && top.encloses(&now)) {
            self.fit_top(block);
        }
        self.rewrites += 1;
    }

    /// Whether so many windows changed that neighbours may no longer share blocks.
    pub(crate) fn is_worn(&self) -> bool {
        self.rewrites > self.questions.len() * REWRITES_MAX
    }

    fn fit_top(&mut self, block: usize) {
        self.tops[block / LANES].set(block % LANES, &self.blocks[block].bounds());
    }

    /// Calls `found` with every question in whose rounded window, and disc, a mover was or is, at
    /// rounded positions, and with whether it is there now. A position of NaN is nowhere.
    #[inline]
    pub(crate) fn each_on_way(
        &self,
        from: (f32, f32),
        to: (f32, f32),
        mut found: impl FnMut(u32, bool),
    ) {
        // Mostly a mover does not go far, so that few boxes meet its way that hold neither end.
        let way = RoundedBox::around_both(from, to);
        let lanes = self.questions.chunks(LANES * LANES).zip(self.discs.chunks(LANES * LANES));
        let groups = self.blocks.chunks(LANES).zip(lanes);
        for (top, (blocks, (questions, discs))) in self.tops.iter().zip(groups) {
            for block in bits(top.meeting(&way)) {
                let boxes = &blocks[block];
                let (questions, discs) = (&questions[block * LANES..], &discs[block * LANES..]);
                for lane in bits(boxes.meeting(&way)) {
                    let (question, disc) = (questions[lane], &discs[lane]);
                    let holds = |at| boxes.holds(lane, at) & disc.holds(at);
                    let is_there = holds(to);
                    if is_there | holds(from) {
                        found(question, is_there);
                    }
                }
            }
        }
    }
}

/// The numbers of the boxes, cut into columns of blocks along x and these into blocks along y.
fn in_order_of_place(boxes: &[RoundedBox]) -> Vec<u32> {
    let x = |question: &u32| boxes[*question as usize].x.0;
    let y = |question: &u32| boxes[*question as usize].y.0;
    let mut questions: Vec<u32> = (0..boxes.len() as u32).collect();
    questions.sort_unstable_by(|a, b| x(a).total_cmp(&x(b)).then(a.cmp(b)));
    let blocks_in_column = (boxes.len().div_ceil(LANES) as f64).sqrt().ceil() as usize;
    for column in questions.chunks_mut(LANES * blocks_in_column.max(1)) {
        column.sort_unstable_by(|a, b| y(a).total_cmp(&y(b)).then(a.cmp(b)));
    }
    questions
}

/// The places of the bits that are set.
#[inline]
fn bits(mut word: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (place < u32::BITS as usize).then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_index::{Coord, Interval, Space, Sphere};
    use proptest::prelude::*;

    /// Windows on a lattice, so that borders and corners are hit; some empty, some wrapped.
    fn windows() -> impl Strategy<Value = Vec<Window>> {
        let interval = || (0..12i8, -1..4i8);
        let window = (interval(), interval(), 0..10u8).prop_map(|(x, y, choice)| {
            let interval = |(min, len): (i8, i8)| Interval {
                min: f64::from(min) * 0.1,
                max: f64::from(min + len) * 0.1,
            };
            let second = if choice == 0 { Interval::ALL } else { Interval::EMPTY };
            Window { x: [interval(x), second], y: interval(y) }
        });
        prop::collection::vec(window, 0..2_500)
    }

    /// A window all of which passes.
    fn whole(window: &Window) -> (Window, Sieve) {
        (*window, Sieve::of_window(window))
    }

    fn found(screen: &Screen, from: (f32, f32), to: (f32, f32)) -> Vec<(u32, bool)> {
        let mut found = Vec::new();
        screen.each_on_way(from, to, |question, is_there| found.push((question, is_there)));
        found.sort_unstable();
        found
    }

    fn expected(windows: &[Window], from: (f32, f32), to: (f32, f32)) -> Vec<(u32, bool)> {
        let mut expected = Vec::new();
        for (question, window) in (0..).zip(windows) {
            let bounds = RoundedBox::around(window);
            if bounds.contains(from) || bounds.contains(to) {
                expected.push((question, bounds.contains(to)));
            }
        }
        expected
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn every_window_where_a_mover_was_or_is_is_found_once(
            before in windows(), after in windows(), stride in 1usize..40,
        ) {
            let mut windows = before;
            let mut screen = Screen::default();
            screen.reset(windows.iter().map(whole));
            for (question, window) in after.iter().enumerate().step_by(stride) {
                if question < windows.len() {
                    windows[question] = *window;
                    let (window, sieve) = whole(window);
                    screen.set(question, &window, &sieve);
                }
            }
            let at = |step: usize| ((step % 13) as f32 * 0.1, (step / 13) as f32 * 0.1);
            let nowhere = (f32::NAN, f32::NAN);
            for step in 0..169 {
                for (from, to) in [
                    (at(step), at(step * 7 % 169)),
                    (at(step), at(step)),
                    (nowhere, at(step)),
                    (at(step), nowhere),
                ] {
                    prop_assert_eq!(found(&screen, from, to), expected(&windows, from, to));
                }
            }
            prop_assert_eq!(found(&screen, nowhere, nowhere), vec![]);
        }
    }

    #[test]
    fn positions_too_far_for_32_bits_are_in_the_window_of_all() {
        let mut screen = Screen::default();
        screen.reset(std::iter::once(whole(&Window::ALL)));
        let (far, near) = (1e150_f64 as f32, 0.0);
        for (from, to) in [((far, near), (far, -far)), ((near, far), (-far, near))] {
            assert_eq!(found(&screen, from, to), [(0, true)]);
        }
    }

    /// Rounded positions in and about the box of a disc.
    fn about(center: Coord) -> impl Iterator<Item = Coord> {
        (0..41 * 41).map(move |step| {
            let offset = |step: usize| (step as f64 - 20.0) * 6e-4;
            Coord { x: center.x + offset(step % 41), y: center.y + offset(step / 41) }
        })
    }

    #[test]
    fn whoever_is_in_the_disc_is_found_and_who_is_in_a_corner_of_its_box_is_not() {
        let (center, key) = (Coord { x: -122.4, y: 37.75 }, Sphere::key_within(1_000.0));
        let probe = Sphere::probe(center);
        let window = Sphere::window(&probe, key);
        let mut screen = Screen::default();
        screen.reset(std::iter::once(whole(&Window::EMPTY)));
        screen.set(0, &window, &Sphere::sieve(&probe, &window, key));
        let (mut inside, mut corners) = (0, 0);
        for at in about(center) {
            let here = (at.x as f32, at.y as f32);
            let is_found = found(&screen, (f32::NAN, f32::NAN), here) == [(0, true)];
            let was_found = found(&screen, here, (f32::NAN, f32::NAN)) == [(0, false)];
            assert_eq!(is_found, was_found);
            let away = Sphere::key(&probe, at);
            assert!(is_found || away > key, "{at:?} is in the disc");
            inside += usize::from(away <= key);
            corners += usize::from(window.contains(at) && away > key * 1.1);
            assert!(!is_found || away < key * 1.1, "{at:?} is in a corner");
        }
        assert!(inside > 500 && corners > 50, "{inside} inside, {corners} in corners");
    }

    #[test]
    fn neighbours_share_blocks() {
        let window = |place: usize| {
            let (x, y) = ((place * 7 % 100) as f64, (place * 7 / 100 % 100) as f64);
            Window {
                x: [Interval { min: x, max: x + 1.0 }, Interval::EMPTY],
                y: Interval { min: y, max: y + 1.0 },
            }
        };
        let windows: Vec<_> = (0..10_000).map(window).collect();
        let mut screen = Screen::default();
        screen.reset(windows.iter().map(whole));
        let area = |block: &Block| {
            let bounds = block.bounds();
            (bounds.x.1 - bounds.x.0) * (bounds.y.1 - bounds.y.0)
        };
        let mean = screen.blocks.iter().map(area).sum::<f32>() / screen.blocks.len() as f32;
        assert!(mean < 100.0, "32 unit squares side by side fill {mean}");
    }
}
