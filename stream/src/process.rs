//! An application in one process: its lanes of the log, its engine, its output, its checkpoints.
//!
//! ```text
//! log lanes ─Cutter─> epochs ─Engine─> outputs ─OutputLane─> log lane "out" (and "late")
//!                               └─ now and then ─> Checkpoints ─> log lanes are cut
//! ```
//!
//! An epoch's outputs are committed and handed out while the next one runs, if that is complete in the
//! log already: a process that is behind does both at once, one that is not waits for nothing.
//!
//! A restart takes the newest checkpoint without a flaw, applies the epochs after it again, and what
//! of their outputs is said again depends on the [`Guarantee`]. A checkpoint is never ahead of what
//! the log has on stable storage, and the log is cut below the oldest checkpoint that is kept.

mod commands;
mod recovery;

use std::sync::Arc;

use commands::Commands;
use recovery::{begin, newest};
use serde::Serialize;

use crate::checkpoint::{Checkpoint, CheckpointError, Checkpoints, FrozenCheckpoint, Unusable};
use crate::cutter::Cutter;
use crate::engine::{Engine, EpochResult, OutputOf, Topology};
use crate::keeper::{self, Keeper, Kept};
use crate::log::{Append, LaneId, Log, LogError, MemoryLog};
use crate::outputs::{OutputError, OutputLane};
use crate::router::RecordCounts;
use crate::wire::DecodeError;
use crate::{Epoch, EpochClock, Key, ShardTable, Source, Timestamp};

/// What becomes of records and outputs when the process fails and starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// At most once: the state is lost, records that were not applied yet are passed over, nothing
    /// is said twice. Only commands are not lost: checkpoints hold what they alone lead to.
    Gap,
    /// At least once: nothing is lost, outputs since the last checkpoint are said again.
    Rollback,
    /// Exactly once: nothing is lost and nothing is said again.
    Precise,
}

/// How an application runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The application's name, which its lanes begin with.
    pub name: String,
    /// How many lanes its input has, beside the control lane. Fixed for the life of the log.
    pub lanes: usize,
    /// The length of epochs, in milliseconds. Fixed for the life of the log.
    pub epoch_ms: i64,
    /// What a restart does.
    pub guarantee: Guarantee,
    /// The shards that a new application begins with.
    pub shards: ShardTable,
    /// A checkpoint is written when so much time of the log has passed since the last.
    pub checkpoint_ms: i64,
    /// Whether checkpoints are written by a thread of their own.
    pub background: bool,
    /// Whether every epoch's outputs are on stable storage before they are handed out.
    pub sync: bool,
    /// Batches of outputs and late records that are kept when the log is cut, at least.
    pub outputs_kept: u64,
    /// Whether the log outlives the process, so that a start must find there what it needs. If not,
    /// what was applied is let go without any checkpoint.
    pub restarts: bool,
}

impl Setup {
    /// An application with one shard, 20 ms epochs and a checkpoint every ten seconds.
    #[must_use]
    pub fn new(name: &str, lanes: usize, guarantee: Guarantee) -> Self {
        Self {
            name: name.to_owned(),
            lanes,
            epoch_ms: 20,
            guarantee,
            shards: ShardTable::default(),
            checkpoint_ms: 10_000,
            background: true,
            sync: false,
            outputs_kept: 5_000,
            restarts: true,
        }
    }
}

/// Why a process could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The log failed, or another process owns the output.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The output lane cannot be read.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The checkpoint store failed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint is whole but not of this application.
    #[error("the checkpoint of epoch {epoch} is not of this application: {source}")]
    Foreign {
        /// The checkpoint's epoch.
        epoch: i64,
        /// What shows it.
        source: DecodeError,
    },
    /// No usable checkpoint reaches back to where the log begins.
    #[error(
        "batches 0 to {first} of lane \"{lane}\" were let go, and no checkpoint from after them can \
         be used: restore the checkpoints, or start a new log"
    )]
    Lost {
        /// The lane.
        lane: String,
        /// Its first batch.
        first: u64,
    },
}

