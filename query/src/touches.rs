//! What an epoch touched: where its movers were and where they are now, by strip and y.
//!
//! A standing question looks only at the touches in its window; one without any is unchanged.

use dunlin_index::{Coord, Slot, Space, StripIndex};
use rayon::prelude::*;

use crate::disc_lists::Listed;

/// A place that an object left or came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch<S: Space> {
    pub(crate) at: Coord,
    pub(crate) slot: Slot,
    /// The object is here now; else it was here before.
    pub(crate) arrived: Option<S::Probe>,
}

/// A touch among those of its strip.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    strip: u32,
    number: u32,
    y: f64,
}

/// All touches of one epoch.
#[derive(Debug)]
pub(crate) struct Touches<S: Space> {
    /// Where the movers were (NaN if nowhere), then where they are.
    touches: Vec<Touch<S>>,
    mover_count: usize,
    /// The touches by strip: those of strip s are rows starts[s]..starts[s + 1], ordered by y.
    starts: Vec<usize>,
    rows: Vec<Row>,
    /// The rows before they are ordered.
    found: Vec<Row>,
    /// Of each row, x and y rounded.
    rounded: Vec<(f32, f32)>,
    /// Whether each slot moved or left in this epoch.
    moved: Vec<bool>,
    /// So many moved that nobody noted which.
    all_moved: bool,
}

/// Touches of a strip up to which looking at all beats searching.
const FEW: usize = 16;

impl<S: Space> Default for Touches<S> {
    fn default() -> Self {
        Self {
            touches: Vec::new(),
            mover_count: 0,
            starts: Vec::new(),
            rows: Vec::new(),
            found: Vec::new(),
            rounded: Vec::new(),
            moved: Vec::new(),
            all_moved: false,
        }
    }
}

impl<S: Space> Touches<S> {
    /// Forgets the last epoch.
    pub(crate) fn clear(&mut self) {
        for touch in self.touches.drain(..) {
            self.moved[touch.slot.index()] = false;
        }
        self.all_moved = false;
    }

    /// Notes that anything may have moved; nothing else is noted in such an epoch.
    pub(crate) fn all_moved(&mut self) {
        self.clear();
        self.all_moved = true;
    }

    /// Notes that `slot` goes from `from`, if it was anywhere, to `to`, if it stays. Call it before
    /// the index moves it.
    pub(crate) fn leave(&mut self, slot: Slot, from: Option<Coord>, to: Option<Coord>) {
        if slot.index() >= self.moved.len() {
            self.moved.resize(slot.index() + 1, false);
        }
        let stands = from.is_some() && from == to;
        if stands || std::mem::replace(&mut self.moved[slot.index()], true) {
            return;
        }
        let at = from.unwrap_or(Coord { x: f64::NAN, y: f64::NAN });
        self.touches.push(Touch { at, slot, arrived: None });
    }

    /// Notes where the movers are now; call it after the index moved them.
    pub(crate) fn arrive(&mut self, index: &StripIndex) {
        self.mover_count = self.touches.len();
        for mover in 0..self.mover_count {
            let slot = self.touches[mover].slot;
            if let Some(at) = index.position(slot) {
                self.touches.push(Touch { at, slot, arrived: Some(S::probe(at)) });
            }
        }
    }

    /// Orders all touches by strip, and those of a strip by y and number: strips by counting, y by
    /// comparing, since a strip has few.
    pub(crate) fn sort(&mut self, index: &StripIndex) {
        let Self { touches, starts, found, rows, rounded, .. } = self;
        starts.clear();
        starts.resize(index.strip_count() + 1, 0);
        found.clear();
        for (number, touch) in all(touches) {
            let strip = index.strip_at(touch.at.x) as u32;
            starts[strip as usize + 1] += 1;
            found.push(Row { strip, number, y: touch.at.y });
        }
        for strip in 1..starts.len() {
            starts[strip] += starts[strip - 1];
        }
        rows.clear();
        rows.resize(found.len(), Row::default());
        for row in found.iter() {
            let place = &mut starts[row.strip as usize];
            rows[*place] = *row;
            *place += 1;
        }
        // Each strip has been filled up to where the next begins.
        starts.pop();
        starts.insert(0, 0);
        rows.par_chunk_by_mut(|a, b| a.strip == b.strip).for_each(|strip| {
            strip.sort_unstable_by(|a, b| a.y.total_cmp(&b.y).then(a.number.cmp(&b.number)));
        });
        rounded.clear();
        rounded.extend(rows.iter().map(|row| {
            let at = touches[row.number as usize].at;
            (at.x as f32, at.y as f32)
        }));
    }

    /// The numbers of the touches of `strip` that may lie in the window of `listed`.
    #[inline]
    pub(crate) fn concerning(&self, strip: usize, listed: &Listed) -> impl Iterator<Item = u32> {
        let (mut start, mut end) = (self.starts[strip], self.starts[strip + 1]);
        if end - start > FEW {
            let rows = &self.rounded[start..end];
            end = start + rows.partition_point(|&(_, y)| y <= listed.bounds.y.1);
            start += rows.partition_point(|&(_, y)| y < listed.bounds.y.0);
        }
        let near = self.rounded[start..end].iter().zip(&self.rows[start..end]);
        near.filter(move |&(&at, _)| listed.bounds.contains(at)).map(|(_, row)| row.number)
    }

    /// The touch of a number.
    #[inline]
    pub(crate) fn touch(&self, number: u32) -> &Touch<S> {
        &self.touches[number as usize]
    }

    /// The strips with a touch, each once.
    pub(crate) fn strips(&self) -> impl Iterator<Item = usize> + '_ {
        self.starts.windows(2).enumerate().filter(|(_, rows)| rows[0] < rows[1]).map(|(s, _)| s)
    }

    /// The movers: where each was (NaN if nowhere), and where it is now, if anywhere, with the number
    /// of that touch.
    pub(crate) fn movers(&self) -> impl Iterator<Item = (&Touch<S>, Option<(u32, &Touch<S>)>)> {
        let (left, arrived) = self.touches.split_at(self.mover_count);
        let mut arrived = (self.mover_count as u32..).zip(arrived).peekable();
        left.iter().map(move |left| (left, arrived.next_if(|(_, touch)| touch.slot == left.slot)))
    }

    /// All touches with their numbers, but those of movers that came from nowhere.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &Touch<S>)> {
        all(&self.touches)
    }

    /// Whether `slot` moved, entered or left in this epoch, or may have.
    #[inline]
    pub(crate) fn moved(&self, slot: Slot) -> bool {
        self.all_moved || self.moved.get(slot.index()).is_some_and(|&moved| moved)
    }
}

fn all<S: Space>(touches: &[Touch<S>]) -> impl Iterator<Item = (u32, &Touch<S>)> {
    (0..).zip(touches).filter(|(_, touch)| !touch.at.x.is_nan())
}
