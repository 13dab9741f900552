//! Damaged files: a log that opens holds a beginning of what was appended, over all lanes together,
//! or reading says what is wrong; never wrong bytes, never a panic.
#![cfg(unix)]

mod places;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dunlin_stream::log::{Append, Batch, LaneId, LocalLog, LocalOptions, Log, LogError};
use places::{append_each, read_all, tiny};
use tempfile::TempDir;

const LANES: [&str; 3] = ["a", "b", "c"];

/// What was appended, call by call.
type History = Vec<Vec<Batch>>;

/// Appends some groups over all lanes; payloads differ in length and content.
fn fill(log: &LocalLog, calls: Range<usize>) -> History {
    let mut history = History::new();
    for call in calls {
        // Lanes come into being on the way.
        let lanes: Vec<LaneId> = LANES[..3.min(call / 8 + 1)]
            .iter()
            .map(|name| log.lane(name).expect("a lane"))
            .collect();
        let batch_of = |i: usize| {
            let number = call * 7 + i;
            let payload = vec![number as u8; (number * 37) % 150];
            let lane = lanes[number % lanes.len()];
            let stamp = dunlin_stream::Timestamp::from_millis_unchecked(number as i64);
            Batch { lane, expected: None, stamp, payload }
        };
        let group: Vec<Batch> = (0..call % 4 + 1).map(batch_of).collect();
        let appends: Vec<Append<'_>> = group.iter().map(Batch::as_append).collect();
        log.append(&appends).expect("the log appends");
        history.push(group);
    }
    history
}

/// A closed log of some calls, with journals cut to what they hold.
fn closed(options: &LocalOptions, calls: usize) -> (TempDir, History) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = LocalLog::open(folder.path(), options).expect("a log");
    let history = fill(&log, 0..calls);
    drop(log);
    // Journals are made longer than they are; opening them cuts them.
    drop(LocalLog::open(folder.path(), options).expect("a log"));
    (folder, history)
}

/// As [`closed`], with so many calls that the database has written some of them out as a table, which
/// it does when it likes.
fn closed_with_tables(options: &LocalOptions) -> (TempDir, History) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = LocalLog::open(folder.path(), options).expect("a log");
    let mut history = fill(&log, 0..60);
    while tables(folder.path()) == 0 {
        assert!(history.len() < 20_000, "no table was written, so this shows nothing");
        history.extend(fill(&log, history.len()..history.len() + 20));
    }
    drop(log);
    drop(LocalLog::open(folder.path(), options).expect("a log"));
    (folder, history)
}

/// How many tables of records there are.
fn tables(folder: &Path) -> usize {
    let is_table =
        |path: &PathBuf| path.parent().is_some_and(|parent| parent.ends_with("keyspaces/1/tables"));
    files(folder).iter().filter(|path| is_table(path)).count()
}

/// All files under a folder, by path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Copies a folder; what is never written in place is linked.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.parent().is_some_and(|parent| parent.ends_with("tables")) {
            fs::hard_link(&path, &target).expect("a link");
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

/// A copy of a folder in which one file was changed.
fn changed(folder: &Path, file: &Path, change: impl FnOnce(&mut File)) -> TempDir {
    let twin = tempfile::tempdir_in(folder.parent().expect("a parent")).expect("a folder");
    copy(folder, twin.path());
    let path = twin.path().join(file.strip_prefix(folder).expect("a file of the folder"));
    let copied = fs::read(&path).expect("a file");
    fs::remove_file(&path).expect("a file"); // it may be a link
    fs::write(&path, copied).expect("a file");
    let mut file = OpenOptions::new().read(true).write(true).open(path).expect("a file");
    change(&mut file);
    twin
}

/// A stamp and a payload.
type Row = (i64, Vec<u8>);

/// What a log holds, lane by lane.
fn contents(log: &LocalLog) -> Result<Vec<Vec<Row>>, LogError> {
    let lane = |name: &&str| {
        let lane = log.lane(name)?;
        assert_eq!(log.range(lane)?.start, 0, "nothing was let go");
        let entries = read_all(log, lane, 1000)?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.stamp.as_millis(), entry.payload.to_vec()))
            .collect())
    };
    LANES.iter().map(lane).collect()
}

/// How many calls of the history a log holds; panics unless it is a beginning of the history.
fn calls_held(log: &LocalLog, history: &History) -> Result<usize, LogError> {
    let held = contents(log)?;
    let count: usize = held.iter().map(Vec::len).sum();
    let mut expected = vec![Vec::new(); LANES.len()];
    let mut calls = 0;
    while expected.iter().map(Vec::len).sum::<usize>() < count {
        for batch in &history[calls] {
            let row = (batch.stamp.as_millis(), batch.payload.clone());
            expected[batch.lane.0 as usize].push(row);
        }
        calls += 1;
    }
    assert!(held == expected, "not what {calls} calls appended");
    Ok(calls)
}

