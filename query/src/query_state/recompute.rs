//! Finding an answer anew: one look over the strips, then exact distances.
//!
//! The two halves are apart so that several questions can look before any of them measures, while
//! memory brings the positions of all their candidates.

use std::ops::Range;

use dunlin_index::{Ahead, Coord, Sieve, Slot, Space, StripIndex, Window};
use prefetch_index::prefetch_index;

use super::{Bound, Kind, QueryState, SlotFocus, World};
use crate::dknn::Searcher;
use crate::member::{self, Member};
use crate::standing::AnswerChange;

/// Strips of a question that are planned ahead; who looks at more is not waiting for memory.
const STRIPS_AHEAD: usize = 16;
/// Members in a line of the cache.
const MEMBERS_PER_LINE: usize = 4;
/// A bound is looked for anew when the old one has grown to so many times its key.
const STRETCHED: f64 = 2.0;

/// What a question saw in its look over the strips, to be measured by [`QueryState::settle`].
#[derive(Debug)]
pub(crate) struct Look {
    /// Which of the searcher's candidates are its own.
    candidates: Range<usize>,
    /// Of a kNN question, how many members are wanted.
    wanted: usize,
    /// It had no answer before.
    is_first: bool,
    /// Where it looked from before.
    center_was: Option<Coord>,
}

impl<S: Space> QueryState<S> {
    /// Prefetches where the members are and the list that will be written, and plans to prefetch
    /// the rows about them: finding the answer anew needs them all.
    pub(crate) fn plan_ahead(&self, index: &StripIndex, ahead: &mut Ahead) {
        self.members.iter().for_each(|member| index.prefetch(member.slot));
        let lines = (0..self.previous.len()).step_by(MEMBERS_PER_LINE);
        lines.for_each(|member| prefetch_index(&self.previous, member));
        for strip in index.strips_in(&self.window).into_iter().flatten().take(STRIPS_AHEAD) {
            index.plan_ahead(strip, self.window.y, ahead);
        }
    }

    /// Finds the answer anew, of a kNN question `wanted` members, and no fewer than k.
    pub(super) fn recompute(
        &mut self,
        world: &World<'_, S>,
        searcher: &mut Searcher<S>,
        wanted: usize,
    ) {
        searcher.begin();
        let look = self.look(world, searcher, wanted);
        self.settle(look, world, searcher);
    }

    /// Looks over the strips where everything moved: spare members would not last.
    pub(crate) fn look_exact(&mut self, world: &World<'_, S>, searcher: &mut Searcher<S>) -> Look {
        let wanted = match self.kind {
            Kind::Knn { k, .. } => k,
            _ => 0,
        };
        self.look(world, searcher, wanted)
    }

    /// Looks over the strips for what may belong to the answer.
    fn look(&mut self, world: &World<'_, S>, searcher: &mut Searcher<S>, wanted: usize) -> Look {
        let at = match self.focus() {
            None => None,
            Some(SlotFocus::Point(at)) => Some(at),
            Some(SlotFocus::Object(slot)) => world.index.position(slot),
        };
        let is_first = !std::mem::replace(&mut self.answered, true);
        let center_was = self.center.map(|(at, _)| at);
        self.center = at.map(|at| (at, S::probe(at)));
        let candidates = match (&self.kind, self.center) {
            (Kind::Inside(area), _) => {
                let window = area.window();
                self.set_window(window, f64::INFINITY);
                searcher.gather(world.index, &window, &Sieve::of_window(&window))
            }
            (_, None) => {
                self.set_window(Window::EMPTY, 0.0);
                0..0
            }
            (&Kind::Knn { k, .. }, Some((at, probe))) => {
                let key = self.radius((k, wanted), at, &probe, world, searcher);
                self.gather(&probe, key, world, searcher)
            }
            (&Kind::Within { radius, .. }, Some((_, probe))) => {
                self.gather(&probe, S::key_within(radius), world, searcher)
            }
        };
        Look { candidates, wanted, is_first, center_was }
    }

