//! Standing questions over a part of all objects, with other parts elsewhere: what a shard asks.

use dunlin_index::{Coord, Slot, Space, Window};

use super::{AnswerChange, REMOVED, StandingQueries};
use crate::member::{self, Member};
use crate::query_state::Reach;
use crate::question::Question;

impl<S: Space> StandingQueries<S> {
    /// The numbers of all queries, in order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        let places = (0..).zip(&self.places);
        places.filter(|&(_, &place)| place != REMOVED).map(|(number, _)| number)
    }

    /// Whether a query stands here.
    pub(crate) fn stands(&self, number: u32) -> bool {
        self.places.get(number as usize).is_some_and(|&place| place != REMOVED)
    }

    /// The object that a query looks from, if it does.
    pub(crate) fn focus_slot(&self, number: u32) -> Option<Slot> {
        self.state(number as usize).focus_slot()
    }

    /// The answer of a query before the last epoch.
    pub(crate) fn answer_before(&self, number: u32) -> &[Member] {
        let state = self.state(number as usize);
        match self.change(number as usize) {
            AnswerChange::Unchanged => state.answer(),
            _ => state.previous(),
        }
    }

    /// The queries that look farther than `is_here`, with how far.
    pub(crate) fn reaching(&self, is_here: impl Fn(&Window) -> bool) -> Vec<(u32, Reach)> {
        let states = self.states.iter().filter(|state| !is_here(&state.window));
        let reaches = states.filter_map(|state| Some((state.number, state.reach()?)));
        reaches.filter(|(_, reach)| !is_here(&reach.window)).collect()
    }

    /// Finds the objects here that may be in the answer to a question asked elsewhere, from `at` and up to
    /// the key `bound`: all within it, of a kNN question the k nearest.
    pub(crate) fn candidates(&mut self, question: &Question, at: Coord, bound: f64) {
        let Self { index, names, searcher, found, .. } = self;
        let probe = S::probe(at);
        searcher.begin();
        found.clear();
        match question {
            Question::Knn { k, .. } => {
                let bound = match bound {
                    f64::INFINITY => searcher.radius(index, at, &probe, *k, None),
                    bound => bound,
                };
                let window = S::window(&probe, bound);
                searcher.knn_within(index, names, &probe, window, bound, *k, None);
                found.extend_from_slice(searcher.found());
            }
            Question::Within { radius, .. } => {
                searcher.collect(index, &probe, &S::window(&probe, bound), bound, None);
                let inside = searcher.found().iter();
                found.extend(inside.filter(|member| S::distance(member.key) <= *radius));
                member::sort(found, names);
            }
            Question::Inside(area) => {
                let slots = searcher.collect_window(index, &area.window()).iter();
                let inside = slots.filter(|&&slot| {
                    area.contains(index.position(slot).expect("a row's object is present"))
                });
                found.extend(inside.map(|&slot| Member { key: 0.0, slot }));
                member::sort(found, names);
            }
        }
    }

    /// The objects that [`StandingQueries::candidates`] found, in answer order.
    pub(crate) fn found(&self) -> &[Member] {
        &self.found
    }

    /// Where a member is.
    pub(crate) fn position_of(&self, member: &Member) -> Coord {
        self.index.position(member.slot).expect("a member is present")
    }
}
