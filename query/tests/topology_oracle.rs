//! The sharded topology against brute force and against itself.
//!
//! A scenario is a log: reports and commands, epoch by epoch. One engine with one shard and one lane
//! must say what brute force says, and nothing twice; engines with more lanes, more shards, shards
//! that are split and merged, states that are written and read, and other cuts into batches must say
//! the same, byte for byte. Scenarios come from fixed seeds and shrink.

mod brute;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use brute::{OBJECTS, Spread, Table, place, question_json, spreads};
use dunlin_index::{Coord, ObjectNames, Plane, Space, SpaceKind, Sphere};
use dunlin_query::topology::{
    Command, PositionBatch, PositionOps, PositionRouter, QueryAnswer, ShardMessage, StandingOutput,
    StandingShard, StandingTopology,
};
use dunlin_query::{Query, Question};
use dunlin_stream::lane::Envelope;
use dunlin_stream::log::Entry;
use dunlin_stream::wire::{self, DecodeError};
use dunlin_stream::{
    Engine, Epoch, Key, Letter, Mail, Operator, RecordCounts, ShardTable, Timestamp, Topology,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const EPOCH_MS: i64 = 100;
const TTL_MS: i64 = 350;

/// A report: object, how far before the epoch's end, position.
type Report = (u32, i64, f64, f64);

#[derive(Clone, Debug)]
struct Slice {
    reports: Vec<Report>,
    /// Queries to register, and ids to remove.
    registered: Vec<(u8, f64, f64, f64)>,
    removed: Vec<u8>,
    /// What happens to shards after the epoch: by engine, a split at a share of the space, or a merge.
    cuts: Vec<(u8, f64)>,
    restores: u8,
    /// Where the reports are cut into batches in the engine that cuts otherwise.
    batch_len: usize,
}

#[derive(Clone, Debug)]
struct Scenario {
    spread: Spread,
    ttl: bool,
    slices: Vec<Slice>,
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let unit = || 0.0..1.0f64;
    // Now and then by more than the times that four bytes tell apart.
    let late = prop_oneof![30 => 0i64..100, 8 => 0i64..900, 1 => -8_000_000_000i64..8_000_000_000];
    let report = (0..OBJECTS, late, unit(), unit());
    let reports = prop_oneof![
        1 => Just(vec![]),
        6 => prop::collection::vec(report.clone(), 0..12),
        2 => prop::collection::vec(report, 60..160),
    ];
    let registered = prop_oneof![
        3 => Just(vec![]),
        1 => prop::collection::vec((any::<u8>(), unit(), unit(), unit()), 1..8),
    ];
    let removed = prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(any::<u8>(), 1..4)];
    let cuts = prop::collection::vec((any::<u8>(), unit()), 0..3);
    let slice = (reports, registered, removed, cuts, any::<u8>(), 1usize..9).prop_map(
        |(reports, registered, removed, cuts, restores, batch_len)| Slice {
            reports,
            registered,
            removed,
            cuts,
            restores,
            batch_len,
        },
    );
    let first = prop::collection::vec((any::<u8>(), unit(), unit(), unit()), 1..25);
    (spreads(), any::<bool>(), first, prop::collection::vec(slice, 1..25)).prop_map(
        |(spread, ttl, first, mut slices)| {
            slices[0].registered.extend(first);
            Scenario { spread, ttl, slices }
        },
    )
}

/// The input of one epoch: reports and commands in their order.
struct Input {
    end: Timestamp,
    reports: Vec<(String, Timestamp, Coord)>,
    commands: Vec<Command>,
}

