//! The command line, seen from outside: transcripts of small runs.
//!
//! Every file `tests/golden/**/*.txt` is a transcript; a new test is a new text file:
//!
//! ```text
//! # what this shows
//! $ dunlin replay taxis.csv --queries nearest.ndjson --epoch 10s
//! > a line of stdout
//! ! a line of stderr, up to the first empty one: of commands that fail, and of those after `$!`
//! = 1        the exit code, unless it is 0
//! ```
//!
//! Commands run in a folder of their own that holds a copy of `tests/golden/data`. `cat`, `ls` and
//! `wc` show what they left there. `DUNLIN_GOLDEN=bless` writes the transcripts anew: read the
//! difference before you commit it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

#[test]
fn transcripts_hold() -> Result<()> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let cases = transcripts(&golden)?;
    ensure!(cases.len() >= 10, "only {} transcripts in {}", cases.len(), golden.display());
    let bless = std::env::var_os("DUNLIN_GOLDEN").is_some_and(|value| value == "bless");
    let mut failures = String::new();
    for path in cases {
        let expected = fs::read_to_string(&path)?;
        let actual = replay(&expected, &golden.join("data"))
            .with_context(|| format!("cannot run {}", path.display()))?;
        if bless {
            fs::write(&path, actual)?;
        } else if actual != expected {
            writeln!(failures, "{}\n{}", path.display(), difference(&expected, &actual))?;
        }
    }
    ensure!(failures.is_empty(), "transcripts differ:\n{failures}");
    Ok(())
}

fn transcripts(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    found.sort();
    Ok(found)
}

/// Runs every command of a transcript and writes down what it does.
fn replay(transcript: &str, data: &Path) -> Result<String> {
    let folder = tempfile::tempdir()?;
    copy(data, folder.path())?;
    let mut out = String::new();
    for line in transcript.lines() {
        if line.is_empty() || line.starts_with('#') {
            writeln!(out, "{line}")?;
        } else if let Some(command) = line.strip_prefix('$') {
            writeln!(out, "{line}")?;
            let (command, loud) =
                command.strip_prefix('!').map_or((command, false), |command| (command, true));
            run(&words(command)?, folder.path(), loud, &mut out)?;
        }
    }
    Ok(out)
}

fn run(command: &[String], folder: &Path, loud: bool, out: &mut String) -> Result<()> {
    let (name, arguments) = command.split_first().context("an empty command")?;
    let lines = match name.as_str() {
        "dunlin" => return dunlin(arguments, folder, loud, out),
        "cat" => fs::read_to_string(folder.join(&arguments[0]))?,
        "wc" => fs::read_to_string(folder.join(&arguments[0]))?.lines().count().to_string(),
        "ls" => list(&folder.join(arguments.first().map_or("", String::as_str)))?,
        other => bail!("a transcript runs dunlin, cat, wc and ls, not {other}"),
    };
    prefixed("> ", &lines, out)
}

fn dunlin(arguments: &[String], folder: &Path, loud: bool, out: &mut String) -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
    let ran = command.args(arguments).current_dir(folder).output()?;
    prefixed("> ", std::str::from_utf8(&ran.stdout)?, out)?;
    if loud || !ran.status.success() {
        let stderr = std::str::from_utf8(&ran.stderr)?;
        let start = stderr.split("\n\n").next().unwrap_or_default();
        prefixed("! ", &without_times(start), out)?;
    }
    match ran.status.code().context("ended by a signal")? {
        0 => Ok(()),
        code => Ok(writeln!(out, "= {code}")?),
    }
}

fn prefixed(prefix: &str, text: &str, out: &mut String) -> Result<()> {
    for line in text.lines() {
        writeln!(out, "{prefix}{line}")?;
    }
    Ok(())
}

/// How long something took differs from run to run.
fn without_times(text: &str) -> String {
    let timed = |line: &&str| line.contains(" s, ") && line.ends_with("records/s");
    let lines: Vec<&str> = text.lines().filter(|line| !timed(line)).collect();
    lines.join("\n")
}

fn list(folder: &Path) -> Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join("\n"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Cuts a command line at blanks outside single quotes.
fn words(command: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for letter in command.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    ensure!(!quoted, "a quote is not closed in {command}");
    words.extend(word);
    Ok(words)
}

/// The first line that differs, with both versions.
fn difference(expected: &str, actual: &str) -> String {
    let (mut expected, mut actual) = (expected.lines(), actual.lines());
    for line in 1.. {
        match (expected.next(), actual.next()) {
            (None, None) => break,
            (was, is) if was == is => {}
            (was, is) => {
                let text = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return format!("line {line}\n  expected {}\n  actual   {}", text(was), text(is));
            }
        }
    }
    "they differ in line ends only".to_owned()
}

#[test]
fn a_wrong_transcript_is_seen() -> Result<()> {
    let data = tempfile::tempdir()?;
    let right = replay("# no such command\n$ dunlin fly\n", data.path())?;
    assert!(right.contains("! error: unrecognized subcommand 'fly'"), "{right}");
    assert!(right.ends_with("= 2\n"), "{right}");
    assert_eq!(replay(&right, data.path())?, right);
    let wrong = right.replace("= 2", "= 1");
    assert!(difference(&wrong, &right).contains("expected = 1"));
    Ok(())
}
