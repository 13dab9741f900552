//! The engine: all tasks of a topology, and what they do in one epoch.
//!
//! ```text
//! lane 0 ─ LaneTask ─┐ ops per shard   ┌─ Operator, shard 0 ─┐ rounds of messages  ┌─ outputs in
//! lane 1 ─ LaneTask ─┼────────────────>├─ Operator, shard 1 ─┼────────────────────>┤  their order
//! control ─ LaneTask ┘ (lane, index)   └─ Operator, shard 2 ─┘ between shards      └─ of the epoch
//! ```
//!
//! A plain state machine: what it says of an epoch depends on the state before, the batches of the
//! epoch and the shard table, and its outputs do not depend on the table. Tasks share no memory;
//! in one process what they send each other is moved, not copied.

use std::cmp::Ordering;
use std::sync::Arc;

use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::event_time::{EventTimeRule, common_watermark};
use crate::lane::{LaneOutput, LaneTask};
use crate::log::Entry;
use crate::operator::{Letter, Mail, Operator};
use crate::router::{RecordCounts, Router};
use crate::wire::{DecodeError, Frozen};
use crate::{Epoch, Key, ShardTable, Timestamp};

/// What an application is made of.
pub trait Topology: Send + Sync {
    /// The task of a lane.
    type Router: Router<Ops: Send + Sync> + Send + Sync;
    /// The task of a shard.
    type Operator: for<'a> Operator<
            Batch<'a> = &'a <Self::Router as Router>::Ops,
            Message: Send + Serialize + DeserializeOwned,
            Output: Send + Serialize + DeserializeOwned,
        > + Send
        + Sync;

    /// A new task for a lane, by its number; the last one is the control lane.
    fn router(&self, lane: usize) -> Self::Router;

    /// A new and empty task for a shard.
    fn operator(&self) -> Self::Operator;

    /// What is allowed of event times.
    fn event_time(&self) -> EventTimeRule {
        EventTimeRule::ANY
    }

    /// The order of an epoch's outputs, which must not leave two that differ equal, unless one shard
    /// alone emits.
    fn order(a: &OutputOf<Self>, b: &OutputOf<Self>) -> Ordering;
}

/// What a topology emits.
pub type OutputOf<T> = <<T as Topology>::Operator as Operator>::Output;
type MessageOf<T> = <<T as Topology>::Operator as Operator>::Message;
type OpsOf<T> = <<T as Topology>::Router as Router>::Ops;

/// What came of an epoch.
#[derive(Debug)]
pub struct EpochResult<O> {
    /// What was emitted, in the topology's order.
    pub outputs: Vec<O>,
    /// Records that came after their watermark, in batches as of the input.
    pub late: Vec<Vec<u8>>,
    /// What became of the records.
    pub counts: RecordCounts,
}

/// All tasks of a topology, in one process.
pub struct Engine<T: Topology> {
    topology: Arc<T>,
    table: ShardTable,
    lanes: Vec<LaneTask<T::Router>>,
    shards: Vec<T::Operator>,
    watermark: Option<Timestamp>,
}

/// The states of all tasks at the end of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineState {
    /// The table and the common watermark.
    pub head: EngineHead,
    /// The states of the lanes.
    pub lanes: Vec<Vec<u8>>,
    /// The states of the shards.
    pub shards: Vec<Vec<u8>>,
}

/// As [`EngineState`], not yet in bytes.
pub struct FrozenEngine {
    /// The table and the common watermark.
    pub head: EngineHead,
    /// The states of the lanes.
    pub lanes: Vec<Frozen>,
    /// The states of the shards.
    pub shards: Vec<Frozen>,
}

impl FrozenEngine {
    /// The states in bytes.
    #[must_use]
    pub fn encode(self) -> EngineState {
        let bytes = |states: Vec<Frozen>| states.into_iter().map(Frozen::encode).collect();
        EngineState { head: self.head, lanes: bytes(self.lanes), shards: bytes(self.shards) }
    }
}

