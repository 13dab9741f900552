//! Standing queries as an operator of the streaming core.
//!
//! The operator is the lane task and the shard task of one process in one: it keeps each object's
//! last report (greatest event time; of equals the later record), applies what an epoch changed to
//! the index, and lets objects go that were silent for longer than `ttl`.

use dunlin_index::{Coord, Slot, Space};
use dunlin_stream::{Epoch, Operator, Timestamp};

use crate::silence::SilenceWatch;
use crate::standing::StandingQueries;

/// Reports of positions, in columns.
#[derive(Clone, Copy, Debug)]
pub struct Moves<'a> {
    /// Event times.
    pub times: &'a [Timestamp],
    /// Objects.
    pub objects: &'a [Slot],
    /// Positions.
    pub at: &'a [Coord],
}

/// Keeps [`StandingQueries`] up to date with a stream of position reports.
#[derive(Debug)]
pub struct StandingOperator<S: Space> {
    queries: StandingQueries<S>,
    /// None if objects stay for ever.
    watch: Option<SilenceWatch>,
    last_report: Vec<Timestamp>,
    /// This epoch's newest position of each object that reported, and where it is in there.
    slots: Vec<Slot>,
    to: Vec<Coord>,
    row: Vec<u32>,
    is_watched: Vec<bool>,
    late: u64,
}

/// The event time before any report.
const NEVER: Timestamp = Timestamp::from_millis_unchecked(i64::MIN);
const NO_ROW: u32 = u32::MAX;

impl<S: Space> StandingOperator<S> {
    /// An operator over `queries`; without a `ttl_ms`, objects stay for ever.
    #[must_use]
    pub fn new(queries: StandingQueries<S>, ttl_ms: Option<i64>) -> Self {
        Self {
            queries,
            watch: ttl_ms.map(SilenceWatch::new),
            last_report: Vec::new(),
            slots: Vec::new(),
            to: Vec::new(),
            row: Vec::new(),
            is_watched: Vec::new(),
            late: 0,
        }
    }

    /// The queries and their answers.
    #[must_use]
    pub fn queries(&self) -> &StandingQueries<S> {
        &self.queries
    }

    /// How many reports were older than one that had been applied before.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    fn make_room_for(&mut self, objects: &[Slot]) {
        let end = objects.iter().max().map_or(0, |slot| slot.index() + 1);
        if end > self.last_report.len() {
            self.last_report.resize(end, NEVER);
            self.row.resize(end, NO_ROW);
            self.is_watched.resize(end, false);
        }
    }

    /// The objects whose last report is more than `ttl` before `end`.
    fn expire(&mut self, end: Timestamp) -> Vec<Slot> {
        let Some(watch) = &mut self.watch else { return Vec::new() };
        for &slot in &self.slots {
            if !std::mem::replace(&mut self.is_watched[slot.index()], true) {
                watch.watch(slot, self.last_report[slot.index()]);
            }
        }
        let gone = watch.silent(end, |slot| self.last_report[slot.index()]);
        gone.iter().for_each(|slot| self.is_watched[slot.index()] = false);
        gone
    }
}

impl<S: Space> Operator for StandingOperator<S> {
    type Batch<'a> = Moves<'a>;
    type Message = ();
    type Output = usize;

    fn apply(&mut self, _: Epoch, batch: Moves<'_>, _: &mut Vec<usize>) {
        self.make_room_for(batch.objects);
        for ((&time, &slot), &at) in batch.times.iter().zip(batch.objects).zip(batch.at) {
            let last = &mut self.last_report[slot.index()];
            if time < *last {
                self.late += 1;
                continue;
            }
            *last = time;
            let row = &mut self.row[slot.index()];
            if *row == NO_ROW {
                *row = self.slots.len() as u32;
                self.slots.push(slot);
                self.to.push(at);
            } else {
                self.to[*row as usize] = at;
            }
        }
    }

    /// Emits the numbers of the queries whose list of objects changed.
    fn end_epoch(&mut self, _: Epoch, end: Timestamp, out: &mut Vec<usize>) {
        let gone = self.expire(end);
        self.queries.advance(&self.slots, &self.to, &gone);
        for slot in self.slots.drain(..) {
            self.row[slot.index()] = NO_ROW;
        }
        self.to.clear();
        out.clear();
        out.extend_from_slice(self.queries.reordered());
    }
}
