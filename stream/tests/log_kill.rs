//! A process that appends and is killed, again and again: nothing acknowledged is lost.
//!
//! The test runs itself as the child, which goes on with the log where it ends, says on stdout what
//! was acknowledged, and never stops by itself.
#![cfg(unix)]

mod places;

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use dunlin_stream::log::{
    Append, Batch, GroupWriter, LaneId, LocalLog, LocalOptions, Log, LogError, SyncPolicy,
    WriterOptions,
};
use places::{batch, read_all, tiny};

const FOLDER: &str = "DUNLIN_LOG_KILL_FOLDER";
const TINY: &str = "DUNLIN_LOG_KILL_TINY";
const KILLS: u64 = 40;
/// Batches of a lane that are kept; older ones are let go.
const KEPT: u64 = 100;

fn options(is_tiny: bool) -> LocalOptions {
    if is_tiny { tiny() } else { LocalOptions::default() }
}

/// The payload of a batch says which it is.
fn payload(lane: LaneId, sequence: u64) -> Vec<u8> {
    let mut text = format!("{} {sequence} ", lane.0).into_bytes();
    text.resize(text.len() + (sequence as usize * 31) % 300, b'x');
    text
}

#[test]
fn kills_lose_nothing_acknowledged() {
    if let Some(folder) = env::var_os(FOLDER) {
        appends_until_killed(Path::new(&folder), env::var_os(TINY).is_some());
    }
    for is_tiny in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut acknowledged = [0; 3];
        for kill in 0..KILLS / 2 {
            // The first moments are the most delicate ones; and some kills come late.
            let lines = if kill % 3 == 0 { kill / 3 } else { 50 * kill + 17 };
            let mut child = start(folder.path(), is_tiny);
            let heard = listen(&mut child, lines, kill);
            for (lane, next) in heard {
                acknowledged[lane] = next;
            }
            check(folder.path(), is_tiny, &acknowledged);
        }
        assert!(acknowledged.iter().all(|next| *next > 1_000), "{acknowledged:?}");
    }
}

fn start(folder: &Path, is_tiny: bool) -> Child {
    let mut child = Command::new(env::current_exe().expect("a test has a path"));
    child.args(["--exact", "kills_lose_nothing_acknowledged", "--nocapture"]);
    child.env(FOLDER, folder).stdout(Stdio::piped());
    if is_tiny {
        child.env(TINY, "1");
    }
    child.spawn().expect("a child")
}

/// Kills a child after some lines, and returns all that it said: lanes and their next numbers.
fn listen(child: &mut Child, lines: u64, kill: u64) -> Vec<(usize, u64)> {
    let stdout = child.stdout.take().expect("stdout is piped");
    let mut heard = Vec::new();
    let mut is_alive = true;
    if kill % 5 == 1 {
        child.kill().expect("a living child"); // before it said anything
        is_alive = false;
    }
    for line in BufReader::new(stdout).lines() {
        let line = line.expect("a line");
        let Some(rest) = line.strip_prefix("ack ") else { continue };
        let Some((lane, next)) = rest.strip_suffix('.').and_then(|pair| pair.split_once(' '))
        else {
            continue; // the line that the kill cut
        };
        heard.push((lane.parse().expect("a lane"), next.parse().expect("a number")));
        if heard.len() as u64 >= lines && is_alive {
            child.kill().expect("a living child");
            is_alive = false;
        }
    }
    let status = child.wait().expect("a child");
    assert!(!status.success() && !is_alive, "the child ended by itself: {status}");
    heard
}

/// Everything acknowledged is there, without gaps, as it was written.
fn check(folder: &Path, is_tiny: bool, acknowledged: &[u64; 3]) {
    let log = LocalLog::open(folder, &options(is_tiny)).expect("a killed log opens");
    let mut nexts = [0; 3];
    for (index, next) in nexts.iter_mut().enumerate() {
        let lane = log.lane(&index.to_string()).expect("a lane");
        let range = log.range(lane).expect("a range");
        assert!(range.end >= acknowledged[index], "{range:?}, acknowledged {acknowledged:?}");
        assert!(range.start <= range.end.saturating_sub(KEPT), "{range:?}: too much was let go");
        let entries = read_all(&log, lane, 4_000).expect("the lane can be read");
        assert_eq!(entries.len() as u64, range.end - range.start);
        for (entry, sequence) in entries.iter().zip(range.start..) {
            assert_eq!(entry.sequence, sequence);
            assert_eq!(entry.payload, payload(lane, sequence));
        }
        *next = range.end;
    }
    assert_eq!(nexts[0], nexts[1], "these two are appended together");
}

/// The child: two lanes by groups, one by a writer of its own thread.
fn appends_until_killed(folder: &Path, is_tiny: bool) -> ! {
    let log = Arc::new(LocalLog::open(folder, &options(is_tiny)).expect("a killed log opens"));
    let lanes = ["0", "1", "2"].map(|name| log.lane(name).expect("a lane"));
    let policy = WriterOptions::new(SyncPolicy::Os);
    let writer = GroupWriter::start(log.clone(), &policy).expect("a thread");
    loop {
        append_round(&log, &writer, lanes).expect("the log works");
    }
}

fn append_round(log: &LocalLog, writer: &GroupWriter, lanes: [LaneId; 3]) -> Result<(), LogError> {
    let next = log.range(lanes[0])?.end;
    let payloads = [0, 1].map(|i| payload(lanes[i], next));
    let group = [0, 1].map(|i| Append { expected: Some(next), ..batch(lanes[i], 0, &payloads[i]) });
    let alone = log.range(lanes[2])?.end;
    let pending = writer.submit(vec![Batch::from(&batch(lanes[2], 0, &payload(lanes[2], alone)))]);
    log.append(&group)?;
    say(&format!("ack 0 {}.\nack 1 {}.\n", next + 1, next + 1));
    assert_eq!(pending.wait()?, [alone]);
    say(&format!("ack 2 {}.\n", alone + 1));
    if next % 50 == 49 {
        for lane in lanes {
            log.truncate(lane, log.range(lane)?.end.saturating_sub(KEPT))?;
        }
    }
    Ok(())
}

fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).expect("the parent listens");
}