/// What a process found when it started.
#[derive(Debug, Default)]
pub struct Recovery {
    /// The epoch of the checkpoint that was taken up.
    pub checkpoint: Option<Epoch>,
    /// The last epoch whose outputs are out.
    pub committed: Option<Epoch>,
    /// Checkpoints that were passed over.
    pub unusable: Vec<Unusable>,
}

/// An epoch whose outputs are in the log.
#[derive(Debug)]
pub struct Committed<'a, O> {
    /// The epoch.
    pub epoch: Epoch,
    /// The first instant after it.
    pub end: Timestamp,
    /// What was emitted.
    pub outputs: &'a [O],
    /// What became of its records.
    pub counts: RecordCounts,
}

/// A running application.
pub struct Process<T: Topology> {
    log: Arc<dyn Log>,
    setup: Setup,
    lanes: Lanes,
    runner: Runner<T>,
    speaker: Speaker,
    /// The last epoch that was run, until its outputs are out.
    unsaid: Option<Ran<OutputOf<T>>>,
    keeper: Option<Keeper>,
    /// The end of the epoch with the last checkpoint, or of the first epoch.
    checkpointed: Option<Timestamp>,
    counts: RecordCounts,
    /// The last epoch that was run.
    last: Option<Epoch>,
}

/// What runs epochs.
struct Runner<T: Topology> {
    cutter: Cutter,
    engine: Engine<T>,
    /// What a start goes on from, if not the engine.
    commands: Option<Commands<T>>,
    clock: EpochClock,
}

/// An epoch that was run.
struct Ran<O> {
    epoch: Epoch,
    end: Timestamp,
    result: EpochResult<O>,
}

/// What commits outputs and hands them out.
struct Speaker {
    outputs: OutputLane,
    /// The lane of late records.
    late: LaneId,
    /// Outputs up to this epoch are not said again.
    said: Option<Epoch>,
    /// Whether outputs are on stable storage before they are handed out.
    sync: bool,
}

impl<T: Topology> Runner<T> {
    /// Runs the next epoch if it is complete in the log.
    fn run(&mut self, log: &dyn Log) -> Result<Option<Ran<OutputOf<T>>>, LogError> {
        let Some((epoch, batches)) = self.cutter.next(log)? else { return Ok(None) };
        let end = self.clock.end(epoch);
        if let Some(commands) = &mut self.commands {
            commands.follow(epoch, end, &batches);
        }
        let result = self.engine.step(epoch, end, &batches);
        Ok(Some(Ran { epoch, end, result }))
    }
}

impl Speaker {
    fn say<O: Serialize>(
        &mut self,
        log: &dyn Log,
        &Ran { epoch, end, ref result }: &Ran<O>,
        tell: &mut impl FnMut(&Committed<'_, O>),
    ) -> Result<(), LogError> {
        let EpochResult { outputs, late, counts } = result;
        if self.said.is_some_and(|said| epoch <= said) {
            return Ok(());
        }
        if !(outputs.is_empty() && late.is_empty()) {
            let lane = self.late;
            let append = |payload| Append { lane, expected: None, stamp: end, payload };
            let late: Vec<Append<'_>> = late.iter().map(|batch| append(batch.as_slice())).collect();
            self.outputs.append(log, (epoch, end), outputs, &late)?;
            if self.sync {
                log.sync()?;
            }
        }
        tell(&Committed { epoch, end, outputs, counts: *counts });
        Ok(())
    }
}

/// The lanes of an application.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// Those of the input; records of one object go to one of them.
    pub input: Vec<LaneId>,
    /// Commands, for all shards.
    pub control: LaneId,
    /// What is emitted.
    pub output: LaneId,
    /// Records that came too late.
    pub late: LaneId,
}

impl Lanes {
    /// The lanes of an application, new and empty if there are none yet.
    ///
    /// # Errors
    /// What the log says.
    pub fn open(log: &dyn Log, name: &str, lanes: usize) -> Result<Self, LogError> {
        let lane = |what: &str| log.lane(&format!("{name}/{what}"));
        let input = (0..lanes).map(|number| lane(&format!("in/{number}")));
        Ok(Self {
            input: input.collect::<Result<_, _>>()?,
            control: lane("control")?,
            output: lane("out")?,
            late: lane("late")?,
        })
    }

