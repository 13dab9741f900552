//! A process that fails and starts again, splits and merges, against a model that knows only what
//! was sent: word counts over epochs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_stream::checkpoint::Checkpoints;
use dunlin_stream::log::{Log, MemoryLog};
use dunlin_stream::{
    CompactString, Epoch, Guarantee, Key, Process, Setup, ShardTable, Source, Strings, Timestamp,
    outputs,
};
use futures::TryStreamExt;
use futures::executor::block_on;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

#[path = "../examples/word_count.rs"]
#[allow(dead_code, reason = "an example has a main function")]
mod word_count;
use word_count::WordCount;

const LANES: usize = 2;
const EPOCH_MS: i64 = 10;
const WORDS: [&str; 6] = ["dunlin", "knot", "ruff", "stint", "", "é"];

type Counts = Vec<(CompactString, u64)>;

/// What happens to a process.
#[derive(Clone, Debug)]
enum Act {
    /// Words are sent to a lane, the control lane among them, some milliseconds after what was sent
    /// before.
    Send(usize, Vec<usize>, i64),
    /// The last batch is sent once more.
    Resend,
    /// Time passes.
    Tick(i64),
    /// Everything that is complete is run.
    Advance,
    /// The process dies and is started again.
    Restart,
    Split(u64),
    Merge(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let words = proptest::collection::vec(0..WORDS.len(), 0..5);
    let act = prop_oneof![
        6 => (0..=LANES, words, -3i64..8).prop_map(|(lane, words, ms)| Act::Send(lane, words, ms)),
        1 => Just(Act::Resend),
        3 => (0i64..25).prop_map(Act::Tick),
        3 => Just(Act::Advance),
        2 => Just(Act::Restart),
        1 => any::<u64>().prop_map(Act::Split),
        1 => (0usize..3).prop_map(Act::Merge),
    ];
    proptest::collection::vec(act, 0..60)
}

/// What the model knows: how far each lane has come, and the words of each epoch.
#[derive(Default)]
struct Model {
    lanes: [Option<i64>; LANES + 1],
    words: BTreeMap<i64, Vec<&'static str>>,
}

impl Model {
    fn stamp(&mut self, lane: usize, stamp: i64) -> i64 {
        let epoch = stamp.div_euclid(EPOCH_MS);
        let epoch = self.lanes[lane].map_or(epoch, |last| last.max(epoch));
        self.lanes[lane] = Some(epoch);
        epoch
    }

    /// The outputs of all complete epochs.
    fn outputs(&self) -> Vec<(Epoch, Counts)> {
        let Some(open) = self.lanes.iter().min().copied().flatten() else { return Vec::new() };
        let mut counts = BTreeMap::<&str, u64>::new();
        let said = self.words.range(..open).map(|(&epoch, words)| {
            words.iter().for_each(|word| *counts.entry(word).or_default() += 1);
            let touched = counts.iter().filter(|(word, _)| words.contains(word));
            (Epoch(epoch), touched.map(|(&word, &count)| (word.into(), count)).collect::<Counts>())
        });
        said.filter(|(_, counts)| !counts.is_empty()).collect()
    }
}

struct World {
    log: Arc<dyn Log>,
    checkpoints: Option<Checkpoints>,
    setup: Setup,
    process: Process<WordCount>,
    source: Source,
    now: i64,
    model: Model,
    last: Option<(usize, Vec<usize>)>,
    told: Vec<(Epoch, Counts)>,
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_unchecked(millis)
}

fn strings(words: &[usize]) -> Strings {
    words.iter().map(|&word| WORDS[word]).collect()
}

impl World {
    fn new(guarantee: Guarantee, background: bool) -> Self {
        Self::with(Some(store()), guarantee, background)
    }