    /// The key of a radius within which there are `wanted` objects.
    fn radius(
        &self,
        (k, wanted): (usize, usize),
        at: Coord,
        probe: &S::Probe,
        world: &World<'_, S>,
        searcher: &mut Searcher<S>,
    ) -> f64 {
        let known = &self.members[..self.members.len().min(wanted)];
        let bound =
            if known.len() < k { None } else { greatest_key::<S>(known, probe, world.index) };
        // A member that went far makes a bound that costs more to use than a new one to find.
        let far = known.last().map_or(0.0, |last| last.key * STRETCHED);
        match bound {
            Some(bound) if bound <= far => bound,
            _ => {
                let found = searcher.radius(world.index, at, probe, wanted, self.focus_slot());
                bound.map_or(found, |bound| bound.min(found))
            }
        }
    }

    /// Looks as far as `key`.
    fn gather(
        &mut self,
        probe: &S::Probe,
        key: f64,
        world: &World<'_, S>,
        searcher: &mut Searcher<S>,
    ) -> Range<usize> {
        self.set_window(S::window(probe, key), key);
        searcher.gather(world.index, &self.window, &S::sieve(probe, &self.window, key))
    }

    /// Measures what the look saw: the answer, and how it changed.
    pub(crate) fn settle(&mut self, look: Look, world: &World<'_, S>, searcher: &mut Searcher<S>) {
        let Look { candidates, wanted, is_first, center_was } = look;
        match (&self.kind, &self.center) {
            (Kind::Inside(_), _) => self.settle_inside(searcher.candidates(candidates), world),
            (_, None) => self.replace_members(|_, _| ()),
            (_, Some((_, probe))) => {
                let key = self.window_key;
                searcher.measure(world.index, probe, candidates, key, self.focus_slot());
                match self.kind {
                    Kind::Within { radius, .. } => self.settle_within(radius, world, searcher),
                    _ => self.settle_nearest(wanted, world, searcher),
                }
            }
        }
        self.compare(world);
        if is_first {
            self.change = AnswerChange::Reordered;
        } else if self.change == AnswerChange::Unchanged
            && center_was != self.center.map(|(at, _)| at)
        {
            self.change = AnswerChange::Moved;
        }
    }

    fn settle_nearest(&mut self, wanted: usize, world: &World<'_, S>, searcher: &mut Searcher<S>) {
        self.bound = Bound { key: self.window_key, last: None };
        searcher.keep_first(wanted, world.names);
        self.replace_members(|_, next| next.extend_from_slice(searcher.found()));
        if self.members.len() >= wanted {
            self.cut_members(wanted);
        }
    }

    fn settle_within(&mut self, radius: f64, world: &World<'_, S>, searcher: &Searcher<S>) {
        self.replace_members(|_, next| {
            let found = searcher.found().iter();
            next.extend(found.filter(|member| S::distance(member.key) <= radius));
            member::sort(next, world.names);
        });
    }

    fn settle_inside(&mut self, candidates: &[Slot], world: &World<'_, S>) {
        let Kind::Inside(area) = &self.kind else { return };
        let inside = candidates.iter().filter(|&&slot| {
            area.contains(world.index.position(slot).expect("a row's object is present"))
        });
        let mut inside: Vec<_> = inside.map(|&slot| Member { key: 0.0, slot }).collect();
        member::sort(&mut inside, world.names);
        self.replace_members(|_, next| *next = inside);
    }
}

/// The greatest key of `members` at their positions now, if all are present: so many objects lie no
/// farther.
fn greatest_key<S: Space>(members: &[Member], probe: &S::Probe, index: &StripIndex) -> Option<f64> {
    members.iter().try_fold(0.0, |greatest: f64, member| {
        Some(greatest.max(S::key(probe, index.position(member.slot)?)))
    })
}
