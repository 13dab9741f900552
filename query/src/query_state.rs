//! One standing question and its answer.
//!
//! Between epochs the members, the position they were measured from and a window that holds the
//! question's disc are kept. An epoch brings one of three things:
//!
//! - nothing in the window moved: the answer stands;
//! - something did: members that moved go, arrivals inside the old disc come; if k remain, they are
//!   the k nearest, since whatever stayed outside the disc is farther than all of them;
//! - the focus moved, or too few remain: the members' greatest distance now bounds the k-th
//!   nearest, so one round over the strips finds the answer anew. Only a question that has no such
//!   bound (its first answer, a member that left) takes DKNN's first round as well.

use dunlin_index::{Coord, ObjectNames, Slot, Space, StripIndex, Window};

use crate::area::Area;
use crate::disc_lists::{ListedIn, NOWHERE};
use crate::dknn::Searcher;
use crate::member::{self, Member};
use crate::standing::AnswerChange;
use crate::touches::Touches;

/// What the states read and none writes while an epoch is applied.
#[derive(Debug)]
pub(crate) struct World<'a, S: Space> {
    pub(crate) index: &'a StripIndex,
    pub(crate) names: &'a ObjectNames,
    pub(crate) touches: &'a Touches<S>,
}

/// A focus with its object resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SlotFocus {
    Point(Coord),
    Object(Slot),
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Knn { k: usize, focus: SlotFocus },
    Within { radius: f64, focus: SlotFocus },
    Inside(Box<Area>),
}

/// A standing question with its answer.
#[derive(Debug)]
pub(crate) struct QueryState<S: Space> {
    /// In the order of registration.
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// In answer order.
    pub(crate) members: Vec<Member>,
    /// The answer before the last epoch that touched it.
    pub(crate) previous: Vec<Member>,
    pub(crate) change: AnswerChange,
    /// Where the answer was measured from; absent where the focus is.
    center: Option<(Coord, S::Probe)>,
    /// Every object that could be a member lies in it.
    pub(crate) window: Window,
    /// The window is not the one that the lists have.
    pub(crate) is_window_new: bool,
    /// The key for which `window` was made.
    window_key: f64,
    pub(crate) listed: ListedIn,
    answered: bool,
}

/// Strips of a question that are read ahead; who looks at more is not waiting for memory.
const STRIPS_AHEAD: usize = 16;
/// Rows in a line of the cache.
const ROWS_PER_LINE: usize = 5;
/// A window is made anew when the disc has shrunk to this share of its key: half the radius.
const SHRUNK: f64 = 0.25;
/// A bound is looked for anew when the old one has grown to so many times its key.
const STRETCHED: f64 = 2.0;

impl<S: Space> QueryState<S> {
    pub(crate) fn new(number: u32, kind: Kind) -> Self {
        Self {
            number,
            kind,
            members: Vec::new(),
            previous: Vec::new(),
            change: AnswerChange::Unchanged,
            center: None,
            window: Window::EMPTY,
            is_window_new: true,
            window_key: 0.0,
            listed: NOWHERE,
            answered: false,
        }
    }

    fn focus(&self) -> Option<SlotFocus> {
        match self.kind {
            Kind::Knn { focus, .. } | Kind::Within { focus, .. } => Some(focus),
            Kind::Inside(_) => None,
        }
    }

    pub(crate) fn focus_slot(&self) -> Option<Slot> {
        match self.focus()? {
            SlotFocus::Object(slot) => Some(slot),
            SlotFocus::Point(_) => None,
        }
    }

    pub(crate) fn is_area(&self) -> bool {
        matches!(self.kind, Kind::Inside(_))
    }

    /// Roughly where the question looks, to keep neighbours together.
    pub(crate) fn place(&self) -> Coord {
        let window = || Coord { x: self.window.x[0].min, y: self.window.y.min };
        self.center.as_ref().map_or_else(window, |(at, _)| *at)
    }

    /// Whether the focus is not where the answer was measured from.
    fn focus_moved(&self, index: &StripIndex) -> bool {
        match self.focus() {
            Some(SlotFocus::Object(slot)) => {
                index.position(slot) != self.center.as_ref().map(|(at, _)| *at)
            }
            _ => false,
        }
    }