    /// All lanes that are read, the control lane last.
    #[must_use]
    pub fn read(&self) -> Vec<LaneId> {
        self.input.iter().copied().chain([self.control]).collect()
    }

    /// The lane of an object.
    #[must_use]
    pub fn of_object(&self, name: &[u8]) -> LaneId {
        self.input[Key::of_bytes(name).lane(self.input.len())]
    }
}

impl<T: Topology> Process<T> {
    /// Starts or restarts an application on its log, with its checkpoints if it has any.
    ///
    /// # Errors
    /// See [`ProcessError`].
    pub fn open(
        topology: T,
        log: Arc<dyn Log>,
        checkpoints: Option<Checkpoints>,
        setup: Setup,
    ) -> Result<(Self, Recovery), ProcessError> {
        let lanes = Lanes::open(&*log, &setup.name, setup.lanes)?;
        let outputs = OutputLane::open(&*log, lanes.output)?;
        let mut recovery = Recovery { committed: outputs.last(), ..Recovery::default() };
        let is_gap = setup.guarantee == Guarantee::Gap;
        let checkpoints = match checkpoints {
            Some(checkpoints) if is_gap => Some(checkpoints.under(commands::STORED_UNDER)?),
            checkpoints => checkpoints,
        };
        let found = match &checkpoints {
            Some(checkpoints) => {
                newest(checkpoints, &*log, &lanes, setup.guarantee, &mut recovery)?
            }
            None => None,
        };
        recovery.checkpoint = found.as_ref().map(|found| found.epoch);
        let clock = EpochClock::new(setup.epoch_ms);
        let checkpointed = recovery.checkpoint.map(|epoch| clock.end(epoch));
        let positions = found.as_ref().map(|found| &found.positions[..]);
        let positions = begin(&*log, &lanes, &setup, outputs.last(), positions)?;
        let engine = match found {
            Some(Checkpoint { epoch, state, .. }) => {
                let foreign = |source| ProcessError::Foreign { epoch: epoch.0, source };
                Engine::restore(topology, &state).map_err(foreign)?
            }
            None => Engine::new(topology, setup.lanes + 1, setup.shards.clone()),
        };
        let keeps_commands = is_gap && checkpoints.is_some();
        let commands = keeps_commands.then(|| Commands::of(&engine));
        let cutter = Cutter::new(setup.epoch_ms, &lanes.read(), &positions);
        let said = outputs.last().filter(|_| setup.guarantee != Guarantee::Rollback);
        let process = Self {
            runner: Runner { cutter, engine, commands, clock },
            speaker: Speaker { outputs, late: lanes.late, said, sync: setup.sync },
            unsaid: None,
            keeper: checkpoints.map(|store| Keeper::new(store, log.clone(), lanes.clone(), &setup)),
            log,
            setup,
            lanes,
            checkpointed,
            counts: RecordCounts::default(),
            last: recovery.checkpoint,
        };
        Ok((process, recovery))
    }

