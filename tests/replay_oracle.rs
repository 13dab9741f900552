//! `dunlin replay` against brute force, answer by answer, through the binary itself.
//!
//! Made traces have ties, shared places, the antimeridian and a pole; the real ones have what
//! people and taxis do. A failure prints the line that is wrong and what was asked.

mod oracle;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use oracle::ask::Ask;
use oracle::trace::{self, Random, Row, Space, Spread};

const SPREADS: [Spread; 4] = [Spread::Lattice, Spread::City, Spread::Antimeridian, Spread::Pole];

/// A trace and questions in files of their own.
struct Case {
    folder: tempfile::TempDir,
    input: PathBuf,
    columns: String,
    space: Space,
    epoch_ms: i64,
}

impl Case {
    fn new(rows: &[Row], space: Space, epoch_ms: i64, asks: &[Ask]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let input = folder.path().join("trace.csv");
        fs::write(&input, trace::csv(rows, space))?;
        Self::over(folder, &input, String::new(), space, epoch_ms, asks)
    }

    fn over(
        folder: tempfile::TempDir,
        input: &Path,
        columns: String,
        space: Space,
        epoch_ms: i64,
        asks: &[Ask],
    ) -> Result<Self> {
        let lines: Vec<String> = asks.iter().map(|ask| ask.json().to_string()).collect();
        fs::write(folder.path().join("queries.ndjson"), lines.join("\n"))?;
        Ok(Self { folder, input: input.to_owned(), columns, space, epoch_ms })
    }

    fn replay(&self, more: &[&str]) -> Result<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
        command.arg("replay").arg(&self.input).args(["--space", self.space.name()]);
        command.arg("--queries").arg(self.folder.path().join("queries.ndjson"));
        command.args(["--epoch", &format!("{}ms", self.epoch_ms), "--columns", &self.columns]);
        let ran = command.args(more).output()?;
        ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        Ok(String::from_utf8(ran.stdout)?)
    }

    /// Checks all answers, that changes are those that changed, and that threads do not matter.
    fn check(&self, rows: &[Row], asks: &[Ask]) -> Result<()> {
        let all = self.replay(&["--emit", "all"])?;
        let checked = oracle::check(rows, self.space, self.epoch_ms, asks, &all)?;
        ensure!(checked >= asks.len(), "only {checked} answers");
        ensure!(self.replay(&[])? == oracle::changes(&all)?, "not exactly the changes");
        for threads in ["1", "2", "3"] {
            let same = self.replay(&["--emit", "all", "--threads", threads])? == all;
            ensure!(same, "other bytes with {threads} threads");
        }
        Ok(())
    }
}

#[test]
fn made_traces_are_answered_as_by_brute_force() -> Result<()> {
    for (seed, spread) in (1..).zip(SPREADS) {
        let space = spread.space();
        // Epochs with few movers, and epochs in which nearly all objects move.
        for (objects, count, epoch_ms) in [(300, 2_000, 500), (60, 3_000, 7_000), (5, 30, 60_000)] {
            let rows = trace::made(spread, objects, count, 60, seed);
            let asks = Ask::draw(60, &rows, space, seed);
            let case = Case::new(&rows, space, epoch_ms, &asks)?;
            let outcome = case.check(&rows, &asks);
            outcome.map_err(|error| error.context(format!("{spread:?}, {objects} objects")))?;
        }
    }
    Ok(())
}

#[test]
fn the_order_of_lines_does_not_matter() -> Result<()> {
    for spread in SPREADS {
        let space = spread.space();
        let mut rows = trace::made(spread, 100, 2_000, 60, 5);
        let asks = Ask::draw(50, &rows, space, 5);
        let answers = Case::new(&rows, space, 2_000, &asks)?.replay(&["--emit", "all"])?;
        let mut random = Random(6);
        for end in (1..rows.len()).rev() {
            rows.swap(end, random.below(end + 1));
        }
        let shuffled = Case::new(&rows, space, 2_000, &asks)?.replay(&["--emit", "all"])?;
        ensure!(answers == shuffled, "{spread:?}: other bytes for shuffled lines");
    }
    Ok(())
}

