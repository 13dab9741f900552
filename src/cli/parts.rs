//! The questions of a replay in parts that run side by side, each over all objects.
//!
//! ```text
//!              ┌─> operator of the questions here  over all objects ──> batch ─┐
//! some epochs ─┤                                                               ├─> AnswerWriter
//!              └─> operator of the questions there over all objects ──> batch ─┘
//! ```
//!
//! An epoch of a few dozen moves is far too short to be shared by threads; some epochs together are
//! not. No answer depends on another question, so parts need not meet inside an epoch. But each part
//! moves all objects by itself, so there are several only where the questions cost more than that.
//! Runs of neighbours go to the parts by turns: so a move mostly concerns the questions of one part,
//! and yet crowded places are shared by all.

use std::convert::Infallible;
use std::ops::Range;

use dunlin::datasets::Trace;
use dunlin::index::{Coord, ObjectNames, Space, StripIndex};
use dunlin::query::{Moves, Query, StandingOperator, StandingQueries};
use dunlin::stream::{EpochClock, runner};

use super::answers::{Batch, Names};
use super::replay::Emit;

/// Questions of a part for each object, at least: half a question.
const OBJECTS_PER_QUESTION: usize = 2;
/// Runs of neighbouring questions that a part gets.
const RUNS: usize = 8;

/// Some of the questions, over all objects.
#[derive(Debug)]
pub(super) struct Part<S: Space> {
    operator: StandingOperator<S>,
    /// The numbers of its questions, in ascending order.
    questions: Vec<usize>,
    epochs: u64,
}

/// Parts that answer `queries`, no id of which occurs twice, over objects of the given names, and all
/// names; as many parts as there are threads, where that pays.
pub(super) fn deal_out<S: Space>(
    queries: Vec<Query>,
    objects: &ObjectNames,
    ttl_ms: Option<i64>,
) -> (Vec<Part<S>>, Names) {
    let count = part_count(rayon::current_num_threads(), queries.len(), objects.len());
    let part = |_| StandingQueries::<S>::new(objects.clone(), StripIndex::default());
    let mut parts: Vec<_> = (0..count).map(part).collect();
    let (mut names, mut questions) = (Names::of_objects(objects), vec![Vec::new(); count]);
    let part_of = deal(queries.iter().map(|query| query.question.place()), count);
    for (number, (query, part)) in queries.into_iter().zip(part_of).enumerate() {
        let (standing, questions) = (&mut parts[part], &mut questions[part]);
        let own = standing.register(query).expect("a query file has no id twice");
        names.add_query(standing.id(own), standing.has_distances(own));
        questions.push(number);
    }
    let operators = parts.into_iter().map(|part| StandingOperator::new(part, ttl_ms));
    let part = |(operator, questions)| Part { operator, questions, epochs: 0 };
    (operators.zip(questions).map(part).collect(), names)
}

impl<S: Space> Part<S> {
    /// Runs the epochs of `rows` and adds their answers to `batch`.
    pub(super) fn run(
        &mut self,
        trace: &Trace,
        rows: Range<usize>,
        (clock, emit): (EpochClock, Emit),
        batch: &mut Batch,
    ) {
        let (times, objects) = (&trace.times[rows.clone()], &trace.objects[rows.clone()]);
        let at = &trace.at[rows];
        let moves = |rows: Range<usize>| Moves {
            times: &times[rows.clone()],
            objects: &objects[rows.clone()],
            at: &at[rows],
        };
        let Self { operator, questions, epochs } = self;
        let ran = runner::run(operator, clock, times, moves, |operator, end, changed| {
            *epochs += 1;
            let standing = operator.queries();
            let mut add = |number: usize| {
                batch.add(questions[number], end, standing.answer(number), standing.index());
            };
            match emit {
                Emit::Changes => changed.iter().for_each(|&number| add(number)),
                Emit::All => (0..standing.query_count()).for_each(add),
            }
            Ok::<(), Infallible>(())
        });
        let Ok(()) = ran;
    }

    /// How many epochs were run.
    pub(super) fn epochs(&self) -> u64 {
        self.epochs
    }

    /// How many reports came too late.
    pub(super) fn late(&self) -> u64 {
        self.operator.late()
    }
}

/// The part of each question, given their places: runs of neighbours by turns, and those without a
/// place one by one.
fn deal(places: impl Iterator<Item = Option<Coord>>, count: usize) -> Vec<usize> {
    let (mut part_of, mut placed) = (Vec::new(), Vec::new());
    for (number, place) in places.enumerate() {
        part_of.push(number % count);
        placed.extend(place.map(|at| (at, number)));
    }
    placed.sort_by(|(a, _), (b, _)| a.x.total_cmp(&b.x));
    let run = placed.len().div_ceil(RUNS * count).max(1);
    let runs_in_column = ((RUNS * count) as f64).sqrt().ceil() as usize;
    for column in placed.chunks_mut(run * runs_in_column) {
        column.sort_by(|(a, _), (b, _)| a.y.total_cmp(&b.y));
    }
    for (turn, run) in placed.chunks(run).enumerate() {
        run.iter().for_each(|&(_, number)| part_of[number] = turn % count);
    }
    part_of
}

/// How many parts pay for moving the objects several times.
fn part_count(threads: usize, query_count: usize, object_count: usize) -> usize {
    threads.min(query_count * OBJECTS_PER_QUESTION / object_count.max(1)).clamp(1, threads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn parts_are_as_many_as_pay() {
        // As many as there are threads, unless each would move more objects than it asks about.
        assert_eq!(part_count(2, 1_000, 517), 2);
        assert_eq!(part_count(16, 1_000, 517), 3);
        assert_eq!(part_count(2, 1_000, 1_000_000), 1);
        assert_eq!(part_count(2, 1, 0), 2);
        assert_eq!(part_count(2, 0, 0), 1);
    }

    #[test]
    fn neighbours_share_a_part_and_parts_share_the_load() {
        let side = 64;
        let place = |number: usize| ((number * 7) % side, (number * 7) / side % side);
        let places = || (0..side * side).map(place);
        let coord = |(x, y): (usize, usize)| Some(Coord { x: x as f64, y: y as f64 });
        for count in [1, 2, 3] {
            let part_of = deal(places().map(coord), count);
            let load = |part| part_of.iter().filter(|&&other| other == part).count();
            let loads: Vec<_> = (0..count).map(load).collect();
            assert!(
                loads.iter().max()
                    <= loads.iter().min().map(|min| min + side * side / (RUNS * count)).as_ref()
            );
            // Nearly all have the part of their neighbour above.
            let by_place: BTreeMap<_, _> = places().zip(&part_of).collect();
            let same =
                |&(x, y): &(usize, usize)| by_place.get(&(x, y + 1)) == by_place.get(&(x, y));
            assert!(places().filter(same).count() > side * side * 8 / 10);
        }
        assert_eq!(deal([None, None, None].into_iter(), 2), [0, 1, 0]);
        assert!(deal(std::iter::empty(), 2).is_empty());
    }
}
