//! Every operation of a small run fails once, and the power fails after every step: what a precise
//! process says is what the lanes of its log say, each epoch once.
//!
//! The one who sends does as senders do: what was not acknowledged is sent again under the same
//! number. The one who runs the process starts it again when it ends with an error.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dunlin_stream::checkpoint::Checkpoints;
use dunlin_stream::lane::Envelope;
use dunlin_stream::log::{Append, Entry, FaultyLog, LaneId, Log, LogError, MemoryLog, Operation};
use dunlin_stream::process::Lanes;
use dunlin_stream::{
    CompactString, Epoch, Guarantee, Process, Setup, ShardTable, Source, Strings, Timestamp,
    outputs, wire,
};
use futures::executor::block_on;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
};

#[path = "../examples/word_count.rs"]
#[allow(dead_code, reason = "an example has a main function")]
mod word_count;
use word_count::WordCount;

const EPOCH_MS: i64 = 10;
const STEPS: i64 = 24;

type Counts = Vec<(CompactString, u64)>;
type Said = Vec<(Epoch, Counts)>;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_unchecked(millis)
}

/// A log that remembers what was let go, and whose n-th append may be done but not acknowledged.
struct Mirror {
    log: Box<dyn Log>,
    all: Mutex<BTreeMap<LaneId, Vec<Entry>>>,
    silent: AtomicU64,
}

impl Mirror {
    fn new(log: Box<dyn Log>, all: BTreeMap<LaneId, Vec<Entry>>) -> Self {
        Self { log, all: Mutex::new(all), silent: AtomicU64::new(0) }
    }
}

impl Log for Mirror {
    fn lane(&self, name: &str) -> Result<LaneId, LogError> {
        self.log.lane(name)
    }

    fn append(&self, batches: &[Append<'_>]) -> Result<Vec<u64>, LogError> {
        let numbers = self.log.append(batches)?;
        let mut all = self.all.lock().unwrap();
        for (batch, &sequence) in batches.iter().zip(&numbers) {
            let payload = batch.payload.to_vec().into();
            all.entry(batch.lane).or_default().push(Entry {
                sequence,
                stamp: batch.stamp,
                payload,
            });
        }
        if self.silent.fetch_sub(1, Ordering::Relaxed) == 1 {
            return Err(LogError::Io(std::io::Error::other("the answer was lost")));
        }
        Ok(numbers)
    }

    fn read(&self, lane: LaneId, from: u64, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        self.log.read(lane, from, bytes_max)
    }

    fn range(&self, lane: LaneId) -> Result<Range<u64>, LogError> {
        self.log.range(lane)
    }

    fn truncate(&self, lane: LaneId, below: u64) -> Result<(), LogError> {
        self.log.truncate(lane, below)
    }

    fn sync(&self) -> Result<(), LogError> {
        self.log.sync()
    }
}

/// What the lanes of the input say, by the words of the contract alone.
fn expected(all: &BTreeMap<LaneId, Vec<Entry>>, lanes: &Lanes) -> Said {
    let mut words = BTreeMap::<i64, Vec<String>>::new();
    let mut open = i64::MAX;
    for lane in lanes.read() {
        let (mut epoch, mut last) = (i64::MIN, None);
        for entry in all.get(&lane).into_iter().flatten() {
            epoch = epoch.max(entry.stamp.as_millis().div_euclid(EPOCH_MS));
            if entry.payload.is_empty() {
                continue;
            }
            let envelope: Envelope<Strings> = wire::decode(&entry.payload).unwrap();
            if last < Some(envelope.sequence) {
                last = Some(envelope.sequence);
                words.entry(epoch).or_default().extend(envelope.batch.iter().map(str::to_owned));
            }
        }
        open = open.min(epoch);
    }
    let mut counts = BTreeMap::<String, u64>::new();
    let mut said = Vec::new();
    for (epoch, words) in words.range(..open.max(i64::MIN + 1)) {
        words.iter().for_each(|word| *counts.entry(word.clone()).or_default() += 1);
        let touched = counts.iter().filter(|(word, _)| words.contains(word));
        said.push((Epoch(*epoch), touched.map(|(w, &n)| (w.as_str().into(), n)).collect()));
    }
    said
}

/// A run of the script, with everything that it needs to go on after a failure.
struct Run {
    log: Arc<Mirror>,
    checkpoints: Checkpoints,
    process: Option<Process<WordCount>>,
    lanes: Lanes,
    sequence: u64,
    told: Said,
    failures: u32,
    /// Whether everything is synced before it counts as done.
    sync: bool,
}

fn setup(sync: bool) -> Setup {
    Setup {
        epoch_ms: EPOCH_MS,
        shards: ShardTable::even(2),
        checkpoint_ms: 30,
        background: false,
        sync,
        outputs_kept: 1_000,
        ..Setup::new("words", 2, Guarantee::Precise)
    }
}

impl Run {
    fn new(log: Arc<Mirror>, checkpoints: Checkpoints) -> Self {
        let lanes = Lanes::open(&*log, "words", 2).unwrap();
        let (process, sequence, told) = (None, 0, Vec::new());
        Self { log, checkpoints, process, lanes, sequence, told, failures: 0, sync: true }
    }