#[test]
fn ten_thousand_queries_stand() -> Result<()> {
    let rows = trace::made(Spread::City, 200, 1_000, 20, 9);
    let asks = Ask::draw(10_000, &rows, Space::Sphere, 9);
    let case = Case::new(&rows, Space::Sphere, 10_000, &asks)?;
    let all = case.replay(&["--emit", "all"])?;
    let checked = oracle::check(&rows, Space::Sphere, 10_000, &asks, &all)?;
    ensure!(checked == 20_000, "{checked} answers");
    Ok(())
}

#[test]
fn a_closed_pipe_ends_quietly() -> Result<()> {
    let rows = trace::made(Spread::City, 500, 5_000, 60, 2);
    let asks = Ask::draw(200, &rows, Space::Sphere, 2);
    let case = Case::new(&rows, Space::Sphere, 200, &asks)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
    command.arg("replay").arg(&case.input).args(["--epoch", "200ms", "--emit", "all"]);
    command.arg("--queries").arg(case.folder.path().join("queries.ndjson"));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    drop(child.stdout.take());
    let ran = child.wait_with_output()?;
    ensure!(matches!(ran.status.code(), Some(0 | 1)), "{}", ran.status);
    ensure!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}

#[test]
fn a_wrong_answer_is_seen() -> Result<()> {
    let rows = trace::made(Spread::Lattice, 50, 500, 60, 3);
    let asks = Ask::draw(30, &rows, Space::Plane, 3);
    let case = Case::new(&rows, Space::Plane, 5_000, &asks)?;
    let all = case.replay(&["--emit", "all"])?;
    let check = |output: &str| oracle::check(&rows, Space::Plane, 5_000, &asks, output);
    assert!(check(&all).is_ok());
    for (right, wrong) in [
        ("\"distance\":1.0", "\"distance\":1.1"),
        ("\"id\":\"o1\"", "\"id\":\"o2\""),
        ("\"at\":[0.0", "\"at\":[0.5"),
        ("\n{", "\n\n{"),
    ] {
        assert!(all.contains(right), "{right} does not occur");
        assert!(check(&all.replacen(right, wrong, 1)).is_err(), "{wrong} was not seen");
    }
    let lines: Vec<&str> = all.lines().collect();
    assert!(check(&lines[1..].join("\n")).is_err());
    assert!(check(&format!("{all}{}", lines[0])).is_err());
    Ok(())
}

/// A real trace, asked `asks` questions.
fn real(file: &str, columns: [&str; 4], space: Space, epoch_ms: i64, asks: usize) -> Result<()> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("DUNLIN_DATA").map_or_else(beside, PathBuf::from);
    let input = folder.join(file);
    let rows = trace::read(&input, columns)?;
    let asks = Ask::draw(asks, &rows, space, 11);
    let pairs = space.columns().into_iter().zip(columns);
    let columns: Vec<String> = pairs.map(|(key, name)| format!("{key}={name}")).collect();
    let temporary = tempfile::tempdir()?;
    let case = Case::over(temporary, &input, columns.join(","), space, epoch_ms, &asks)?;
    case.check(&rows, &asks)
}

#[test]
#[ignore = "needs the real traces; scripts/test runs it"]
fn cabs_of_san_francisco() -> Result<()> {
    let columns = ["id", "ts", "lon", "lat"];
    real("cabspotting-2h.csv.gz", columns, Space::Sphere, 60_000, 100)?;
    real("cabspotting-2h.csv.gz", columns, Space::Sphere, 1_000, 5)
}

#[test]
#[ignore = "needs the real traces; scripts/test runs it"]
fn cabs_of_beijing() -> Result<()> {
    let columns = ["id", "time", "lon", "lat"];
    real("tdrive-1h.csv.gz", columns, Space::Sphere, 120_000, 30)
}

#[test]
#[ignore = "needs the real traces; scripts/test runs it"]
fn pedestrians() -> Result<()> {
    let columns = ["object", "time", "x", "y"];
    real("pedestrians-eth.csv.gz", columns, Space::Plane, 2_000, 60)?;
    real("pedestrians-zara01.csv.gz", columns, Space::Plane, 400, 60)
}
