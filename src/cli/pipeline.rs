//! A replay's way from rows to lines: parts and the writer, each in its own time.
//!
//! ```text
//! lots of epochs   1  2  3  4  5  6      a part goes from lot to lot, up to LOTS_MAX ahead of the
//! part 0           ■  ■  ■  ■  ■         writer, which takes a lot when all parts are through
//! part 1           ■  ■  ■               with it
//! writer           ■  ■
//! ```
//!
//! Parts and writer do not meet after each lot: a thread that is done with one thing goes on with
//! whatever is to be done next, and rests only when nothing is. Where a lot ends is not seen in the
//! lines: they come by epoch and query. A lot has fewer epochs the more answers there were in the last
//! that was written, and none is begun while many wait, which bounds memory.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use dunlin::datasets::Trace;
use dunlin::index::Space;
use dunlin::stream::{EpochClock, Timestamp};
use rayon::Scope;

use super::answers::{AnswerWriter, BATCH_MEMBERS, Batch};
use super::output::OutputError;
use super::parts::Part;
use super::replay::Emit;

/// The most lots that are not written yet.
const LOTS_MAX: usize = 4;
/// Members and lines that wait to be written from which on no lot is begun.
const HELD_MAX: usize = 2 * BATCH_MEMBERS;
/// The most epochs of a lot.
const EPOCHS_MAX: usize = 256;
const UNPOISONED: &str = "a panic ends the replay";

/// What is replayed, and how far it is.
pub(super) struct Pipeline<'a, S: Space> {
    trace: &'a Trace,
    clock: EpochClock,
    emit: Emit,
    /// Gets the number of rows whose answers are written.
    show: &'a (dyn Fn(usize) + Sync),
    part_count: usize,
    state: Mutex<State<S>>,
}

/// How far everything is.
#[derive(Debug)]
struct State<S: Space> {
    /// The row where the next lot begins, and how many epochs it will have.
    next: usize,
    epochs: usize,
    /// The lots that are not written yet, oldest first, and how many were written before.
    lots: VecDeque<Lot>,
    written: usize,
    /// The parts that are as far ahead of the writer as they may be, or at the end.
    waiting: Vec<Worker<S>>,
    /// The writer, unless it is at work or has failed.
    writer: Option<AnswerWriter<S>>,
    /// Batches to be filled again.
    spare: Vec<Batch>,
    failure: Option<OutputError>,
}

/// Some epochs.
#[derive(Debug)]
struct Lot {
    rows: Range<usize>,
    epochs: usize,
    /// The answers of the parts that are through with it.
    batches: Vec<Batch>,
}

/// A part, with the number of the lot that it comes to next.
#[derive(Debug)]
struct Worker<S: Space> {
    part: Part<S>,
    lot: usize,
}

/// A lot to be written, by whom, and the row where it ends.
#[derive(Debug)]
struct Order<S: Space> {
    writer: AnswerWriter<S>,
    batches: Vec<Batch>,
    end: usize,
}

impl<'a, S: Space> Pipeline<'a, S> {
    /// A pipeline through which `trace` has yet to go.
    pub(super) fn new(
        trace: &'a Trace,
        (clock, emit): (EpochClock, Emit),
        parts: Vec<Part<S>>,
        writer: AnswerWriter<S>,
        show: &'a (dyn Fn(usize) + Sync),
    ) -> Self {
        let part_count = parts.len();
        let state = State {
            next: 0,
            epochs: 1,
            lots: VecDeque::new(),
            written: 0,
            waiting: parts.into_iter().map(|part| Worker { part, lot: 0 }).collect(),
            writer: Some(writer),
            spare: Vec::new(),
            failure: None,
        };
        Self { trace, clock, emit, show, part_count, state: Mutex::new(state) }
    }

    /// Lets the trace go through and gives parts and writer back.
    ///
    /// # Errors
    /// The first of the output's; nothing is written after it.
    pub(super) fn run(self) -> Result<(Vec<Part<S>>, AnswerWriter<S>), OutputError> {
        rayon::scope(|scope| self.wake_parts(scope));
        let state = self.state.into_inner().expect(UNPOISONED);
        if let Some(failure) = state.failure {
            return Err(failure);
        }
        let parts = state.waiting.into_iter().map(|worker| worker.part).collect();
        Ok((parts, state.writer.expect("the writer is at rest")))
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().expect(UNPOISONED)
    }