impl Scenario {
    fn inputs(&self, kind: SpaceKind) -> Vec<Input> {
        let mut registered = 0usize;
        let input = |(slice, number): (&Slice, i64)| {
            let end = (number + 1) * EPOCH_MS;
            let reports = slice.reports.iter().map(|&(object, before, u, v)| {
                let time = Timestamp::from_millis_unchecked(end - 1 - before);
                (brute::name(object), time, place(kind, self.spread, u, v))
            });
            let mut commands = Vec::new();
            for &query in &slice.registered {
                // Now and then an id that is taken, or no query at all.
                let id = if query.0 == 77 { 0 } else { registered };
                let text = question_json(&id.to_string(), self.spread, kind, query);
                let text = if query.0 == 78 { text.replace('{', "[") } else { text };
                commands.push(Command::Register { query: text });
                registered += 1;
            }
            for &choice in &slice.removed {
                let id = usize::from(choice) % (registered + 2);
                commands.push(Command::Remove { id: id.to_string() });
            }
            // Removals among registrations.
            let turn = usize::from(slice.restores) % commands.len().max(1);
            commands.rotate_left(turn);
            let end = Timestamp::from_millis_unchecked(end);
            Input { end, reports: reports.collect(), commands }
        };
        self.slices.iter().zip(0..).map(input).collect()
    }
}

/// What must be said, by looking at all objects.
struct Oracle {
    names: ObjectNames,
    table: Table,
    times: Vec<Option<Timestamp>>,
    queries: BTreeMap<u32, (Query, Option<Vec<String>>)>,
    next: u32,
    ttl_ms: Option<i64>,
    compared: u64,
}

/// A query, and its objects with their distances.
type Said = (u32, Vec<(String, Option<f64>, Coord)>);

impl Oracle {
    fn new(ttl_ms: Option<i64>) -> Self {
        let (names, table) = (ObjectNames::default(), Table { at: Vec::new() });
        let (times, queries) = (Vec::new(), BTreeMap::new());
        Self { names, table, times, queries, next: 0, ttl_ms, compared: 0 }
    }

    /// The answers to be told, the commands that are refused, and the reports that take effect.
    fn step<S: Space>(&mut self, input: &Input) -> (Vec<Said>, Vec<u32>, u64) {
        let applied = input.reports.iter().filter(|report| self.report(report)).count() as u64;
        if let Some(ttl_ms) = self.ttl_ms {
            let deadline = Timestamp::from_millis_unchecked(input.end.as_millis() - ttl_ms);
            for (time, at) in self.times.iter_mut().zip(&mut self.table.at) {
                if time.is_some_and(|time| time < deadline) {
                    (*time, *at) = (None, None);
                }
            }
        }
        let refused = (0..).zip(&input.commands).filter(|(_, command)| !self.command::<S>(command));
        let refused = refused.map(|(number, _)| number).collect();
        let mut said = Vec::new();
        for (&number, (query, told)) in &mut self.queries {
            let members = self.table.answer::<S>(&query.question, &self.names);
            self.compared += 1;
            let list: Vec<String> =
                members.iter().map(|member| self.names.name(member.slot).to_owned()).collect();
            if told.as_ref() != Some(&list) {
                let distance = |key| {
                    let asks = !matches!(query.question, Question::Inside(_));
                    asks.then(|| S::distance(key))
                };
                let objects = members.iter().zip(&list).map(|(member, name)| {
                    let at = self.table.at[member.slot.index()].expect("present");
                    (name.clone(), distance(member.key), at)
                });
                said.push((number, objects.collect()));
                *told = Some(list);
            }
        }
        (said, refused, applied)
    }

    fn report(&mut self, (name, time, at): &(String, Timestamp, Coord)) -> bool {
        let slot = self.names.intern(name).index();
        let rows = self.times.len().max(slot + 1);
        self.times.resize(rows, None);
        self.table.at.resize(rows, None);
        let is_new = self.times[slot].is_none_or(|last| *time >= last);
        if is_new {
            (self.times[slot], self.table.at[slot]) = (Some(*time), Some(*at));
        }
        is_new
    }

    fn command<S: Space>(&mut self, command: &Command) -> bool {
        match command {
            Command::Register { query } => {
                let Ok(query) = Query::from_json(query, S::KIND) else { return false };
                let is_new = self.queries.values().all(|(other, _)| other.id != query.id);
                if is_new {
                    self.queries.insert(self.next, (query, None));
                    self.next += 1;
                }
                is_new
            }
            Command::Remove { id } => {
                let before = self.queries.len();
                self.queries.retain(|_, (query, _)| query.id != *id);
                self.queries.len() < before
            }
        }
    }
}

