//! Questions that are answered anew together, so that none waits alone for memory.

use dunlin_index::{Ahead, Space};

use crate::dknn::Searcher;
use crate::query_state::{Look, QueryState, World};

/// Candidates after which the questions that saw them are settled before others look.
const CANDIDATES_MAX: usize = 1 << 12;

/// Working memory of who answers batches of questions, one after the other.
#[derive(Debug)]
pub(super) struct Batch<S: Space> {
    searcher: Searcher<S>,
    ahead: Ahead,
    looks: Vec<Look>,
}

impl<S: Space> Default for Batch<S> {
    fn default() -> Self {
        Self { searcher: Searcher::default(), ahead: Ahead::default(), looks: Vec::new() }
    }
}

impl<S: Space> Batch<S> {
    /// Finds the answers of all `states` anew.
    pub(super) fn answer(&mut self, states: &mut [QueryState<S>], world: &World<'_, S>) {
        states.iter().for_each(|state| state.plan_ahead(world.index, &mut self.ahead));
        world.index.prefetch_planned(&mut self.ahead);
        let mut first = 0;
        self.searcher.begin();
        for last in 0..states.len() {
            self.looks.push(states[last].look_exact(world, &mut self.searcher));
            if last + 1 == states.len() || self.searcher.candidates(..).len() >= CANDIDATES_MAX {
                self.settle(&mut states[first..=last], world);
                first = last + 1;
            }
        }
    }

    /// Settles the questions that have looked.
    fn settle(&mut self, states: &mut [QueryState<S>], world: &World<'_, S>) {
        for (state, look) in states.iter_mut().zip(self.looks.drain(..)) {
            state.settle(look, world, &mut self.searcher);
        }
        self.searcher.begin();
    }
}

#[cfg(test)]
mod tests {
    use crate::{Focus, Query, Question, StandingQueries};
    use dunlin_index::{Coord, Plane};

    #[test]
    fn questions_with_many_candidates_are_settled_in_turns() {
        let mut standing = StandingQueries::<Plane>::default();
        let at = |object: usize| Coord { x: object as f64, y: 0.0 };
        let slots: Vec<_> =
            (0..2_000).map(|object| standing.names_mut().intern(&object.to_string())).collect();
        // Few and many candidates by turns, up to half of the objects.
        let radius =
            |number: usize| if number.is_multiple_of(3) { 2.5 } else { number as f64 * 20.0 };
        for number in 0..50 {
            let focus = Focus::Point(at(1_000));
            let question = Question::Within { radius: radius(number), focus };
            standing.register(Query { id: number.to_string(), question }).expect("a new id");
        }
        for shift in [0.0, 0.25] {
            let to: Vec<_> = (0..2_000).map(|object| Coord { y: shift, ..at(object) }).collect();
            standing.advance(&slots, &to, &[]);
            for number in 0..50 {
                let inside = |to: &&Coord| (to.x - 1_000.0).hypot(to.y) <= radius(number);
                let expected = to.iter().filter(inside).count();
                assert_eq!(standing.answer(number).len(), expected, "query {number}");
            }
        }
    }
}