    /// Lets the parts that wait see whether they can go on.
    fn wake_parts<'s>(&'s self, scope: &Scope<'s>) {
        let waiting = std::mem::take(&mut self.state().waiting);
        for worker in waiting {
            scope.spawn(move |scope| self.answer(scope, worker));
        }
    }

    /// Goes from lot to lot with a part, as far as it may.
    fn answer<'s>(&'s self, scope: &Scope<'s>, mut worker: Worker<S>) {
        loop {
            let mut state = self.state();
            let Some(rows) = state.rows(worker.lot, self.trace, self.clock) else {
                state.waiting.push(worker);
                return;
            };
            let mut batch = state.spare.pop().unwrap_or_default();
            drop(state);
            worker.part.run(self.trace, rows, (self.clock, self.emit), &mut batch);
            let mut state = self.state();
            state.hand_in(worker.lot, batch);
            worker.lot += 1;
            let ready = state.take_ready(self.part_count);
            drop(state);
            if let Some(order) = ready {
                scope.spawn(move |scope| self.write(scope, order));
            }
        }
    }

    /// Writes the oldest lot, and all after it that are ready then.
    fn write<'s>(&'s self, scope: &Scope<'s>, order: Order<S>) {
        let mut next = Some(order);
        while let Some(Order { mut writer, mut batches, end }) = next.take() {
            let written = writer.write(&mut batches);
            if written.is_ok() {
                (self.show)(end);
            }
            let mut state = self.state();
            match written {
                Ok(()) => {
                    state.end_lot(writer, batches);
                    next = state.take_ready(self.part_count);
                }
                // Without a writer nobody writes behind what was cut short.
                Err(failure) => state.failure = Some(failure),
            }
            drop(state);
            self.wake_parts(scope);
        }
    }
}

impl<S: Space> State<S> {
    /// The rows of a lot, if a part may begin it now.
    fn rows(&mut self, lot: usize, trace: &Trace, clock: EpochClock) -> Option<Range<usize>> {
        if self.failure.is_some() {
            return None;
        }
        let place = lot - self.written;
        if place == self.lots.len() {
            if place == LOTS_MAX || self.next == trace.len() || self.held() >= HELD_MAX {
                return None;
            }
            let end = end_of_epochs(&trace.times, clock, self.next, self.epochs);
            let (rows, epochs) = (self.next..end, self.epochs);
            self.lots.push_back(Lot { rows, epochs, batches: Vec::new() });
            self.next = end;
        }
        Some(self.lots[place].rows.clone())
    }

    /// Takes the answers of a part that is through with a lot.
    fn hand_in(&mut self, lot: usize, batch: Batch) {
        self.lots[lot - self.written].batches.push(batch);
    }

    /// How many members and lines wait to be written.
    fn held(&self) -> usize {
        self.lots.iter().flat_map(|lot| &lot.batches).map(Batch::len).sum()
    }

    /// The oldest lot with the writer, if both are ready.
    fn take_ready(&mut self, part_count: usize) -> Option<Order<S>> {
        let oldest = self.lots.front_mut().filter(|lot| lot.batches.len() == part_count)?;
        let writer = self.writer.take()?;
        let batches = std::mem::take(&mut oldest.batches);
        self.epochs = next_epochs(oldest.epochs, batches.iter().map(Batch::len).sum());
        Some(Order { writer, batches, end: oldest.rows.end })
    }

    /// Takes the writer back, and batches whose answers are written.
    fn end_lot(&mut self, writer: AnswerWriter<S>, batches: Vec<Batch>) {
        self.writer = Some(writer);
        self.spare.extend(batches);
        self.written += 1;
        self.lots.pop_front();
    }
}

/// Where the `epochs` epochs end that begin at `start` in `times`, which rise.
fn end_of_epochs(times: &[Timestamp], mut clock: EpochClock, start: usize, epochs: usize) -> usize {
    let mut end = start;
    for _ in 0..epochs {
        let Some(&first) = times.get(end) else { break };
        let epoch = clock.assign(first);
        let after = clock.end(epoch);
        end += times[end..].iter().take_while(|&&time| time < after).count();
    }
    end
}