impl From<EngineState> for FrozenEngine {
    fn from(state: EngineState) -> Self {
        let freeze = |states: Vec<Vec<u8>>| states.into_iter().map(Frozen::from).collect();
        Self { head: state.head, lanes: freeze(state.lanes), shards: freeze(state.shards) }
    }
}

/// What the engine itself remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineHead {
    /// Which shard owns which keys.
    pub table: ShardTable,
    /// No shard is promised more.
    pub watermark: Option<Timestamp>,
}

impl<T: Topology> Engine<T> {
    /// New tasks for `lanes` lanes, the control lane among them, and for the shards of `table`.
    #[must_use]
    pub fn new(topology: T, lanes: usize, table: ShardTable) -> Self {
        let rule = topology.event_time();
        Self {
            lanes: (0..lanes).map(|lane| LaneTask::new(topology.router(lane), rule)).collect(),
            shards: (0..table.len()).map(|_| topology.operator()).collect(),
            table,
            topology: Arc::new(topology),
            watermark: None,
        }
    }

    /// Which shard owns which keys.
    #[must_use]
    pub fn table(&self) -> &ShardTable {
        &self.table
    }

    /// The tasks of the shards.
    #[must_use]
    pub fn shards(&self) -> &[T::Operator] {
        &self.shards
    }

    /// The routers of the lanes, by number.
    pub fn routers(&self) -> impl ExactSizeIterator<Item = &T::Router> {
        self.lanes.iter().map(LaneTask::router)
    }

    /// Runs one epoch, whose first instant after it is `end`, over its batches, lane by lane. The
    /// heart.
    ///
    /// # Panics
    /// If there are not as many `batches` as lanes.
    pub fn step(
        &mut self,
        epoch: Epoch,
        end: Timestamp,
        batches: &[Vec<Entry>],
    ) -> EpochResult<OutputOf<T>> {
        assert_eq!(batches.len(), self.lanes.len(), "batches for each lane");
        let lanes = self.route((epoch, end), batches);
        let mut outputs: Vec<Vec<OutputOf<T>>> = self.shards.iter().map(|_| Vec::new()).collect();
        each(&mut self.shards, &mut outputs, |shard, operator, out| {
            for lane in &lanes {
                operator.apply(epoch, &lane.ops[shard], out);
            }
        });
        self.exchange();
        let watermark = common_watermark(self.lanes.iter().map(LaneTask::event_time));
        let moved = if watermark > self.watermark { watermark } else { None };
        self.watermark = self.watermark.max(watermark);
        each(&mut self.shards, &mut outputs, |_, operator, out| {
            if let Some(at) = moved {
                operator.watermark(at, out);
            }
            operator.end_epoch(epoch, end, out);
        });
        let mut counts = RecordCounts::default();
        lanes.iter().for_each(|lane| counts.add(lane.counts));
        let late = lanes.into_iter().flat_map(|lane| lane.late).collect();
        EpochResult { outputs: in_order::<T>(outputs), late, counts }
    }

    fn route(
        &mut self,
        epoch: (Epoch, Timestamp),
        batches: &[Vec<Entry>],
    ) -> Vec<LaneOutput<OpsOf<T>>> {
        let table = &self.table;
        let lanes = self.lanes.par_iter_mut().zip(batches).with_max_len(1);
        lanes.map(|(lane, entries)| lane.epoch(epoch, entries, table)).collect()
    }

    /// The rounds of messages.
    fn exchange(&mut self) {
        let rounds = T::Operator::ROUNDS;
        if rounds == 0 {
            return;
        }
        let table = &self.table;
        let mut inboxes: Vec<Vec<Letter<MessageOf<T>>>> =
            self.shards.iter().map(|_| Vec::new()).collect();
        for round in 0..=rounds {
            let mut sent: Vec<Vec<(usize, MessageOf<T>)>> =
                self.shards.iter().map(|_| Vec::new()).collect();
            let inbox = inboxes.iter_mut().map(std::mem::take).collect::<Vec<_>>();
            let tasks = self.shards.par_iter_mut().zip(inbox).zip(&mut sent).enumerate();
            tasks.with_max_len(1).for_each(|(shard, ((operator, inbox), sent))| {
                let mut mail = Mail { round, shard, table, sent: Vec::new() };
                operator.exchange(inbox, &mut mail);
                *sent = mail.sent;
            });
            for (from, messages) in sent.into_iter().enumerate() {
                assert!(round < rounds || messages.is_empty(), "a message after the last round");
                for (to, message) in messages {
                    inboxes[to].push(Letter { from, message });
                }
            }
        }
    }