    fn with(checkpoints: Option<Checkpoints>, guarantee: Guarantee, background: bool) -> Self {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::default());
        let setup = Setup {
            epoch_ms: EPOCH_MS,
            shards: ShardTable::even(3),
            checkpoint_ms: 30,
            background,
            ..Setup::new("words", LANES, guarantee)
        };
        let process = open(&log, checkpoints.as_ref(), &setup);
        let source = Source::new(log.clone(), process.lanes().clone(), 7, 0);
        let (model, told) = (Model::default(), Vec::new());
        Self { log, checkpoints, setup, process, source, now: 1_000, model, last: None, told }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Send(lane, ref words, ms) => {
                self.now += ms;
                send(&mut self.source, lane, self.now, words);
                let epoch = self.model.stamp(lane, self.now);
                let said = words.iter().map(|&word| WORDS[word]);
                self.model.words.entry(epoch).or_default().extend(said);
                self.last = Some((lane, words.clone()));
            }
            Act::Resend => {
                let Some((lane, words)) = self.last.clone() else { return };
                let (lanes, sequence) = (self.process.lanes().clone(), self.source.sequence());
                let mut again = Source::new(self.log.clone(), lanes, 7, sequence - 1);
                send(&mut again, lane, self.now, &words);
                self.model.stamp(lane, self.now);
            }
            Act::Tick(ms) => {
                self.now += ms;
                self.source.tick(at(self.now)).unwrap();
                for lane in 0..=LANES {
                    self.model.stamp(lane, self.now);
                }
            }
            Act::Advance => self.advance(),
            Act::Restart => {
                // In one process the old writer of checkpoints must not go on beside the new.
                self.process.kept();
                self.process = open(&self.log, self.checkpoints.as_ref(), &self.setup);
            }
            Act::Split(key) => {
                self.process.split(Key(key));
            }
            Act::Merge(shard) => {
                self.process.merge(shard);
            }
        }
    }

    fn advance(&mut self) {
        let told = &mut self.told;
        self.process
            .advance(|epoch| {
                if !epoch.outputs.is_empty() {
                    told.push((epoch.epoch, epoch.outputs.to_vec()));
                }
            })
            .unwrap();
    }

    /// Twenty epochs with words, which are checkpoints enough for the log to be cut.
    fn advance_often(&mut self) {
        for _ in 0..20 {
            self.act(&Act::Send(0, vec![0, 1], 1));
            self.act(&Act::Tick(10));
            self.advance();
        }
        let written = self.process.kept().unwrap().written;
        assert!(written >= 5, "{written}");
    }

    /// What stands in the output lane.
    fn outputs(&self) -> Vec<(Epoch, Counts)> {
        let lane = self.process.lanes().output;
        let all = outputs::read::<(CompactString, u64)>(&*self.log, lane, 0, usize::MAX).unwrap();
        all.into_iter().map(|it| (it.epoch, it.outputs)).collect()
    }
}

/// An empty store of checkpoints.
fn store() -> Checkpoints {
    Checkpoints::in_store(Arc::new(InMemory::new()))
}

/// Sends words to a lane; the last one is the control lane.
fn send(source: &mut Source, lane: usize, now: i64, words: &[usize]) {
    let (stamp, words) = (at(now), strings(words));
    let sent = match lane {
        LANES => source.command(stamp, &words),
        lane => source.send(lane, stamp, &words),
    };
    sent.unwrap();
}