    /// Whether the answer must be found anew whatever was touched.
    fn is_due(&self, index: &StripIndex) -> bool {
        !self.answered || self.focus_moved(index)
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Reads what finding the answer anew will read, and does nothing with it. Memory answers many
    /// such reads at a time, while a search waits for one after the other; so reading ahead for
    /// some states and then answering them costs half of answering them at once.
    pub(crate) fn read_ahead(&self, index: &StripIndex) {
        let mut seen = 0;
        for member in &self.members {
            seen ^= index.position(member.slot).map_or(0, |at| at.x.to_bits());
        }
        for strip in index.strips_in(&self.window).into_iter().flatten().take(STRIPS_AHEAD) {
            let rows = index.rows(strip, self.window.y);
            seen ^= rows
                .iter()
                .step_by(ROWS_PER_LINE)
                .fold(0, |seen, row| seen ^ u64::from(row.slot.0));
        }
        std::hint::black_box(seen);
    }

    /// Brings the answer to the end of the epoch by what was touched.
    pub(crate) fn update(&mut self, world: &World<'_, S>, searcher: &mut Searcher<S>) {
        if self.is_due(world.index) {
            return self.recompute(world, searcher);
        }
        match self.arrivals(world) {
            None => self.change = AnswerChange::Unchanged,
            Some(arrivals) => {
                self.replace_members(|members, next| merge(members, next, &arrivals, world));
                let Kind::Knn { k, .. } = self.kind else { return self.compare(world) };
                let was_full = self.previous.len() == k;
                if was_full && self.members.len() < k {
                    // What lies beyond the old disc is unknown: look again, knowing how far.
                    std::mem::swap(&mut self.members, &mut self.previous);
                    return self.recompute(world, searcher);
                }
                self.members.truncate(k);
                self.compare(world);
                self.fit_window(k);
            }
        }
    }

    /// The movers that are members now, in answer order; `None` if the answer stands.
    fn arrivals(&self, world: &World<'_, S>) -> Option<Vec<Member>> {
        let mut touched = false;
        let mut arrivals = Vec::new();
        for strip in world.index.strips_in(&self.window).into_iter().flatten() {
            for touch in world.touches.in_strip(strip, self.window.y) {
                if !self.window.contains(touch.at) {
                    continue;
                }
                touched = true;
                let key = touch
                    .arrived
                    .and_then(|probe| self.admits(touch.slot, &probe, touch.at, world));
                arrivals.extend(key.map(|key| Member { key, slot: touch.slot }));
            }
        }
        if !touched {
            return None;
        }
        if arrivals.is_empty()
            && !self.members.iter().any(|member| world.touches.moved(member.slot))
        {
            return None;
        }
        member::sort(&mut arrivals, world.names);
        Some(arrivals)
    }

    /// The key of an object at `at`, if it belongs to the answer or might.
    fn admits(&self, slot: Slot, probe: &S::Probe, at: Coord, world: &World<'_, S>) -> Option<f64> {
        if let Kind::Inside(area) = &self.kind {
            return area.contains(at).then_some(0.0);
        }
        let (_, center) = self.center.as_ref()?;
        if self.focus_slot() == Some(slot) {
            return None;
        }
        let key = S::key_between(center, probe);
        let member = Member { key, slot };
        let admitted = match self.kind {
            Kind::Knn { k, .. } if self.members.len() == k => {
                let last = self.members.last().expect("k is at least 1");
                member.compare(last, world.names).is_le()
            }
            Kind::Within { radius, .. } => S::distance(key) <= radius,
            _ => true,
        };
        admitted.then_some(key)
    }

    /// Finds the answer anew.
    pub(crate) fn recompute(&mut self, world: &World<'_, S>, searcher: &mut Searcher<S>) {
        let at = match self.focus() {
            None => None,
            Some(SlotFocus::Point(at)) => Some(at),
            Some(SlotFocus::Object(slot)) => world.index.position(slot),
        };
        let first = !std::mem::replace(&mut self.answered, true);
        let center_was = self.center.map(|(at, _)| at);
        self.center = at.map(|at| (at, S::probe(at)));
        searcher.begin();
        match (self.kind.clone(), self.center) {
            (Kind::Inside(area), _) => self.find_inside(&area, world, searcher),
            (_, None) => {
                self.set_window(Window::EMPTY, 0.0);
                self.replace_members(|_, _| ());
            }
            (Kind::Knn { k, .. }, Some((at, probe))) => {
                self.find_nearest(k, at, &probe, world, searcher);
            }
            (Kind::Within { radius, .. }, Some((_, probe))) => {
                self.find_within(radius, &probe, world, searcher);
            }
        }
        self.compare(world);
        if first {
            self.change = AnswerChange::Reordered;
        } else if self.change == AnswerChange::Unchanged && center_was != at {
            self.change = AnswerChange::Moved;
        }
    }

    fn find_nearest(
        &mut self,
        k: usize,
        at: Coord,
        probe: &S::Probe,
        world: &World<'_, S>,
        searcher: &mut Searcher<S>,
    ) {
        let except = self.focus_slot();
        let bound = self.bound_by_members(k, probe, world.index);
        // A member that went far makes a bound that costs more to use than a new one to find.
        let far = self.members.last().map_or(0.0, |last| last.key * STRETCHED);
        let key = match bound {
            Some(bound) if bound <= far => bound,
            _ => {
                let found = searcher.radius(world.index, at, probe, k, except);
                bound.map_or(found, |bound| bound.min(found))
            }
        };
        self.set_window(S::window(probe, key), key);
        searcher.knn_within(world.index, world.names, probe, self.window, key, k, except);
        self.replace_members(|_, next| next.extend_from_slice(searcher.found()));
        self.fit_window(k);
    }

    /// The greatest key of the k members at their positions now: k objects lie no farther.
    fn bound_by_members(&self, k: usize, probe: &S::Probe, index: &StripIndex) -> Option<f64> {
        if self.members.len() < k {
            return None;
        }
        self.members.iter().try_fold(0.0, |bound: f64, member| {
            Some(bound.max(S::key(probe, index.position(member.slot)?)))
        })
    }

    fn find_within(
        &mut self,
        radius: f64,
        probe: &S::Probe,
        world: &World<'_, S>,
        searcher: &mut Searcher<S>,
    ) {
        let key = S::key_within(radius);
        self.set_window(S::window(probe, key), key);
        searcher.collect(world.index, probe, &self.window, self.window_key, self.focus_slot());
        self.replace_members(|_, next| {
            let found = searcher.found().iter();
            next.extend(found.filter(|member| S::distance(member.key) <= radius));
            member::sort(next, world.names);
        });
    }

    fn find_inside(&mut self, area: &Area, world: &World<'_, S>, searcher: &mut Searcher<S>) {
        self.set_window(area.window(), f64::INFINITY);
        let candidates = searcher.collect_window(world.index, &self.window);
        self.replace_members(|_, next| {
            let inside = candidates.iter().filter(|&&slot| {
                area.contains(world.index.position(slot).expect("a row's object is present"))
            });
            next.extend(inside.map(|&slot| Member { key: 0.0, slot }));
            member::sort(next, world.names);
        });
    }

    fn set_window(&mut self, window: Window, key: f64) {
        self.is_window_new |= self.window != window;
        self.window = window;
        self.window_key = key;
    }

    /// Makes the window anew where k members lie far inside it.
    fn fit_window(&mut self, k: usize) {
        let (Some((_, probe)), Some(kth)) = (&self.center, self.members.get(k - 1)) else { return };
        if kth.key < self.window_key * SHRUNK {
            let key = kth.key;
            self.set_window(S::window(probe, key), key);
        }
    }

    /// Keeps the members as the previous answer and lets `write` make the next from it.
    fn replace_members(&mut self, write: impl FnOnce(&[Member], &mut Vec<Member>)) {
        std::mem::swap(&mut self.members, &mut self.previous);
        self.members.clear();
        write(&self.previous, &mut self.members);
    }

    /// Says how the answer differs from the previous one.
    fn compare(&mut self, world: &World<'_, S>) {
        let same_objects = self.members.len() == self.previous.len()
            && self.members.iter().zip(&self.previous).all(|(now, then)| now.slot == then.slot);
        self.change = if !same_objects {
            AnswerChange::Reordered
        } else if self.members.iter().any(|member| world.touches.moved(member.slot))
            || self.members != self.previous
        {
            AnswerChange::Moved
        } else {
            AnswerChange::Unchanged
        };
    }
}

/// Merges the members that stayed with the arrivals; both are in answer order.
fn merge<S: Space>(
    members: &[Member],
    next: &mut Vec<Member>,
    arrivals: &[Member],
    world: &World<'_, S>,
) {
    let mut arrivals = arrivals.iter().peekable();
    for stayed in members.iter().filter(|member| !world.touches.moved(member.slot)) {
        while let Some(arrival) =
            arrivals.next_if(|arrival| arrival.compare(stayed, world.names).is_lt())
        {
            next.push(*arrival);
        }
        next.push(*stayed);
    }
    next.extend(arrivals);
}
