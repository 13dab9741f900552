//! What an epoch touched: where its movers were and where they are now, by strip and y.
//!
//! A standing question looks only at the touches in its window; one without any is unchanged.

use dunlin_index::{Coord, Slot, Space, StripIndex};

use crate::disc_lists::Listed;

/// A place that an object left or came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch<S: Space> {
    pub(crate) at: Coord,
    pub(crate) slot: Slot,
    /// The object is here now; else it was here before.
    pub(crate) arrived: Option<S::Probe>,
}

/// All touches of one epoch.
#[derive(Debug)]
pub(crate) struct Touches<S: Space> {
    touches: Vec<Touch<S>>,
    /// The touches of strip s are starts[s]..starts[s + 1], ordered by y.
    starts: Vec<usize>,
    sorted: Vec<(usize, Touch<S>)>,
    /// x and y of `sorted`, rounded.
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
            starts: Vec::new(),
            sorted: Vec::new(),
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

    /// Notes that `slot` leaves `from`, if it was anywhere. Call it before the index moves it.
    pub(crate) fn leave(&mut self, slot: Slot, from: Option<Coord>) {
        if slot.index() >= self.moved.len() {
            self.moved.resize(slot.index() + 1, false);
        }
        if std::mem::replace(&mut self.moved[slot.index()], true) {
            return;
        }
        let at = from.unwrap_or(Coord { x: f64::NAN, y: f64::NAN });
        self.touches.push(Touch { at, slot, arrived: None });
    }

    /// Notes where the movers are now, and orders all touches; call it after the index moved them.
    pub(crate) fn arrive(&mut self, index: &StripIndex) {
        let arrivals = |touch: &Touch<S>| {
            let at = index.position(touch.slot)?;
            Some(Touch { at, slot: touch.slot, arrived: Some(S::probe(at)) })
        };
        let arrivals: Vec<_> = self.touches.iter().filter_map(arrivals).collect();
        self.touches.extend(arrivals);
        let present = self.touches.iter().filter(|touch| !touch.at.x.is_nan());
        self.sorted.clear();
        self.sorted.extend(present.map(|touch| (index.strip_at(touch.at.x), *touch)));
        self.sorted.sort_unstable_by(|(strip, a), (other, b)| {
            strip.cmp(other).then_with(|| a.at.y.total_cmp(&b.at.y))
        });
        self.rounded.clear();
        self.rounded
            .extend(self.sorted.iter().map(|(_, touch)| (touch.at.x as f32, touch.at.y as f32)));
        self.starts.clear();
        for (row, (strip, _)) in self.sorted.iter().enumerate() {
            self.starts.resize(strip + 1, row);
        }
        self.starts.resize(index.strip_count() + 1, self.sorted.len());
    }

    /// The numbers of the touches of `strip` that may lie in the window of `listed`.
    #[inline]
    pub(crate) fn concerning(&self, strip: usize, listed: &Listed) -> impl Iterator<Item = u32> {
        let (mut start, mut end) = (self.starts[strip], self.starts[strip + 1]);
        if end - start > FEW {
            let rows = &self.rounded[start..end];
            end = start + rows.partition_point(|&(_, y)| y <= listed.y.1);
            start += rows.partition_point(|&(_, y)| y < listed.y.0);
        }
        let inside = |(min, max): (f32, f32), value: f32| (min <= value) & (value <= max);
        let near = self.rounded[start..end].iter().zip(start as u32..);
        near.filter(move |&(&(x, y), _)| inside(listed.x, x) & inside(listed.y, y))
            .map(|(_, number)| number)
    }

    /// The touch of a number.
    #[inline]
    pub(crate) fn touch(&self, number: u32) -> &Touch<S> {
        &self.sorted[number as usize].1
    }

    /// The strips with a touch, each once.
    pub(crate) fn strips(&self) -> impl Iterator<Item = usize> + '_ {
        self.starts.windows(2).enumerate().filter(|(_, rows)| rows[0] < rows[1]).map(|(s, _)| s)
    }

    /// All touched places, with the numbers of the touches.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u32, Coord)> + '_ {
        (0..).zip(self.sorted.iter().map(|(_, touch)| touch.at))
    }

    /// Whether `slot` moved, entered or left in this epoch, or may have.
    #[inline]
    pub(crate) fn moved(&self, slot: Slot) -> bool {
        self.all_moved || self.moved.get(slot.index()).is_some_and(|&moved| moved)
    }
}
