//! A real process, killed at random moments under load, again and again.
//!
//! The child is this test binary itself, called with `DUNLIN_KILL_FOLDER`. It counts words from its
//! standard input, a batch a line, acknowledges each batch when the log has it and prints what it
//! commits. The parent kills it without warning, starts it again, and sends again what was not
//! acknowledged, as senders do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dunlin::live::{Live, LiveOptions};
use dunlin_stream::checkpoint::Checkpoints;
use dunlin_stream::log::{Append, Entry, LaneId, LocalLog, Log, LogError, MemoryLog};
use dunlin_stream::process::Lanes;
use dunlin_stream::{
    CompactString, Epoch, Guarantee, Process, Setup, ShardTable, Strings, outputs,
};

#[path = "../stream/examples/word_count.rs"]
#[allow(dead_code, reason = "an example has a main function")]
mod word_count;
use word_count::WordCount;

const FOLDER: &str = "DUNLIN_KILL_FOLDER";
const LEVEL: &str = "DUNLIN_KILL_LEVEL";
/// Batches that are not acknowledged, at most.
const WINDOW: usize = 64;
const WORDS_PER_BATCH: usize = 50;

type Counts = Vec<(CompactString, u64)>;

/// A log that keeps what it should let go, so that one thread can run over all of it later.
struct Hoarder(LocalLog);

impl Log for Hoarder {
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

    fn truncate(&self, _: LaneId, _: u64) -> Result<(), LogError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        self.0.sync()
    }
}

fn guarantee(level: &str) -> Guarantee {
    match level {
        "gap" => Guarantee::Gap,
        "rollback" => Guarantee::Rollback,
        _ => Guarantee::Precise,
    }
}

/// The process that is killed; as a test of its own it does nothing.
#[test]
fn child() -> Result<()> {
    let Some(folder) = std::env::var_os(FOLDER) else { return Ok(()) };
    let level = std::env::var(LEVEL)?;
    let folder = Path::new(&folder);
    let mut options = LiveOptions::new("words");
    options.epoch_ms = 5;
    options.checkpoint_every = Duration::from_millis(60);
    options.shards = ShardTable::even(2);
    options.guarantee = guarantee(&level);
    let local = LocalLog::open(folder.join("log"), &options.log)?;
    let log: Arc<dyn Log> = if level == "cut" { Arc::new(local) } else { Arc::new(Hoarder(local)) };
    let checkpoints = Checkpoints::in_folder(folder.join("checkpoints"))?;
    let tell = |epoch: &dunlin_stream::process::Committed<'_, (CompactString, u64)>| {
        if !epoch.outputs.is_empty() {
            println!("out {} {:?}", epoch.epoch.0, epoch.outputs);
        }
    };
    let (live, _) = Live::start_on(WordCount, log, Some(checkpoints), &options, tell)?;
    println!("ready");
    let (pendings, acknowledged) = channel();
    let acknowledge = std::thread::spawn(move || {
        for (sequence, pending) in acknowledged {
            let pending: dunlin_stream::log::Pending = pending;
            pending.wait().expect("the log takes it");
            println!("ack {sequence}");
        }
    });
    for line in std::io::stdin().lines() {
        let line = line?;
        let (sequence, words) = line.split_once(' ').context("a number and words")?;
        let sequence: u64 = sequence.parse()?;
        let words: Strings = words.split(' ').collect();
        let pending = live.producer(7, sequence).send(sequence as usize % 2, &words)?;
        pendings.send((sequence, pending)).ok().context("the other thread waits")?;
    }
    drop(pendings);
    acknowledge.join().expect("it does not panic");
    live.stop()?;
    Ok(())
}

/// The words of a batch: always the same for the same number.
fn words(sequence: u64) -> impl Iterator<Item = String> {
    let mut state = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..WORDS_PER_BATCH).map(move |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("w{}", (state >> 33) % 500)
    })
}