    /// A new application whose log is in memory, and a source for it.
    ///
    /// # Errors
    /// As [`Process::open`].
    pub fn in_memory(topology: T, setup: Setup) -> Result<(Self, Source), ProcessError> {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::default());
        let (process, _) = Self::open(topology, log.clone(), None, setup)?;
        let source = Source::new(log, process.lanes.clone(), 1, 0);
        Ok((process, source))
    }

    /// The application's lanes.
    #[must_use]
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The tasks.
    #[must_use]
    pub fn engine(&self) -> &Engine<T> {
        &self.runner.engine
    }

    /// What became of all records since the start.
    #[must_use]
    pub fn counts(&self) -> RecordCounts {
        self.counts
    }

    /// Runs all epochs that are complete in the log, and hands out what each emitted once it is in
    /// the output lane. Returns how many there were.
    ///
    /// # Errors
    /// What the log says; [`LogError::Conflict`] if another process has taken over. The process must
    /// be opened anew then.
    pub fn advance(
        &mut self,
        mut tell: impl FnMut(&Committed<'_, OutputOf<T>>),
    ) -> Result<usize, ProcessError> {
        let (mut epochs, mut last) = (0, self.last);
        while self.advance_one(&mut tell)? {
            epochs += usize::from(self.last != last);
            last = self.last;
        }
        Ok(epochs)
    }

    /// Runs the next epoch if it is complete, while the outputs of the one before are committed and
    /// handed out. Whether there was either; when not, all that was run is out. The heart.
    ///
    /// # Errors
    /// As [`Process::advance`].
    pub fn advance_one(
        &mut self,
        tell: &mut impl FnMut(&Committed<'_, OutputOf<T>>),
    ) -> Result<bool, ProcessError> {
        let Self { log, runner, speaker, unsaid, .. } = self;
        let mut ran = Ok(None);
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| ran = runner.run(&**log));
            unsaid.as_ref().map_or(Ok(()), |unsaid| speaker.say(&**log, unsaid, tell))
        })?;
        let was_unsaid = unsaid.take().is_some();
        let Some(ran) = ran? else { return Ok(was_unsaid) };
        self.counts.add(ran.result.counts);
        self.last = Some(ran.epoch);
        let is_due = self.is_checkpoint_due(ran.end);
        let (epoch, end) = (ran.epoch, ran.end);
        let ran = self.unsaid.insert(ran);
        if is_due {
            // A checkpoint is never ahead of what is said.
            self.speaker.say(&*self.log, ran, tell)?;
            self.unsaid = None;
            self.checkpoint(epoch);
            self.cut()?;
            self.checkpointed = Some(end);
        }
        Ok(true)
    }

    fn is_checkpoint_due(&mut self, end: Timestamp) -> bool {
        let last = *self.checkpointed.get_or_insert(end);
        let due = end.as_millis() - last.as_millis() >= self.setup.checkpoint_ms;
        // Asked in every epoch, so that what became of the last one is known soon.
        let is_free = self.keeper.as_mut().is_none_or(Keeper::is_free);
        due && is_free
    }

    /// Where no checkpoint says what may go: lets go of what was applied, if no start asks for it. One
    /// with [`Guarantee::Gap`] asks for commands only.
    fn cut(&self) -> Result<(), LogError> {
        let positions = self.runner.cutter.positions();
        let applied = match (self.setup.restarts, self.setup.guarantee) {
            (false, _) if self.keeper.is_none() => &positions[..],
            (true, Guarantee::Gap) => &positions[..self.lanes.input.len()],
            _ => return Ok(()),
        };
        keeper::cut(&*self.log, &self.lanes, applied, self.setup.outputs_kept)
    }

    fn checkpoint(&mut self, epoch: Epoch) {
        let Some(keeper) = &mut self.keeper else { return };
        let Runner { cutter, engine, commands, .. } = &self.runner;
        let state = commands.as_ref().map_or_else(|| engine.freeze(), Commands::freeze);
        keeper.keep(FrozenCheckpoint { epoch, positions: cutter.positions(), state });
    }

    /// Writes a checkpoint of the last epoch that was run, and waits for it: the next start has
    /// nothing to apply again. There is none while an epoch's outputs are not out.
    pub fn checkpoint_now(&mut self) -> Option<&Kept> {
        if let Some(epoch) = self.last.filter(|_| self.unsaid.is_none()) {
            self.checkpoint(epoch);
        }
        self.kept()
    }

    /// What became of the checkpoints that are not being written any more.
    #[must_use]
    pub fn kept_so_far(&self) -> Option<&Kept> {
        self.keeper.as_ref().map(Keeper::kept)
    }

    /// The first instant after an epoch.
    #[must_use]
    pub fn end_of(&self, epoch: Epoch) -> Timestamp {
        self.runner.clock.end(epoch)
    }

    /// The last epoch that was run.
    #[must_use]
    pub fn last_epoch(&self) -> Option<Epoch> {
        self.last
    }

    /// What became of the checkpoints so far; waits for one that is being written.
    pub fn kept(&mut self) -> Option<&Kept> {
        self.keeper.as_mut().map(Keeper::wait)
    }

    /// Cuts a shard in two before the next epoch; `false` if it begins there already. The outputs do
    /// not depend on it.
    pub fn split(&mut self, at: Key) -> bool {
        self.runner.engine.split(at)
    }

    /// Joins a shard and the next one before the next epoch; `false` if there is no next one.
    pub fn merge(&mut self, shard: usize) -> bool {
        self.runner.engine.merge(shard)
    }
}
