//! One standing question and its answer.
//!
//! Between epochs the members, the position they were measured from and a window that holds the
//! question's disc are kept. An epoch brings one of three things:
//!
//! - nothing in the window moved: the answer stands;
//! - something did: members that moved go, arrivals inside the disc come; if k remain, the first k
//!   are the nearest, since whatever stayed outside the disc is farther than all of them. A few
//!   spare members beyond the k put off the day when too few remain;
//! - the focus moved, or too few remain ([`recompute`]): the members' greatest distance now bounds
//!   the k-th nearest, so one round over the strips finds the answer anew. Only a question that has
//!   no such bound (its first answer, a member that left) takes DKNN's first round as well.

mod recompute;

use dunlin_index::{Coord, ObjectNames, Sieve, Slot, Space, StripIndex, Window};
use smallvec::SmallVec;

pub(crate) use self::recompute::Look;
use crate::area::Area;
use crate::disc_lists::{ListedIn, NOWHERE};
use crate::dknn::Searcher;
use crate::member::{self, Member};
use crate::standing::{AnswerChange, Inboxes};
use crate::touches::Touches;

/// What the states read and none writes while an epoch is applied.
#[derive(Debug)]
pub(crate) struct World<'a, S: Space> {
    pub(crate) index: &'a StripIndex,
    pub(crate) names: &'a ObjectNames,
    pub(crate) touches: &'a Touches<S>,
    pub(crate) inboxes: &'a Inboxes,
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

/// Up to where members are known: all objects before it in answer order are members.
#[derive(Clone, Copy, Debug)]
struct Bound {
    key: f64,
    /// Of the objects at `key`, those up to this one; all if there is none.
    last: Option<Slot>,
}

impl Bound {
    const NOTHING: Self = Self { key: f64::NEG_INFINITY, last: None };

    fn holds(&self, member: &Member, names: &ObjectNames) -> bool {
        match self.last {
            Some(slot) => member.compare(&Member { key: self.key, slot }, names).is_le(),
            None => member.key <= self.key,
        }
    }
}

/// How far a question looks: from where, up to which key, and a window that holds all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) at: Coord,
    pub(crate) bound: f64,
    pub(crate) window: Window,
}

/// A standing question with its answer.
#[derive(Debug)]
pub(crate) struct QueryState<S: Space> {
    /// In the order of registration.
    pub(crate) number: u32,
    pub(crate) id: Box<str>,
    pub(crate) kind: Kind,
    /// All objects within `bound`, in answer order; of a kNN question the first k are the answer.
    members: Vec<Member>,
    /// The members before the last epoch that touched them.
    previous: Vec<Member>,
    bound: Bound,
    /// What the last epoch that concerned the question did to the answer.
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

/// Members kept beyond the k nearest while little moves: more, rarer searches; fewer, less to keep.
const fn spare(k: usize) -> usize {
    1 + k / 4
}

/// A list with room for more than so many times its last members, or so many few, gives it back: its
/// disc may have been large once.
const MEMBER_ROOM_MAX: usize = 4;
const MEMBERS_FEW: usize = 16;

/// A window is made anew when its disc has shrunk to this share of its key.
const SHRUNK: f64 = 0.8;

impl<S: Space> QueryState<S> {
    pub(crate) fn new(number: u32, id: Box<str>, kind: Kind) -> Self {
        Self {
            number,
            id,
            kind,
            members: Vec::new(),
            previous: Vec::new(),
            bound: Bound::NOTHING,
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

    /// The answer, in answer order.
    pub(crate) fn answer(&self) -> &[Member] {
        self.first_k(&self.members)
    }

    /// The answer before the last epoch that touched it.
    pub(crate) fn previous(&self) -> &[Member] {
        self.first_k(&self.previous)
    }

    fn first_k<'a>(&self, members: &'a [Member]) -> &'a [Member] {
        match self.kind {
            Kind::Knn { k, .. } => &members[..members.len().min(k)],
            _ => members,
        }
    }