/// Opens a log and says how many calls it holds; then it goes on as a log does.
fn check(folder: &Path, options: &LocalOptions, history: &History) -> Result<usize, LogError> {
    let log = LocalLog::open(folder, options)?;
    let calls = calls_held(&log, history)?;
    let lane = log.lane(LANES[0])?;
    let next = log.range(lane)?.end;
    assert_eq!(append_each(&log, lane, &[b"goes on"]), [next]);
    drop(log);
    let log = LocalLog::open(folder, options)?;
    let last = log.read(lane, next, 100)?;
    assert_eq!((last.len(), &last[0].payload[..]), (1, &b"goes on"[..]));
    Ok(calls)
}

fn newest_journal(folder: &Path) -> PathBuf {
    let number = |path: &PathBuf| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        stem.parse::<u64>().expect("journals are numbered")
    };
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|end| end == "jnl");
    files(folder).into_iter().filter(is_journal).max_by_key(number).expect("a journal")
}

/// About this many numbers from 0 to `len`, the first and the last among them.
fn sample(len: u64, count: u64) -> impl Iterator<Item = u64> {
    let step = (len / count).max(1);
    (0..len).step_by(step as usize).chain([len - 1, len])
}

#[test]
fn a_journal_cut_anywhere_leaves_a_beginning() {
    for (options, zeros) in [(LocalOptions::default(), false), (LocalOptions::default(), true)] {
        let (folder, history) = closed(&options, 60);
        let journal = newest_journal(folder.path());
        let len = fs::metadata(&journal).expect("a journal").len();
        let mut before = 0;
        for cut in sample(len, 200) {
            let twin = changed(folder.path(), &journal, |file| {
                file.set_len(cut).expect("a shorter file");
                if zeros {
                    file.set_len(len + 1000).expect("a longer file");
                }
            });
            let calls =
                check(twin.path(), &options, &history).expect("a cut journal is a beginning");
            assert!(calls >= before, "less is left of a longer journal");
            before = calls;
        }
        assert_eq!(before, history.len(), "nothing was cut in the end");
    }
}

/// A machine that stops may have written later pages and not earlier ones.
#[test]
fn a_journal_with_a_hole_leaves_a_beginning() {
    let options = LocalOptions::default();
    let (folder, history) = closed(&options, 60);
    let journal = newest_journal(folder.path());
    let len = fs::metadata(&journal).expect("a journal").len();
    for start in sample(len - 512, 60) {
        let twin = changed(folder.path(), &journal, |file| {
            file.write_all_at(&[0; 512], start).expect("zeros");
        });
        let calls = check(twin.path(), &options, &history).expect("a hole is a torn tail");
        assert!(calls < history.len(), "nothing is missing");
    }
}

#[test]
fn a_journal_cut_behind_tables_leaves_a_beginning() {
    let (folder, history) = closed_with_tables(&tiny());
    let journal = newest_journal(folder.path());
    let len = fs::metadata(&journal).expect("a journal").len();
    for cut in sample(len, 100) {
        let twin = changed(folder.path(), &journal, |file| {
            file.set_len(cut).expect("a shorter file");
        });
        let calls = check(twin.path(), &tiny(), &history).expect("a cut journal is a beginning");
        assert!(calls > 0, "what is in tables is lost with the journal");
    }
}

#[test]
fn a_flipped_bit_is_noticed() {
    let (mut errors, mut shorter, mut whole) = (0, 0, 0);
    let default = LocalOptions::default();
    let cases = [(&default, closed(&default, 40)), (&tiny(), closed_with_tables(&tiny()))];
    for (options, (folder, history)) in cases {
        for file in files(folder.path()) {
            let len = fs::metadata(&file).expect("a file").len();
            if len == 0 {
                continue;
            }
            for at in sample(len, 24).filter(|at| *at < len) {
                let twin = changed(folder.path(), &file, |file| flip(file, 8 * at + at % 8));
                match check(twin.path(), options, &history) {
                    Err(error) => {
                        assert!(error.to_string().len() > 20, "{error}");
                        errors += 1;
                    }
                    Ok(calls) if calls < history.len() => shorter += 1,
                    Ok(_) => whole += 1,
                }
            }
        }
    }
    assert!(errors > 50 && shorter > 20 && whole > 20, "{errors} {shorter} {whole}");
}

fn flip(file: &mut File, bit: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).expect("a byte");
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit / 8).expect("a byte");
}