fn open(
    log: &Arc<dyn Log>,
    checkpoints: Option<&Checkpoints>,
    setup: &Setup,
) -> Process<WordCount> {
    let (log, checkpoints) = (log.clone(), checkpoints.cloned());
    let (process, recovery) = Process::open(WordCount, log, checkpoints, setup.clone()).unwrap();
    assert!(recovery.unusable.is_empty());
    process
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn precise_says_everything_once(acts in acts(), background in any::<bool>()) {
        let mut world = World::new(Guarantee::Precise, background);
        acts.iter().for_each(|act| world.act(act));
        world.advance();
        let expected = world.model.outputs();
        prop_assert_eq!(&world.outputs(), &expected);
        prop_assert_eq!(&world.told, &expected);
    }

    #[test]
    fn rollback_says_everything_and_what_it_says_again_is_the_same(acts in acts()) {
        let mut world = World::new(Guarantee::Rollback, false);
        acts.iter().for_each(|act| world.act(act));
        world.advance();
        let expected: BTreeMap<Epoch, Counts> = world.model.outputs().into_iter().collect();
        let found: BTreeMap<Epoch, Counts> = world.outputs().into_iter().collect();
        prop_assert_eq!(&found, &expected);
        for (epoch, counts) in world.outputs() {
            prop_assert_eq!(Some(&counts), expected.get(&epoch));
        }
    }

    #[test]
    fn gap_never_says_an_epoch_again(acts in acts()) {
        let mut world = World::new(Guarantee::Gap, false);
        acts.iter().for_each(|act| world.act(act));
        world.advance();
        let found = world.outputs();
        prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0), "{:?}", found);
        if !acts.iter().any(|act| matches!(act, Act::Restart)) {
            prop_assert_eq!(found, world.model.outputs());
        }
    }

    #[test]
    fn gap_goes_on_from_a_checkpoint_as_from_all_commands(acts in acts()) {
        let worlds = [Some(store()), None].map(|checkpoints| {
            let mut world = World::with(checkpoints, Guarantee::Gap, false);
            acts.iter().for_each(|act| world.act(act));
            world.advance();
            world
        });
        let [kept, read] = &worlds;
        prop_assert_eq!(kept.outputs(), read.outputs());
        prop_assert_eq!(&kept.told, &read.told);
    }
}

/// A process whose log was cut, and that then has no checkpoint, says so.
#[test]
fn a_cut_log_without_a_checkpoint_is_an_error() {
    let mut world = World::new(Guarantee::Precise, false);
    world.advance_often();
    assert!(world.log.range(world.process.lanes().input[0]).unwrap().start > 0, "never cut");
    let opened = Process::open(WordCount, world.log.clone(), Some(store()), world.setup.clone());
    let error = opened.err().expect("no state is left").to_string();
    assert!(error.contains("were let go") && error.contains("words, lane 0"), "{error}");
}

/// What commands alone lead to is no state for who must lose nothing.
#[test]
fn a_checkpoint_of_commands_is_none_of_records() {
    let mut world = World::new(Guarantee::Gap, false);
    world.advance_often();
    let setup = Setup { guarantee: Guarantee::Precise, ..world.setup.clone() };
    let opened = Process::open(WordCount, world.log.clone(), world.checkpoints.clone(), setup);
    let error = opened.err().expect("the records are gone").to_string();
    assert!(error.contains("were let go"), "{error}");
}

/// The newest checkpoint of commands is lost, and records are let go up to it: the one before does.
#[test]
fn records_that_were_let_go_do_not_spoil_a_checkpoint_of_commands() {
    let objects = Arc::new(InMemory::new());
    let checkpoints = Checkpoints::in_store(objects.clone());
    let mut world = World::with(Some(checkpoints), Guarantee::Gap, false);
    for _ in 0..20 {
        world.act(&Act::Send(0, vec![0], 1));
        world.act(&Act::Send(LANES, vec![1], 1));
        world.act(&Act::Tick(10));
        world.advance();
    }
    let all: Vec<_> = block_on(objects.list(None).try_collect()).unwrap();
    let manifests = all.into_iter().map(|object| object.location);
    let newest = manifests.filter(|it| it.filename() == Some("manifest")).max().unwrap();
    block_on(objects.delete(&newest)).unwrap();
    world.act(&Act::Restart);
    world.act(&Act::Send(LANES, vec![0, 1], 1));
    world.act(&Act::Tick(10));
    world.advance();
    let (_, counts) = world.outputs().pop().unwrap();
    assert_eq!(counts, [("dunlin".into(), 1), ("knot".into(), 21)]);
}

/// Two processes on one log: the one that is behind is refused, and nothing is said twice.
#[test]
fn the_old_owner_is_refused() {
    let mut world = World::new(Guarantee::Precise, false);
    let mut zombie = open(&world.log, world.checkpoints.as_ref(), &world.setup);
    world.act(&Act::Send(0, vec![0], 1));
    world.act(&Act::Tick(20));
    world.advance();
    let error = zombie.advance(|_| panic!("a zombie speaks")).unwrap_err().to_string();
    assert!(error.contains("another writer"), "{error}");
    assert_eq!(world.outputs(), world.model.outputs());
}