/// How many epochs to run together after some whose answers came to `collected` members and lines.
fn next_epochs(epochs: usize, collected: usize) -> usize {
    if collected >= BATCH_MEMBERS { (epochs / 2).max(1) } else { (epochs * 2).min(EPOCHS_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dunlin::index::{Coord, Plane, SpaceKind, StripIndex};
    use dunlin::query::Query;

    use crate::cli::output::Output;
    use crate::cli::parts;

    const EPOCHS: usize = 3_000;

    /// Three objects that go up and down a line; one moves in each epoch.
    fn trace() -> Trace {
        let mut trace = Trace::default();
        let objects = ["a", "b", "c"].map(|name| trace.names.intern(name));
        for row in 0..EPOCHS {
            trace.times.push(Timestamp::from_millis_unchecked(row as i64));
            trace.objects.push(objects[row % 3]);
            trace.at.push(Coord { x: (row * 7 % 11) as f64, y: 0.0 });
        }
        trace
    }

    fn pipeline<'a>(
        trace: &'a Trace,
        out: &Path,
        show: &'a (dyn Fn(usize) + Sync),
    ) -> Pipeline<'a, Plane> {
        let query = |number: usize| {
            let line = format!(r#"{{"id":"{number}","knn":{{"k":2,"at":[{number},0]}}}}"#);
            Query::from_json(&line, SpaceKind::Plane).unwrap()
        };
        let (parts, names) = parts::deal_out((0..12).map(query).collect(), &trace.names, None);
        let writer = AnswerWriter::new(names, Output::open(out).unwrap());
        Pipeline::new(trace, (EpochClock::new(1), Emit::All), parts, writer, show)
    }

    #[test]
    fn lines_do_not_depend_on_threads_or_parts() {
        let (trace, folder) = (trace(), tempfile::tempdir().unwrap());
        let lines = |threads: usize| {
            let (out, shown) = (folder.path().join("lines"), AtomicUsize::new(0));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let show = |rows| shown.store(rows, Ordering::Relaxed);
                let pipeline = pipeline(&trace, &out, &show);
                assert_eq!(pipeline.part_count, threads, "as many parts as threads");
                let (parts, writer) = pipeline.run().unwrap();
                assert!(parts.iter().all(|part| part.epochs() == EPOCHS as u64));
                assert_eq!(writer.finish().unwrap().answers, 12 * EPOCHS as u64);
            });
            assert_eq!(shown.into_inner(), EPOCHS);
            std::fs::read_to_string(out).unwrap()
        };
        let expected = lines(1);
        assert_eq!(expected.lines().count(), 12 * EPOCHS);
        assert!((2..5).all(|threads| lines(threads) == expected));
    }

    #[test]
    fn parts_are_only_so_far_ahead_of_the_writer() {
        let (trace, clock) = (trace(), EpochClock::new(1));
        let pipeline = pipeline(&trace, Path::new("-"), &|_| ());
        let mut state = pipeline.state();
        let begun = (0..9).map_while(|lot| state.rows(lot, &trace, clock));
        assert_eq!(begun.collect::<Vec<_>>(), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(state.rows(1, &trace, clock), Some(1..2), "the other parts take what there is");

        // The writer takes a lot that all parts are through with, the oldest first.
        for lot in [1, 0] {
            assert!(state.take_ready(1).is_none());
            state.hand_in(lot, Batch::default());
        }
        for lot in [4, 5] {
            assert_eq!(state.rows(lot, &trace, clock), None);
            let Order { writer, batches, end } = state.take_ready(1).unwrap();
            assert_eq!(end, lot - 3);
            assert!(state.take_ready(1).is_none(), "the writer is at work");
            state.end_lot(writer, batches);
            let rows = state.rows(lot, &trace, clock).unwrap();
            assert!(rows.len() > 1, "lots with few answers have more and more epochs");
        }
        state.failure = Some(OutputError::stdout(std::io::ErrorKind::BrokenPipe.into()));
        assert_eq!(state.rows(5, &trace, clock), None);
    }

    fn batch(lines: usize) -> Batch {
        let (mut batch, index) = (Batch::default(), StripIndex::default());
        let time = Timestamp::from_millis_unchecked(0);
        (0..lines).for_each(|_| batch.add(0, time, &[], &index));
        batch
    }

    #[test]
    fn no_lot_is_begun_while_much_waits_to_be_written() {
        let (trace, clock) = (trace(), EpochClock::new(1));
        let pipeline = pipeline(&trace, Path::new("-"), &|_| ());
        let mut state = pipeline.state();
        assert!(state.rows(0, &trace, clock).is_some() && state.rows(1, &trace, clock).is_some());
        state.hand_in(0, batch(HELD_MAX - 1));
        assert!(state.rows(2, &trace, clock).is_some());
        state.hand_in(1, batch(1));
        assert!(state.rows(3, &trace, clock).is_none());
        assert!(state.rows(2, &trace, clock).is_some(), "what is begun goes on");
        let Order { writer, batches, .. } = state.take_ready(1).unwrap();
        state.end_lot(writer, batches);
        assert!(state.rows(3, &trace, clock).is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_is_written_behind_what_was_cut_short() {
        let (trace, clock) = (trace(), EpochClock::new(1));
        let pipeline = pipeline(&trace, Path::new("/dev/full"), &|_| ());
        let mut state = pipeline.state();
        for lot in [0, 1] {
            state.rows(lot, &trace, clock).unwrap();
            state.hand_in(lot, batch(1));
        }
        let order = state.take_ready(1).unwrap();
        drop(state);
        let waiting = std::mem::take(&mut pipeline.state().waiting);
        rayon::scope(|scope| pipeline.write(scope, order));
        let mut state = pipeline.state();
        assert!(state.failure.is_some() && !waiting.is_empty());
        assert!(state.take_ready(1).is_none(), "lot 1 is through, and nobody takes it");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_written_ends_the_replay() {
        let (trace, shown) = (trace(), AtomicUsize::new(0));
        let show = |rows| shown.store(rows, Ordering::Relaxed);
        let failed = pipeline(&trace, Path::new("/dev/full"), &show).run();
        assert!(matches!(failed, Err(OutputError::Write { .. })));
        assert_eq!(shown.into_inner(), 0, "no row's answers are written");
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