/// The topology, with all messages between shards sent through their wire form.
#[derive(Clone, Copy)]
struct Wired<S: Space>(StandingTopology<S>);

struct WiredShard<S: Space>(StandingShard<S>);

impl<S: Space> Topology for Wired<S> {
    type Router = PositionRouter<S>;
    type Operator = WiredShard<S>;

    fn router(&self, lane: usize) -> PositionRouter<S> {
        self.0.router(lane)
    }

    fn operator(&self) -> WiredShard<S> {
        WiredShard(self.0.operator())
    }

    fn order(a: &StandingOutput, b: &StandingOutput) -> std::cmp::Ordering {
        StandingTopology::<S>::order(a, b)
    }
}

impl<S: Space> Operator for WiredShard<S> {
    type Batch<'a> = &'a PositionOps;
    type Message = ShardMessage;
    type Output = StandingOutput;

    const ROUNDS: usize = 2;

    fn apply(&mut self, epoch: Epoch, ops: &PositionOps, out: &mut Vec<StandingOutput>) {
        self.0.apply(epoch, ops, out);
    }

    fn exchange(
        &mut self,
        mut inbox: Vec<Letter<ShardMessage>>,
        mail: &mut Mail<'_, ShardMessage>,
    ) {
        for letter in &mut inbox {
            let sent: ShardMessage =
                wire::decode(&wire::encode(&letter.message)).expect("a message");
            assert_eq!(letter.message, sent);
            letter.message = sent;
        }
        self.0.exchange(inbox, mail);
    }

    fn end_epoch(&mut self, epoch: Epoch, end: Timestamp, out: &mut Vec<StandingOutput>) {
        self.0.end_epoch(epoch, end, out);
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        self.0.restore(state)
    }

    fn split(&mut self, at: Key, upper: &mut Self) {
        self.0.split(at, &mut upper.0);
    }

    fn merge(&mut self, upper: Self) {
        self.0.merge(upper.0);
    }
}

/// One way to run the log.
struct Run<S: Space> {
    engine: Engine<Wired<S>>,
    topology: Wired<S>,
    lanes: u32,
    number: u8,
    sequence: u64,
}

impl<S: Space> Run<S> {
    fn new(number: u8, lanes: u32, shards: usize, scenario: &Scenario) -> Self {
        let topology = StandingTopology::<S>::new(lanes);
        let topology = if scenario.ttl { topology.with_ttl_ms(TTL_MS) } else { topology };
        let cuts = (1..shards).map(|cut| cut as f64 / shards as f64);
        let cuts = cuts.map(|share| key(S::KIND, scenario.spread, share));
        let topology = Wired(topology);
        let table = ShardTable::cut_at(cuts);
        let engine = Engine::new(topology, lanes as usize + 1, table);
        Self { engine, topology, lanes, number, sequence: 0 }
    }

    fn step(
        &mut self,
        number: i64,
        input: &Input,
        batch_len: usize,
    ) -> (Vec<StandingOutput>, RecordCounts) {
        let mut lanes: Vec<Vec<PositionBatch>> = vec![Vec::new(); self.lanes as usize + 1];
        for (name, time, at) in &input.reports {
            let lane = Key::of_bytes(name.as_bytes()).0 % u64::from(self.lanes);
            let batches = &mut lanes[lane as usize];
            if batches.last().is_none_or(|batch| batch.reports().len() >= batch_len) {
                batches.push(PositionBatch::default());
            }
            batches.last_mut().expect("one was pushed").push(name, *time, *at);
        }
        for command in &input.commands {
            let mut batch = PositionBatch::default();
            batch.command(command.clone());
            lanes[self.lanes as usize].push(batch);
        }
        let entry = |batch| {
            self.sequence += 1;
            let envelope = Envelope { producer: 3, sequence: self.sequence, batch };
            let payload = wire::encode(&envelope);
            Entry { sequence: self.sequence, stamp: input.end, payload: payload.into() }
        };
        let mut entry = entry;
        let entries: Vec<Vec<Entry>> = lanes
            .into_iter()
            .map(|batches| batches.into_iter().map(&mut entry).collect())
            .collect();
        let result = self.engine.step(Epoch(number), input.end, &entries);
        (result.outputs, result.counts)
    }