/// What an epoch emitted goes out while the next one runs, and no checkpoint is ahead of it.
#[test]
fn an_epoch_is_said_with_the_next_step_and_before_any_checkpoint() {
    let mut world = World::new(Guarantee::Precise, false);
    let setup = Setup { checkpoint_ms: i64::MAX, ..world.setup.clone() };
    let mut process = open(&world.log, world.checkpoints.as_ref(), &setup);
    for _ in 0..3 {
        world.act(&Act::Send(0, vec![0], 1));
        world.act(&Act::Tick(10));
    }
    let mut told = Vec::new();
    let mut step = |process: &mut Process<WordCount>| {
        let any = process.advance_one(&mut |epoch| told.push(epoch.outputs.to_vec())).unwrap();
        (any, told.len())
    };
    assert_eq!(step(&mut process), (true, 0));
    assert_eq!(process.checkpoint_now().unwrap().written, 0, "ahead of what is said");
    assert_eq!(step(&mut process), (true, 1));
    assert_eq!(step(&mut process), (true, 2));
    assert_eq!(step(&mut process), (true, 3), "the last is said when no other follows");
    assert_eq!(step(&mut process), (false, 3));
    assert_eq!(process.checkpoint_now().unwrap().written, 1);
    let said: Vec<_> = world.outputs().into_iter().map(|(_, counts)| counts).collect();
    assert_eq!(said, told);
}

/// Who cannot say what it ran writes no checkpoint of it, not even when one was due.
#[test]
fn a_process_that_was_refused_writes_no_checkpoint() {
    for checkpoint_ms in [0, i64::MAX] {
        let mut world = World::new(Guarantee::Precise, false);
        let setup = Setup { checkpoint_ms, ..world.setup.clone() };
        let mut zombie = open(&world.log, Some(&store()), &setup);
        world.act(&Act::Send(0, vec![0], 1));
        world.act(&Act::Tick(20));
        world.advance();
        zombie.advance(|_| panic!("a zombie speaks")).unwrap_err();
        assert_eq!(zombie.checkpoint_now().unwrap().written, 0, "due after {checkpoint_ms} ms");
    }
}

#[test]
fn advancing_counts_the_epochs_that_it_ran() {
    let mut world = World::new(Guarantee::Precise, false);
    for epochs in [3, 0, 1] {
        for _ in 0..epochs {
            world.act(&Act::Send(0, vec![0], 1));
            world.act(&Act::Tick(10));
        }
        assert_eq!(world.process.advance(|_| ()).unwrap(), epochs);
    }
}

/// What no start will ask for goes, also without checkpoints: everything, or with `Gap` all but
/// commands, which go only below a checkpoint of them.
#[test]
fn a_log_that_no_start_reads_stays_short() {
    let held = |guarantee: Guarantee, restarts: bool, checkpoints: Option<Checkpoints>| {
        let mut world = World::new(guarantee, false);
        let setup = Setup { restarts, outputs_kept: 3, ..world.setup.clone() };
        let mut process = open(&world.log, checkpoints.as_ref(), &setup);
        for word in 0..200 {
            world.act(&Act::Send(0, vec![word % WORDS.len()], 1));
            world.act(&Act::Tick(10));
            process.advance(|_| ()).unwrap();
        }
        let lanes = process.lanes().clone();
        let held = |lane| {
            let range = world.log.range(lane).unwrap();
            range.end - range.start
        };
        [held(lanes.input[0]), held(lanes.control), held(lanes.output)]
    };
    let is_short = |batches: &u64| *batches < 20;
    assert!(held(Guarantee::Precise, false, None).iter().all(is_short));
    assert!(held(Guarantee::Gap, true, Some(store())).iter().all(is_short));
    let [input, control, output] = held(Guarantee::Gap, true, None);
    assert!(is_short(&input) && is_short(&output) && control >= 200, "{input} {control} {output}");
    assert!(held(Guarantee::Precise, true, None).iter().all(|batches| *batches >= 200));
}