#[test]
fn a_cut_file_is_noticed() {
    let (folder, history) = closed_with_tables(&tiny());
    let mut errors = 0;
    for file in files(folder.path()) {
        let len = fs::metadata(&file).expect("a file").len();
        for cut in sample(len.max(1), 6).filter(|cut| *cut < len) {
            let twin = changed(folder.path(), &file, |file| {
                file.set_len(cut).expect("a shorter file");
            });
            if let Err(error) = check(twin.path(), &tiny(), &history) {
                assert!(error.to_string().len() > 20, "{error}");
                errors += 1;
            }
        }
    }
    assert!(errors > 20, "{errors}");
}

/// The database goes on with the next journal when one ends early: that leaves a gap, and what lies
/// behind it must not be seen.
#[test]
fn what_follows_a_loss_in_an_older_journal_is_cut() {
    let options = LocalOptions::default();
    let (folder, history) = closed(&options, 60);
    let journal = newest_journal(folder.path());
    let bytes = fs::read(&journal).expect("a journal");
    // A batch ends with these four bytes, and the next one starts with a one.
    let ends: Vec<usize> = (0..bytes.len() - 5)
        .filter(|&at| bytes[at..at + 5] == *b"FJL\x03\x01")
        .map(|at| at + 4)
        .collect();
    assert!(ends.len() > history.len(), "{} batches were found", ends.len());
    for split in [ends[20], ends[40], ends[ends.len() - 3]] {
        for lost in [1, 5, 50, 300, 1_000] {
            let twin = changed(folder.path(), &journal, |file| {
                file.set_len((split - lost) as u64).expect("a shorter file");
            });
            fs::write(twin.path().join("1.jnl"), &bytes[split..]).expect("a second journal");
            let calls = check(twin.path(), &options, &history).expect("a beginning");
            let whole = changed(folder.path(), &journal, |file| {
                file.set_len((split - lost) as u64).expect("a shorter file");
            });
            let alone = check(whole.path(), &options, &history).expect("a beginning");
            assert_eq!(calls, alone, "the second journal was seen behind a gap");
            assert!(calls < history.len());
        }
    }
}

/// A process may end while it makes the folder.
#[test]
fn a_half_made_folder_becomes_a_log() {
    let options = LocalOptions::default();
    for (version, keyspaces) in [(None, false), (None, true), (Some(&b""[..]), true)]
        .into_iter()
        .chain([(Some(&b"FJ"[..]), true), (Some(&b"FJL\x03"[..]), true)])
    {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("lock"), b"").expect("a file");
        fs::write(folder.path().join("0.jnl"), [0; 100]).expect("a file");
        if keyspaces {
            fs::create_dir_all(folder.path().join("keyspaces/0/tables")).expect("a folder");
        }
        if let Some(version) = version {
            fs::write(folder.path().join("version"), version).expect("a file");
        }
        let log = LocalLog::open(folder.path(), &options).expect("nothing is lost");
        let history = fill(&log, 0..10);
        drop(log);
        check(folder.path(), &options, &history).expect("a log");
    }
}

/// The database would take all tables for left-overs.
#[test]
fn a_lost_list_of_tables_is_an_error_and_loses_no_more() {
    let (folder, history) = closed(&tiny(), 40);
    let (current, aside) = (folder.path().join("keyspaces/0/current"), folder.path().join("aside"));
    fs::rename(&current, &aside).expect("a file");
    let error = LocalLog::open(folder.path(), &tiny()).err().expect("the list is gone");
    assert!(error.to_string().contains("list of tables"), "{error}");
    fs::rename(&aside, &current).expect("a file");
    let calls = check(folder.path(), &tiny(), &history).expect("it is back");
    assert_eq!(calls, history.len());
}

#[test]
fn an_open_log_cannot_be_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = LocalOptions::default();
    let _log = LocalLog::open(folder.path(), &options).expect("a log");
    let Err(LogError::Io(error)) = LocalLog::open(folder.path(), &options) else {
        panic!("two logs on one folder");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    assert!(error.to_string().contains("open elsewhere"), "{error}");
}

#[test]
fn a_name_too_long_for_the_files_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = LocalLog::open(folder.path(), &LocalOptions::default()).expect("a log");
    log.lane(&"n".repeat(1024)).expect("a lane");
    let error = log.lane(&"n".repeat(1025)).expect_err("too long");
    assert!(error.to_string().contains("1024 at most"), "{error}");
}

#[test]
fn a_file_in_place_of_the_folder_is_an_error() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"not a log").expect("a file");
    let error = LocalLog::open(file.path(), &LocalOptions::default()).err().expect("not a folder");
    assert!(matches!(error, LogError::Io(_)));
}