    /// Tries until it succeeds, as those do who must.
    fn insist<T>(&mut self, what: impl Fn(&Self) -> Result<T, LogError>) -> T {
        loop {
            match what(self) {
                Ok(done) => return done,
                Err(_) => self.failures += 1,
            }
            assert!(self.failures < 10, "one fault fails it for ever");
        }
    }

    fn step(&mut self, step: i64) {
        let stamp = at(step * 7);
        let words: Strings = ["a", "b", "c"].into_iter().take(1 + step as usize % 3).collect();
        let sequence = self.sequence;
        self.insist(|run| {
            let mut source = Source::new(run.log.clone(), run.lanes.clone(), 1, sequence);
            source.send(step as usize % 2, stamp, &words)?;
            if run.sync { run.log.sync() } else { Ok(()) }
        });
        self.sequence += 1;
        self.insist(|run| Source::new(run.log.clone(), run.lanes.clone(), 1, 0).tick(stamp));
        self.advance();
    }

    fn advance(&mut self) {
        loop {
            assert!(self.failures < 10, "one fault fails it for ever");
            let log: Arc<dyn Log> = self.log.clone();
            let process = match self.process.take() {
                Some(process) => process,
                None => {
                    match Process::open(
                        WordCount,
                        log,
                        Some(self.checkpoints.clone()),
                        setup(self.sync),
                    ) {
                        Ok((process, _)) => process,
                        Err(_) => {
                            self.failures += 1;
                            continue;
                        }
                    }
                }
            };
            let process = self.process.insert(process);
            let told = &mut self.told;
            let advanced = process.advance(|epoch| {
                if !epoch.outputs.is_empty() {
                    told.push((epoch.epoch, epoch.outputs.to_vec()));
                }
            });
            if advanced.is_ok() {
                return;
            }
            self.process = None;
            self.failures += 1;
        }
    }

    /// The rest of the script; then what was said is compared with what the lanes say.
    fn finish(mut self, from: i64) -> Self {
        (from..STEPS).for_each(|step| self.step(step));
        self.insist(|run| Source::new(run.log.clone(), run.lanes.clone(), 1, 0).tick(at(10_000)));
        self.advance();
        let expected = expected(&self.log.all.lock().unwrap(), &self.lanes);
        // Every batch has the word "a" once.
        let of_a =
            |(_, counts): &(Epoch, Counts)| counts.iter().find(|it| &*it.0 == "a").map(|it| it.1);
        let last = expected.iter().rev().find_map(of_a).unwrap();
        assert!(last == STEPS as u64 || !self.sync, "a batch was lost, or took effect twice");
        let read = || outputs::read(&*self.log, self.lanes.output, 0, usize::MAX);
        let all = read().or_else(|_| read()).unwrap();
        let said: Said = all.into_iter().map(|it| (it.epoch, it.outputs)).collect();
        assert_eq!(said, expected);
        // An epoch whose commit was not acknowledged is out, but was not told.
        assert!(self.told.iter().all(|it| expected.contains(it)) || !self.sync);
        assert!(self.told.is_sorted_by(|a, b| a.0 < b.0), "told twice");
        self
    }
}

fn in_memory() -> Checkpoints {
    Checkpoints::in_store(Arc::new(InMemory::new()))
}

#[test]
fn any_operation_of_the_log_may_fail_once() {
    for operation in [Operation::Append, Operation::Read, Operation::Sync, Operation::Truncate] {
        let mut runs = 0;
        for nth in 1.. {
            let log = FaultyLog::new(MemoryLog::default());
            log.fail(operation, nth);
            let mirror = Mirror::new(Box::new(log), BTreeMap::new());
            let run = Run::new(Arc::new(mirror), in_memory()).finish(0);
            runs = nth;
            let kept = run.process.unwrap().kept().map_or(0, |kept| kept.failed);
            if run.failures == 0 && kept == 0 {
                break;
            }
        }
        assert!(runs > 5, "{operation:?} was never reached more than {runs} times");
    }
}

#[test]
fn an_append_may_be_done_and_not_acknowledged() {
    for nth in 1.. {
        let mirror = Mirror::new(Box::new(MemoryLog::default()), BTreeMap::new());
        mirror.silent.store(nth, Ordering::Relaxed);
        let run = Run::new(Arc::new(mirror), in_memory()).finish(0);
        if run.failures == 0 {
            assert!(nth > 50, "only {nth} appends");
            return;
        }
    }
}

#[test]
fn the_power_may_fail_after_any_step_and_nothing_synced_is_lost() {
    the_power_fails(true);
}

/// What was not synced may be lost, but what is left fits together: a checkpoint never knows more
/// than the log.
#[test]
fn the_power_may_fail_where_nothing_is_synced_but_checkpoints() {
    the_power_fails(false);
}

fn the_power_fails(sync: bool) {
    for step in 0..STEPS {
        for keep in 0..4 {
            let log = Arc::new(FaultyLog::new(MemoryLog::default()));
            let mirror = Mirror::new(Box::new(Shared(log.clone())), BTreeMap::new());
            let mut run = Run::new(Arc::new(mirror), in_memory());
            run.sync = sync;
            (0..=step).for_each(|step| run.step(step));
            let survivor = log.power_cut(keep, MemoryLog::default()).unwrap();
            let mut all = run.log.all.lock().unwrap().clone();
            for (&lane, entries) in &mut all {
                entries.truncate(survivor.range(lane).unwrap().end as usize);
            }
            let mirror = Mirror::new(Box::new(survivor), all);
            let told = if sync { run.told } else { Vec::new() };
            let sequence = run.sequence;
            let mut again = Run::new(Arc::new(mirror), run.checkpoints);
            (again.sequence, again.told, again.sync) = (sequence, told, sync);
            again.finish(step + 1);
        }
    }
}

/// One log for the run and for the one who cuts the power.
struct Shared(Arc<FaultyLog<MemoryLog>>);

impl Log for Shared {
    fn lane(&self, name: &str) -> Result<LaneId, LogError> {
        self.0.lane(name)
    }

