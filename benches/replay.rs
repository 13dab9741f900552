//! Whole replays of a real week of taxis, as a user runs them: reading, answering, writing.
//!
//! 1 000 standing queries at places and on taxis drawn from the trace by a fixed stride; epochs of
//! ten seconds; answers that changed go to a pipe that throws them away. The trace is looked for in
//! `DUNLIN_DATA` (by default `../shared/data`); without it the bench says so and measures nothing.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use dunlin::datasets::{ReadOptions, Trace, read_positions};
use dunlin::index::SpaceKind;

const QUERIES: usize = 1_000;
const RUNS: usize = 1;
const COLUMNS: &str = "object=id,time=ts,lon=lon,lat=lat";

/// The question of query number i.
type Ask = fn(&Trace, usize) -> String;

/// The query sets, by name.
const SETS: [(&str, Ask); 5] = [
    ("nearest taxi of a place", |trace, i| knn(1, &place(trace, i))),
    ("inside a block of 200 m", block),
    ("within 100 m of a place", |trace, i| {
        format!(r#""within":{{"radius":100,"at":{}}}"#, place(trace, i))
    }),
    ("nearest taxi of a taxi", |trace, i| {
        let taxi = trace.names.name(trace.objects[row(trace, i)]);
        format!(r#""knn":{{"k":1,"object":"{taxi}"}}"#)
    }),
    ("10 nearest taxis of a place", |trace, i| knn(10, &place(trace, i))),
];

fn row(trace: &Trace, i: usize) -> usize {
    (i * 618_033_989) % trace.len()
}

fn place(trace: &Trace, i: usize) -> String {
    let at = trace.at[row(trace, i)];
    format!("[{},{}]", at.x, at.y)
}

fn knn(k: usize, place: &str) -> String {
    format!(r#""knn":{{"k":{k},"at":{place}}}"#)
}

fn block(trace: &Trace, i: usize) -> String {
    let at = trace.at[row(trace, i)];
    let (x, y) = (0.001_14, 0.000_9);
    let corners = [(-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)];
    let ring: Vec<_> = corners.iter().map(|(dx, dy)| [at.x + dx, at.y + dy]).collect();
    let area = format!(r#"{{"type":"Polygon","coordinates":[{ring:?}]}}"#);
    format!(r#""inside":{{"area":{area}}}"#)
}

fn main() -> anyhow::Result<()> {
    let folder = std::env::var_os("DUNLIN_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")),
        PathBuf::from,
    );
    let trace = folder.join("cabspotting-week-a.csv.gz");
    if !trace.is_file() {
        println!("not measured: {} is not there; set DUNLIN_DATA", trace.display());
        return Ok(());
    }
    let mut options = ReadOptions::for_space(SpaceKind::Sphere);
    options.columns = dunlin::datasets::Columns::parse(COLUMNS, SpaceKind::Sphere)?;
    let (records, _) = read_positions(std::slice::from_ref(&trace), &options, &mut |_| ())?;
    let folder = tempfile::tempdir()?;
    println!("| 1 000 queries | threads | seconds | records/s | answers | GB out |");
    println!("|---|---|---|---|---|---|");
    for (name, question) in SETS {
        let queries = folder.path().join("queries.ndjson");
        let mut lines = String::new();
        for i in 0..QUERIES {
            writeln!(lines, r#"{{"id":"q{i}",{}}}"#, question(&records, i))?;
        }
        std::fs::write(&queries, lines)?;
        for threads in ["1", "2"] {
            let mut replay = Command::new(env!("CARGO_BIN_EXE_dunlin"));
            replay.arg("replay").arg(&trace).arg("--queries").arg(&queries);
            replay.args(["--columns", COLUMNS, "--epoch", "10s", "--threads", threads]);
            let (seconds, lines, bytes) = measure(&mut replay)?;
            let rate = records.len() as f64 / seconds / 1e6;
            let gb = bytes as f64 / 1e9;
            println!("| {name} | {threads} | {seconds:.2} | {rate:.2} M | {lines} | {gb:.2} |");
        }
    }
    Ok(())
}

/// The median time of the runs, and the lines and bytes of one more whose output is counted.
fn measure(replay: &mut Command) -> anyhow::Result<(f64, usize, u64)> {
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        let status = replay.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        anyhow::ensure!(status.success(), "replay failed: {status}");
        seconds.push(begin.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let mut child = replay.stdout(Stdio::piped()).spawn()?;
    let mut out = child.stdout.take().expect("stdout is piped");
    let (mut lines, mut bytes, mut buffer) = (0, 0, vec![0; 1 << 20]);
    loop {
        let len = std::io::Read::read(&mut out, &mut buffer)?;
        if len == 0 {
            break;
        }
        lines += buffer[..len].iter().filter(|&&byte| byte == b'\n').count();
        bytes += len as u64;
    }
    child.wait()?;
    Ok((seconds[RUNS / 2], lines, bytes))
}