    /// How far the question looks if the objects known here are not all; `None` if it looks from
    /// nowhere.
    pub(crate) fn reach(&self) -> Option<Reach> {
        let answer = self.answer();
        let bound = match self.kind {
            Kind::Knn { k, .. } if answer.len() < k => f64::INFINITY,
            Kind::Knn { .. } => answer.last().map_or(f64::INFINITY, |last| last.key),
            Kind::Within { radius, .. } => S::key_within(radius),
            Kind::Inside(ref area) => {
                let window = area.window();
                let at = Coord { x: window.x[0].min, y: window.y.min };
                return Some(Reach { at, bound: f64::INFINITY, window });
            }
        };
        let (at, probe) = self.center.as_ref()?;
        Some(Reach { at: *at, bound, window: S::window(probe, bound) })
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Brings the answer of the question at `place` to the end of the epoch by what was touched.
    pub(crate) fn update(&mut self, place: u32, world: &World<'_, S>, searcher: &mut Searcher<S>) {
        if self.is_due(world.index) {
            let wanted = match self.kind {
                Kind::Knn { k, .. } => k + spare(k),
                _ => 0,
            };
            return self.recompute(world, searcher, wanted);
        }
        let mut arrivals = SmallVec::<[Member; 8]>::new();
        if !self.find_arrivals(place, world, &mut arrivals) {
            self.change = AnswerChange::Unchanged;
            return;
        }
        self.replace_members(|members, next| merge(members, next, &arrivals, world));
        self.let_go_of_last(world);
        if let Kind::Knn { k, .. } = self.kind {
            if self.members.len() < k && self.bound.key < f64::INFINITY {
                // What lies beyond the bound is unknown: look again, knowing how far.
                std::mem::swap(&mut self.members, &mut self.previous);
                return self.recompute(world, searcher, k + spare(k));
            }
            if self.members.len() > k + 2 * spare(k) {
                self.cut_members(k + spare(k));
            }
        }
        self.compare(world);
    }

    /// Finds the movers that are members now, in answer order; whether the answer may have changed.
    fn find_arrivals(
        &self,
        place: u32,
        world: &World<'_, S>,
        arrivals: &mut SmallVec<[Member; 8]>,
    ) -> bool {
        for number in world.inboxes.of(place) {
            let touch = world.touches.touch(number);
            let Some(probe) = &touch.arrived else { continue };
            if let Some(key) = self.admits(touch.slot, probe, touch.at, world) {
                arrivals.push(Member { key, slot: touch.slot });
            }
        }
        let moved = |member: &Member| world.touches.moved(member.slot);
        if arrivals.is_empty() && !self.members.iter().any(moved) {
            return false;
        }
        member::sort(arrivals, world.names);
        true
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
            Kind::Within { radius, .. } => S::distance(key) <= radius,
            _ => self.bound.holds(&member, world.names),
        };
        admitted.then_some(key)
    }

    /// Forgets the members after the first `count`, which are known then up to the last of these.
    fn cut_members(&mut self, count: usize) {
        self.members.truncate(count);
        let Some(last) = self.members.last() else { return };
        self.bound = Bound { key: last.key, last: Some(last.slot) };
        self.fit_window();
    }

    /// Draws the bound in where it names an object that moved: the object may leave for good and
    /// its slot get another name.
    fn let_go_of_last(&mut self, world: &World<'_, S>) {
        if !self.bound.last.is_some_and(|last| world.touches.moved(last)) {
            return;
        }
        self.bound = match self.members.last() {
            Some(last) if last.key == self.bound.key => {
                Bound { key: last.key, last: Some(last.slot) }
            }
            _ => Bound { key: self.bound.key.next_down(), last: None },
        };
    }

    /// Passes all in the window that could be members, and few others.
    pub(crate) fn sieve(&self) -> Sieve {
        match (&self.kind, &self.center) {
            (Kind::Inside(_), _) | (_, None) => Sieve::of_window(&self.window),
            (_, Some((_, probe))) => S::sieve(probe, &self.window, self.window_key),
        }
    }

    fn set_window(&mut self, window: Window, key: f64) {
        self.is_window_new |= self.window != window;
        self.window = window;
        self.window_key = key;
    }

    /// Makes the window anew where the bound lies far inside it.
    fn fit_window(&mut self) {
        let key = self.bound.key;
        if let (Some((_, probe)), true) = (&self.center, key < self.window_key * SHRUNK) {
            self.set_window(S::window(probe, key), key);
        }
    }

    /// Keeps the members as the previous answer and lets `write` make the next from it.
    fn replace_members(&mut self, write: impl FnOnce(&[Member], &mut Vec<Member>)) {
        std::mem::swap(&mut self.members, &mut self.previous);
        self.members.clear();
        if self.members.capacity() > MEMBER_ROOM_MAX * self.previous.len().max(MEMBERS_FEW) {
            self.members = Vec::new();
        }
        write(&self.previous, &mut self.members);
    }

    /// Says how the answer differs from the previous one.
    fn compare(&mut self, world: &World<'_, S>) {
        let (now, then) = (self.answer(), self.previous());
        let same_objects = now.len() == then.len()
            && now.iter().zip(then).all(|(now, then)| now.slot == then.slot);
        self.change = if !same_objects {
            AnswerChange::Reordered
        } else if now.iter().any(|member| world.touches.moved(member.slot)) || now != then {
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
    // There are many questions: doubling would cost more than what they need.
    next.reserve_exact(members.len() + arrivals.len());
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

#[cfg(test)]
#[path = "query_state_tests.rs"]
mod tests;