    fn append(&self, batches: &[Append<'_>]) -> Result<Vec<u64>, LogError> {
        self.0.append(batches)
    }

    fn read(&self, lane: LaneId, from: u64, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        self.0.read(lane, from, bytes_max)
    }

    fn range(&self, lane: LaneId) -> Result<Range<u64>, LogError> {
        self.0.range(lane)
    }

    fn truncate(&self, lane: LaneId, below: u64) -> Result<(), LogError> {
        self.0.truncate(lane, below)
    }

    fn sync(&self) -> Result<(), LogError> {
        self.0.sync()
    }
}

/// A store whose n-th operation fails, and if it was a put leaves half of the object.
#[derive(Debug)]
struct FaultyStore {
    store: InMemory,
    until: AtomicU64,
    torn: bool,
}

impl FaultyStore {
    fn fails(&self) -> bool {
        self.until.fetch_sub(1, Ordering::Relaxed) == 1
    }

    fn check(&self) -> StoreResult<()> {
        let source = "the disk is full".into();
        if self.fails() {
            Err(object_store::Error::Generic { store: "faulty", source })
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a faulty store")
    }
}

#[async_trait::async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        if let Err(error) = self.check() {
            if self.torn {
                let bytes: Vec<u8> = payload.iter().flatten().copied().collect();
                let half = PutPayload::from(bytes[..bytes.len() / 2].to_vec());
                self.store.put(location, half).await?;
            }
            return Err(error);
        }
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.check()?;
        self.store.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        match self.check() {
            Ok(()) => self.store.delete_stream(locations),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        match self.check() {
            Ok(()) => self.store.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[test]
fn any_operation_of_the_checkpoint_store_may_fail_once() {
    for torn in [false, true] {
        for nth in 1.. {
            let store = FaultyStore { store: InMemory::new(), until: AtomicU64::new(nth), torn };
            let store = Arc::new(store);
            let mirror = Mirror::new(Box::new(MemoryLog::default()), BTreeMap::new());
            let mut run = Run::new(Arc::new(mirror), Checkpoints::in_store(store.clone()));
            for step in 0..STEPS {
                // Every few steps the process is killed, so that checkpoints are read, too.
                if step % 5 == 4 {
                    run.process = None;
                }
                run.step(step);
            }
            run.finish(STEPS);
            if (1..u64::MAX / 2).contains(&store.until.load(Ordering::Relaxed)) {
                assert!(nth > 50, "only {nth} operations");
                break;
            }
        }
    }
}

/// The newest checkpoint turns out damaged whenever the process starts.
#[test]
fn a_damaged_checkpoint_only_makes_the_restart_longer() {
    let store = Arc::new(InMemory::new());
    let mirror = Mirror::new(Box::new(MemoryLog::default()), BTreeMap::new());
    let mut run = Run::new(Arc::new(mirror), Checkpoints::in_store(store.clone()));
    let mut spoiled = 0;
    for step in 0..STEPS {
        run.step(step);
        let epochs = run.checkpoints.epochs().unwrap();
        if step % 4 == 3 && epochs.len() > 1 {
            run.process = None;
            let whole = run.checkpoints.read(epochs[0]).unwrap();
            spoil(&store);
            run.advance();
            spoiled += 1;
            // The next one is to have a whole one before it again.
            run.checkpoints.write(whole.clone()).unwrap();
        }
    }
    assert!(spoiled >= 4, "{spoiled}");
    run.finish(STEPS);
}

/// Damages an object of the newest checkpoint.
fn spoil(store: &Arc<InMemory>) {
    let objects: Vec<ObjectMeta> = block_on(store.list(None).try_collect()).unwrap();
    let newest = objects.iter().map(|object| &object.location).max().unwrap();
    block_on(store.put(newest, PutPayload::from_static(b"rubbish"))).unwrap();
}
