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
use dunlin::stream::{EpochClock, Timestamp, runner};
use rayon::prelude::*;

use super::answers::{BATCH_MEMBERS, Batch, Names};
use super::replay::Emit;

/// The most epochs that are run before their answers are written.
const EPOCHS_MAX: usize = 256;
/// Questions of a part for each object, at least: half a question.
const OBJECTS_PER_QUESTION: usize = 2;
/// Runs of neighbouring questions that a part gets.
const RUNS: usize = 8;

/// The questions of a replay, in parts.
#[derive(Debug)]
pub(super) struct Parts<S: Space> {
    operators: Vec<StandingOperator<S>>,
    batches: Vec<Batch>,
    /// The part of each question, and the questions of each part, in ascending order.
    part_of: Vec<usize>,
    questions: Vec<Vec<usize>>,
    epochs: u64,
}

impl<S: Space> Parts<S> {
    /// Parts that answer `queries`, no id of which occurs twice, over objects of the given names;
    /// as many as there are threads, where that pays.
    pub(super) fn new(queries: Vec<Query>, names: &ObjectNames, ttl_ms: Option<i64>) -> Self {
        let count = part_count(rayon::current_num_threads(), queries.len(), names.len());
        let part = |_| StandingQueries::<S>::new(names.clone(), StripIndex::default());
        let mut parts: Vec<_> = (0..count).map(part).collect();
        let part_of = deal(queries.iter().map(|query| query.question.place()), count);
        let mut questions = vec![Vec::new(); count];
        for (number, (query, &part)) in queries.into_iter().zip(&part_of).enumerate() {
            parts[part].register(query).expect("a query file has no id twice");
            questions[part].push(number);
        }
        let operators = parts.into_iter().map(|part| StandingOperator::new(part, ttl_ms));
        let batches = (0..count).map(|_| Batch::default()).collect();
        Self { operators: operators.collect(), batches, part_of, questions, epochs: 0 }
    }

    /// The names of queries and objects.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::of_objects(self.operators[0].queries().names());
        let mut next = vec![0; self.operators.len()];
        for &part in &self.part_of {
            let queries = self.operators[part].queries();
            names.add_query(queries.id(next[part]), queries.has_distances(next[part]));
            next[part] += 1;
        }
        names
    }

    /// Runs the epochs of `rows` and collects their answers.
    pub(super) fn run(&mut self, trace: &Trace, rows: Range<usize>, clock: EpochClock, emit: Emit) {
        let parts = self.operators.par_iter_mut().zip(&mut self.batches).zip(&self.questions);
        let epochs = parts.with_max_len(1).map(|((operator, batch), questions)| {
            run_part(operator, trace, rows.clone(), clock, |standing, end, changed| {
                let mut add = |number: usize| {
                    batch.add(questions[number], end, standing.answer(number), standing.index());
                };
                match emit {
                    Emit::Changes => changed.iter().for_each(|&number| add(number)),
                    Emit::All => (0..standing.query_count()).for_each(add),
                }
            })
        });
        self.epochs += epochs.max().unwrap_or(0);
    }

    /// What was collected, to be emptied.
    pub(super) fn batches(&mut self) -> &mut [Batch] {
        &mut self.batches
    }

    /// How many members and lines were collected.
    pub(super) fn collected(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }

    /// How many epochs were run.
    pub(super) fn epochs(&self) -> u64 {
        self.epochs
    }

    /// How many reports came too late.
    pub(super) fn late(&self) -> u64 {
        self.operators[0].late()
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

/// Runs one operator over some epochs, whose number it returns; `collect` gets the questions that
/// changed after each.
fn run_part<S: Space>(
    operator: &mut StandingOperator<S>,
    trace: &Trace,
    rows: Range<usize>,
    clock: EpochClock,
    mut collect: impl FnMut(&StandingQueries<S>, Timestamp, &[usize]),
) -> u64 {
    let (times, objects) = (&trace.times[rows.clone()], &trace.objects[rows.clone()]);
    let (at, mut epochs) = (&trace.at[rows], 0);
    let batch = |rows: Range<usize>| Moves {
        times: &times[rows.clone()],
        objects: &objects[rows.clone()],
        at: &at[rows],
    };
    let ran = runner::run(operator, clock, times, batch, |operator, end, changed| {
        epochs += 1;
        collect(operator.queries(), end, changed);
        Ok::<(), Infallible>(())
    });
    let Ok(()) = ran;
    epochs
}

/// Where the `epochs` epochs end that begin at `start` in `times`, which rise.
pub(super) fn end_of_epochs(
    times: &[Timestamp],
    mut clock: EpochClock,
    start: usize,
    epochs: usize,
) -> usize {
    let mut end = start;
    for _ in 0..epochs {
        let Some(&first) = times.get(end) else { break };
        let epoch = clock.assign(first);
        let after = clock.end(epoch);
        end += times[end..].iter().take_while(|&&time| time < after).count();
    }
    end
}

/// How many epochs to run after some whose answers came to `collected` members and lines.
pub(super) fn next_epochs(epochs: usize, collected: usize) -> usize {
    if collected >= BATCH_MEMBERS { (epochs / 2).max(1) } else { (epochs * 2).min(EPOCHS_MAX) }
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

    #[test]
    fn epochs_end_where_the_runner_ends_them() {
        let millis = [-1, 0, 5, 9, 10, 10, 35, 36, 70];
        let times = millis.map(Timestamp::from_millis_unchecked);
        let end = |start, epochs| end_of_epochs(&times, EpochClock::new(10), start, epochs);
        assert_eq!([end(0, 1), end(1, 1), end(4, 1), end(6, 1), end(8, 1)], [1, 4, 6, 8, 9]);
        assert_eq!([end(0, 2), end(0, 4), end(0, 5), end(0, 100)], [4, 8, 9, 9]);
    }

    #[test]
    fn epochs_run_together_until_their_answers_fill_a_batch() {
        assert_eq!(next_epochs(1, 10), 2);
        assert_eq!(next_epochs(EPOCHS_MAX, 10), EPOCHS_MAX);
        assert_eq!(next_epochs(8, BATCH_MEMBERS), 4);
        assert_eq!(next_epochs(1, BATCH_MEMBERS), 1);
    }
}