    /// Splits, merges and restores.
    fn disturb(&mut self, slice: &Slice, spread: Spread) {
        for &(choice, share) in &slice.cuts {
            match (choice.wrapping_add(self.number)) % 4 {
                0 | 1 => drop(self.engine.split(key(S::KIND, spread, share))),
                2 => drop(self.engine.merge(usize::from(choice) % self.engine.table().len())),
                _ => {}
            }
        }
        if slice.restores >> (self.number % 8) & 1 == 1 {
            let state = self.engine.snapshot();
            self.engine = Engine::restore(self.topology, &state).expect("its own state");
            assert!(self.engine.snapshot() == state, "a state read and written is another");
        }
    }
}

/// A key at a share of where a spread has its positions.
fn key(kind: SpaceKind, spread: Spread, share: f64) -> Key {
    Key::of_f64(place(kind, spread, share, 0.5).x)
}

fn said(answer: &QueryAnswer) -> Said {
    let objects = answer.objects().map(|(name, distance, at)| (name.to_owned(), distance, at));
    (answer.query, objects.collect())
}

/// Runs a scenario; how many answers were compared.
fn check<S: Space>(scenario: &Scenario) -> Result<u64, TestCaseError> {
    let mut oracle = Oracle::new(scenario.ttl.then_some(TTL_MS));
    let mut runs = [(1, 1), (3, 1), (1, 2), (2, 8)].into_iter().zip(0..);
    let mut runs: Vec<_> = runs
        .by_ref()
        .map(|((lanes, shards), number)| Run::<S>::new(number, lanes, shards, scenario))
        .collect();
    let mut compared = 0;
    for ((slice, input), number) in scenario.slices.iter().zip(scenario.inputs(S::KIND)).zip(0..) {
        let (expected, refused, applied) = oracle.step::<S>(&input);
        for run in &mut runs {
            let batch_len = if run.number == 0 { usize::MAX } else { slice.batch_len };
            let (outputs, counts) = run.step(number, &input, batch_len);
            prop_assert_eq!(counts.applied, applied);
            prop_assert_eq!(counts.late, counts.read - applied);
            let (mut answers, mut commands) = (Vec::new(), Vec::new());
            for output in &outputs {
                match output {
                    StandingOutput::Answer(answer) => answers.push(said(answer)),
                    StandingOutput::Refused { command, .. } => commands.push(*command),
                }
            }
            prop_assert_eq!(&answers, &expected, "run {} epoch {}", run.number, number);
            prop_assert_eq!(&commands, &refused, "run {} epoch {}", run.number, number);
            if run.number > 0 {
                run.disturb(slice, scenario.spread);
            }
        }
        let present = oracle.table.at.iter().flatten().count();
        for run in &runs {
            let shards = run.engine.shards().iter();
            prop_assert_eq!(shards.map(|shard| shard.0.object_count()).sum::<usize>(), present);
        }
    }
    compared += oracle.compared * runs.len() as u64;
    Ok(compared)
}

/// Checks scenarios from a fixed seed until `answers` answers have been compared.
fn check_many<S: Space>(seed: u8, answers: u64) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let config = Config { cases: u32::MAX, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let compared = AtomicU64::new(0);
    while compared.load(Ordering::Relaxed) < answers {
        let tree = scenarios().new_tree(&mut runner).expect("scenarios are not filtered");
        let outcome = runner.run_one(tree, |scenario| {
            compared.fetch_add(check::<S>(&scenario)?, Ordering::Relaxed);
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn plane_outputs_equal_brute_force() {
    check_many::<Plane>(3, 300_000);
}

#[test]
fn sphere_outputs_equal_brute_force() {
    check_many::<Sphere>(4, 300_000);
}