    /// Cuts the shard that owns `at` in two, between epochs; `false` if it begins there already.
    pub fn split(&mut self, at: Key) -> bool {
        let Some(shard) = self.table.split(at) else { return false };
        let mut upper = self.topology.operator();
        self.shards[shard].split(at, &mut upper);
        self.shards.insert(shard + 1, upper);
        true
    }

    /// Joins a shard and the next one, between epochs; `false` if there is no next one.
    pub fn merge(&mut self, shard: usize) -> bool {
        if !self.table.merge(shard) {
            return false;
        }
        let upper = self.shards.remove(shard + 1);
        self.shards[shard].merge(upper);
        true
    }

    /// The states of all tasks, between epochs.
    #[must_use]
    pub fn snapshot(&self) -> EngineState {
        self.freeze().encode()
    }

    /// The states of all tasks, to be put in bytes while the engine goes on.
    #[must_use]
    pub fn freeze(&self) -> FrozenEngine {
        let head = EngineHead { table: self.table.clone(), watermark: self.watermark };
        let (lanes, shards) = rayon::join(
            || self.lanes.par_iter().with_max_len(1).map(LaneTask::freeze).collect(),
            || self.shards.par_iter().with_max_len(1).map(Operator::freeze).collect(),
        );
        FrozenEngine { head, lanes, shards }
    }

    /// An engine with the states that [`Engine::snapshot`] took.
    ///
    /// # Errors
    /// States that were not taken of such a topology.
    pub fn restore(topology: T, state: &EngineState) -> Result<Self, DecodeError> {
        Self::of_state(Arc::new(topology), state)
    }

    /// Another engine of the same topology, in the same state.
    pub(crate) fn twin(&self) -> Self {
        let twin = Self::of_state(self.topology.clone(), &self.snapshot());
        twin.expect("a state that was just taken is one")
    }

    fn of_state(topology: Arc<T>, state: &EngineState) -> Result<Self, DecodeError> {
        let EngineHead { table, watermark } = state.head.clone();
        if state.shards.len() != table.len() {
            let what = format!("{} states of {} shards", state.shards.len(), table.len());
            return Err(DecodeError::Value(what));
        }
        let rule = topology.event_time();
        let lane = |(lane, state): (usize, &Vec<u8>)| {
            LaneTask::restore(topology.router(lane), rule, state)
        };
        let shard = |state: &Vec<u8>| {
            let mut operator = topology.operator();
            operator.restore(state).map(|()| operator)
        };
        let (lanes, shards) = rayon::join(
            || state.lanes.par_iter().enumerate().with_max_len(1).map(lane).collect(),
            || state.shards.par_iter().with_max_len(1).map(shard).collect(),
        );
        let (lanes, shards): (Result<_, _>, Result<_, _>) = (lanes, shards);
        Ok(Self { lanes: lanes?, shards: shards?, table, watermark, topology })
    }
}

/// Calls `act` for every shard with its outputs, in parallel.
fn each<O: Send, Out: Send>(
    shards: &mut [O],
    outputs: &mut [Vec<Out>],
    act: impl Fn(usize, &mut O, &mut Vec<Out>) + Sync,
) {
    let tasks = shards.par_iter_mut().zip(outputs).enumerate().with_max_len(1);
    tasks.for_each(|(shard, (operator, out))| act(shard, operator, out));
}

fn in_order<T: Topology>(mut outputs: Vec<Vec<OutputOf<T>>>) -> Vec<OutputOf<T>> {
    if outputs.len() == 1 {
        return outputs.pop().unwrap_or_default();
    }
    let mut all: Vec<_> = outputs.into_iter().flatten().collect();
    all.sort_by(T::order);
    all
}
