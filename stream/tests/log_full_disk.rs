//! A disk that is full in the middle of a write: the append fails, what was acknowledged stays, and
//! with space again the log goes on.
//!
//! The full disk is a limit on the size of files: the test runs itself as a child under `ulimit`.
#![cfg(unix)]

mod places;

use std::env;
use std::path::Path;
use std::process::Command;

use dunlin_stream::log::{LaneId, LocalLog, LocalOptions, Log, LogError};
use places::{append_each, batch, read_all};

const FOLDER: &str = "DUNLIN_LOG_FULL_FOLDER";
/// In blocks of 512 bytes: more than the journal takes at once, less than it grows to.
const BLOCKS: u32 = 140_000;
const LANE: LaneId = LaneId(0);

/// Tables that are never written out, so that the journal grows.
fn options() -> LocalOptions {
    let mut options = LocalOptions::default();
    options.memtable_bytes = 1 << 30;
    options
}

fn payload(sequence: u64) -> Vec<u8> {
    vec![sequence as u8; 300_000]
}

#[test]
fn a_full_disk_fails_the_append_and_loses_nothing() {
    if let Some(folder) = env::var_os(FOLDER) {
        return appends_until_full(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let this = env::current_exe().expect("a test has a path");
    let limited = format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$0\" \"$@\"");
    let mut child = Command::new("sh");
    child.arg("-c").arg(limited).arg(this).env(FOLDER, folder.path());
    child.args(["--exact", "a_full_disk_fails_the_append_and_loses_nothing", "--nocapture"]);
    let output = child.output().expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let acknowledged = text.lines().find_map(|line| line.strip_prefix("acknowledged "));
    let acknowledged: u64 = acknowledged.and_then(|count| count.parse().ok()).expect("a count");
    assert!(acknowledged > 200, "{acknowledged}");

    let log = LocalLog::open(folder.path(), &options()).expect("there is space again");
    let next = log.range(LANE).expect("a range").end;
    // Whether the append that failed is there is not known; nothing else may be.
    assert!((acknowledged..=acknowledged + 1).contains(&next), "{next}, not {acknowledged}");
    for (entry, sequence) in read_all(&log, LANE, 1 << 20).expect("the lane").iter().zip(0..) {
        assert!(entry.payload == payload(sequence), "batch {sequence} is another");
    }
    assert_eq!(append_each(&log, LANE, &[b"goes on"]), [next]);
}

fn appends_until_full(folder: &Path) {
    let log = LocalLog::open(folder, &options()).expect("a log");
    assert_eq!(log.lane("a").expect("a lane"), LANE);
    let append = |sequence| log.append(&[batch(LANE, 0, &payload(sequence))]);
    let mut acknowledged = 0;
    let error = loop {
        match append(acknowledged) {
            Ok(numbers) => assert_eq!(numbers, [acknowledged]),
            Err(error) => break error,
        }
        acknowledged += 1;
    };
    assert!(matches!(error, LogError::Io(_)), "{error}");
    let error = append(acknowledged).expect_err("the log takes no more");
    assert!(error.to_string().contains("opened again"), "{error}");
    // What was acknowledged can be read all the same.
    assert_eq!(log.range(LANE).expect("a range"), 0..acknowledged);
    let last = log.read(LANE, acknowledged - 1, 0).expect("the last batch");
    assert!(last[0].payload == payload(acknowledged - 1));
    println!("\nacknowledged {acknowledged}");
}