struct Started {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

fn start(folder: &Path, level: &str) -> Result<Started> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(LEVEL, level)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take().context("a pipe")?;
    let stdout = BufReader::new(child.stdout.take().context("a pipe")?);
    let (told, lines) = channel();
    std::thread::spawn(move || {
        // A line that the kill cut short has no end; it was not said.
        let mut stdout = stdout;
        let mut line = String::new();
        while stdout.read_line(&mut line).is_ok_and(|bytes| bytes > 0) && line.ends_with('\n') {
            if told.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    Ok(Started { child, stdin, lines })
}

/// What the parent knows.
#[derive(Default)]
struct Sender {
    next: u64,
    /// Sent and not acknowledged.
    open: VecDeque<u64>,
    told: Vec<String>,
    starts: u32,
}

impl Sender {
    fn hear(&mut self, line: &str) -> Result<()> {
        if let Some(sequence) = line.trim_end().strip_prefix("ack ") {
            let sequence: u64 = sequence.parse()?;
            self.open.retain(|&open| open != sequence);
        } else if let Some(epoch) = line.strip_prefix("out ") {
            self.told.push(epoch.trim_end().to_owned());
        } else if line.trim_end().ends_with("ready") {
            // The test harness has begun the line.
            self.starts += 1;
        }
        Ok(())
    }

    fn await_ready(&mut self, started: &Started, patience: Duration) -> Result<()> {
        let starts = self.starts;
        while self.starts == starts {
            let Ok(line) = started.lines.recv_timeout(patience) else { break };
            self.hear(&line)?;
        }
        Ok(())
    }

    /// Runs the child for so long, or until `total` batches are acknowledged.
    #[expect(clippy::disallowed_methods, reason = "when to kill is a matter of the clock")]
    fn run(&mut self, started: &mut Started, lasts: Duration, total: u64) -> Result<()> {
        let begin = Instant::now();
        for &sequence in &self.open {
            send(&mut started.stdin, sequence)?;
        }
        while begin.elapsed() < lasts && (self.next < total || !self.open.is_empty()) {
            while self.open.len() < WINDOW && self.next < total {
                send(&mut started.stdin, self.next)?;
                self.open.push_back(self.next);
                self.next += 1;
            }
            match started.lines.recv_timeout(Duration::from_millis(1)) {
                Ok(line) => self.hear(&line)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }
}

fn send(stdin: &mut ChildStdin, sequence: u64) -> Result<()> {
    let words: Vec<String> = words(sequence).collect();
    // A child that is gone takes nothing; it is started again, and the batch sent again.
    drop(writeln!(stdin, "{sequence} {}", words.join(" ")));
    Ok(())
}

/// Kills a child so often, then lets it finish; returns the sender and the output lane.
fn kill_often(folder: &Path, level: &str, kills: u32) -> Result<(Sender, Vec<(Epoch, Counts)>)> {
    let mut sender = Sender::default();
    let mut state = 12_345u64;
    for _ in 0..kills {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut started = start(folder, level)?;
        // Most are killed when they are at work, some while they start.
        let patience = if state >> 61 == 0 { Duration::ZERO } else { Duration::from_secs(20) };
        sender.await_ready(&started, patience)?;
        let lasts = Duration::from_millis(5 + (state >> 40) % 150);
        sender.run(&mut started, lasts, u64::MAX)?;
        started.child.kill()?;
        started.child.wait()?;
        while let Ok(line) = started.lines.recv_timeout(Duration::from_millis(100)) {
            sender.hear(&line)?;
        }
    }
    let total = sender.next;
    let mut started = start(folder, level)?;
    sender.run(&mut started, Duration::from_secs(60), total)?;
    drop(started.stdin);
    ensure!(started.child.wait()?.success(), "the last child failed");
    for line in started.lines {
        sender.hear(&line)?;
    }
    ensure!(sender.open.is_empty(), "{} batches were never acknowledged", sender.open.len());
    let log = LocalLog::open(folder.join("log"), &LiveOptions::new("words").log)?;
    let lanes = Lanes::open(&log, "words", 2)?;
    let said = outputs::read(&log, lanes.output, 0, usize::MAX)?;
    Ok((sender, said.into_iter().map(|it| (it.epoch, it.outputs)).collect()))
}

fn as_told((epoch, counts): &(Epoch, Counts)) -> String {
    format!("{} {counts:?}", epoch.0)
}

/// How often each word was sent.
fn totals(batches: u64) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    (0..batches).flat_map(words).for_each(|word| *totals.entry(word).or_default() += 1);
    totals
}

fn check_precise(sender: &Sender, said: &[(Epoch, Counts)], kills: u32) -> Result<()> {
    ensure!(sender.starts >= kills / 2, "only {} of {kills} starts got ready", sender.starts);
    ensure!(sender.next > u64::from(kills) * 10, "no load: {} batches", sender.next);
    ensure!(said.is_sorted_by(|a, b| a.0 < b.0), "an epoch was said twice");
    let mut counts = BTreeMap::<String, u64>::new();
    for (epoch, changed) in said {
        for (word, count) in changed {
            let before = counts.insert(word.to_string(), *count);
            ensure!(before.unwrap_or(0) < *count, "{word} in epoch {}", epoch.0);
        }
    }
    ensure!(counts == totals(sender.next), "a batch was lost or counted twice");
    let lane: BTreeSet<String> = said.iter().map(as_told).collect();
    let lost = sender.told.iter().find(|told| !lane.contains(*told));
    ensure!(lost.is_none(), "told and then lost: {lost:?}");
    let once: BTreeSet<&String> = sender.told.iter().collect();
    ensure!(once.len() == sender.told.len(), "told twice");
    Ok(())
}

#[test]
fn precise_loses_and_repeats_nothing_and_equals_one_thread_over_the_same_log() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (sender, said) = kill_often(folder.path(), "precise", 140)?;
    check_precise(&sender, &said, 140)?;

    let log = LocalLog::open(folder.path().join("log"), &LiveOptions::new("words").log)?;
    let copy: Arc<dyn Log> = Arc::new(MemoryLog::default());
    let (from, to) = (Lanes::open(&log, "words", 2)?, Lanes::open(&*copy, "words", 2)?);
    for (from, to) in from.read().into_iter().zip(to.read()) {
        for entry in log.read(from, 0, usize::MAX)? {
            let (stamp, payload) = (entry.stamp, &entry.payload[..]);
            copy.append(&[Append { lane: to, expected: None, stamp, payload }])?;
        }
    }
    let setup = Setup { epoch_ms: 5, ..Setup::new("words", 2, Guarantee::Precise) };
    let (mut process, _) = Process::open(WordCount, copy, None, setup)?;
    let mut expected = Vec::new();
    process.advance(|epoch| {
        if !epoch.outputs.is_empty() {
            expected.push((epoch.epoch, epoch.outputs.to_vec()));
        }
    })?;
    ensure!(said == expected, "not what one thread says");
    Ok(())
}

#[test]
fn precise_goes_on_where_the_log_is_cut() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (sender, said) = kill_often(folder.path(), "cut", 70)?;
    check_precise(&sender, &said, 70)?;
    let log = LocalLog::open(folder.path().join("log"), &LiveOptions::new("words").log)?;
    let lanes = Lanes::open(&log, "words", 2)?;
    ensure!(log.range(lanes.input[0])?.start > 0, "the log was never cut");
    Ok(())
}

#[test]
fn rollback_may_repeat_and_never_loses() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (sender, said) = kill_often(folder.path(), "rollback", 15)?;
    let mut counts = BTreeMap::<String, u64>::new();
    let mut by_epoch = BTreeMap::new();
    for (epoch, changed) in &said {
        let first = by_epoch.entry(*epoch).or_insert(changed);
        ensure!(*first == changed, "epoch {} was said in two ways", epoch.0);
        for (word, count) in changed {
            let most = counts.entry(word.to_string()).or_default();
            *most = (*most).max(*count);
        }
    }
    ensure!(counts == totals(sender.next), "a batch was lost or counted twice");
    let lane: BTreeSet<String> = said.iter().map(as_told).collect();
    ensure!(sender.told.iter().all(|told| lane.contains(told)), "told and then lost");
    Ok(())
}

#[test]
fn gap_never_repeats() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (sender, said) = kill_often(folder.path(), "gap", 15)?;
    ensure!(said.len() > 15, "{} epochs", said.len());
    ensure!(said.is_sorted_by(|a, b| a.0 < b.0), "an epoch was said twice");
    let once: BTreeSet<&String> = sender.told.iter().collect();
    ensure!(once.len() == sender.told.len(), "told twice");
    let totals = totals(sender.next);
    for (word, count) in said.iter().flat_map(|(_, counts)| counts) {
        ensure!(totals.get(&**word).is_some_and(|total| count <= total), "{word}: {count}");
    }
    Ok(())
}
