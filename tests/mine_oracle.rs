//! `dunlin mine` against the definition, through the binary itself.
//!
//! A made city with planted convoys: every convoy is found (recall 1), every pair and time is right
//! by brute force, and every report of more objects is checked on its own. Neither threads nor the
//! order of rows nor the algorithm changes a byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const XI_MS: i64 = 60_000;
const TAU_MS: i64 = 1_800_000;
const THETA: usize = 3;

/// Times of each object in each stream.
type Seen = BTreeMap<String, BTreeMap<String, BTreeSet<i64>>>;

#[derive(Debug, Deserialize)]
struct Report {
    time: String,
    objects: Vec<String>,
    support: usize,
    occurrences: Vec<Occurrence>,
}

#[derive(Debug, Deserialize)]
struct Occurrence {
    stream: String,
    from: String,
    to: String,
}

#[derive(Debug, Deserialize)]
struct Convoy {
    objects: Vec<String>,
    passages: Vec<Occurrence>,
}

fn dunlin(arguments: &[&str]) -> Result<String> {
    let ran = Command::new(env!("CARGO_BIN_EXE_dunlin")).args(arguments).output()?;
    ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Ok(String::from_utf8(ran.stdout)?)
}

fn mine(input: &Path, more: &[&str]) -> Result<String> {
    let input = input.to_str().context("a path in UTF-8")?;
    let rule = ["mine", input, "--xi", "60s", "--tau", "30m", "--theta", "3"];
    dunlin(&[&rule, more].concat())
}

fn millis(text: &str) -> Result<i64> {
    Ok(text.parse::<dunlin::stream::Timestamp>()?.as_millis())
}

/// A city of some cameras in a folder: its passages and convoys.
fn city(folder: &Path) -> Result<(PathBuf, Vec<Convoy>)> {
    let (passages, truth) = (folder.join("passages.csv"), folder.join("convoys.ndjson"));
    dunlin(
        &[
            &["generate", "cameras", "--cameras", "30", "--plates", "1500", "--convoys", "40"][..],
            &[
                "--passages",
                "12000",
                "--duration",
                "4h",
                "--start",
                "2024-03-01 07:00:00",
                "--seed",
                "11",
                "--out",
            ],
            &[passages.to_str().context("a path")?, "--truth", truth.to_str().context("a path")?],
        ]
        .concat(),
    )?;
    let convoys = fs::read_to_string(truth)?;
    let convoys = convoys.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((passages, convoys))
}

fn seen(passages: &Path) -> Result<Seen> {
    let mut seen = Seen::new();
    for line in fs::read_to_string(passages)?.lines().skip(1) {
        let mut fields = line.split(',');
        let mut field = || fields.next().context("three fields");
        let (stream, object, time) = (field()?, field()?, field()?);
        if !object.is_empty() {
            let times = seen.entry(object.into()).or_default().entry(stream.into()).or_default();
            times.insert(millis(time)?);
        }
    }
    Ok(seen)
}

fn reports(lines: &str) -> Result<Vec<Report>> {
    lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The instants at which something becomes frequent: `spans` are, stream by stream, those from the
/// end of an occurrence to τ after its start.
fn becomes_frequent(spans: &[Vec<(i64, i64)>], theta: usize) -> Vec<i64> {
    let is_frequent = |time: i64| {
        let holds = |spans: &&Vec<(i64, i64)>| spans.iter().any(|&(a, b)| a <= time && time <= b);
        spans.iter().filter(holds).count() >= theta
    };
    let starts: BTreeSet<i64> = spans.iter().flatten().map(|&(start, _)| start).collect();
    starts.into_iter().filter(|&time| is_frequent(time) && !is_frequent(time - 1)).collect()
}

/// When the two become frequent, by all choices of their events.
fn pair(a: &BTreeMap<String, BTreeSet<i64>>, b: &BTreeMap<String, BTreeSet<i64>>) -> Vec<i64> {
    let shared = a.iter().filter_map(|(stream, times)| Some((times, b.get(stream)?)));
    let spans = shared.map(|(of_a, of_b)| {
        let choices = of_a.iter().flat_map(|a| of_b.iter().map(move |b| (*a.min(b), *a.max(b))));
        let occurrences = choices.filter(|(from, to)| to - from <= XI_MS);
        let spans = occurrences.map(|(from, to)| (to, from + TAU_MS));
        spans.filter(|(start, end)| start <= end).collect()
    });
    becomes_frequent(&spans.collect::<Vec<_>>(), THETA)
}

#[test]
fn pairs_are_those_of_the_definition_and_convoys_are_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (passages, convoys) = city(folder.path())?;
    let seen = seen(&passages)?;
    let told = reports(&mine(&passages, &["--report", "all", "--max-size", "5"])?)?;

    let mut expected = BTreeSet::new();
    let objects: Vec<_> = seen.iter().collect();
    for (index, (name_a, a)) in objects.iter().enumerate() {
        for (name_b, b) in &objects[index + 1..] {
            let times = pair(a, b).into_iter();
            expected.extend(times.map(|time| (time, (*name_a).clone(), (*name_b).clone())));
        }
    }
    let mut pairs = BTreeSet::new();
    for report in told.iter().filter(|report| report.objects.len() == 2) {
        let new = (millis(&report.time)?, report.objects[0].clone(), report.objects[1].clone());
        ensure!(pairs.insert(new), "told twice: {report:?}");
    }
    ensure!(pairs == expected, "{} pairs told, {} are right", pairs.len(), expected.len());
    ensure!(expected.len() > 200, "only {} pairs", expected.len());

    for report in &told {
        check(report, &seen).with_context(|| format!("{report:?}"))?;
    }
    let mut planted = 0;
    for convoy in &convoys {
        let spans = convoy.passages.iter().map(|passage| {
            Ok((passage.stream.clone(), millis(&passage.to)?, millis(&passage.from)? + TAU_MS))
        });
        let spans: Vec<(String, i64, i64)> = spans.collect::<Result<_>>()?;
        let mut by_stream: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
        spans
            .into_iter()
            .for_each(|(stream, a, b)| by_stream.entry(stream).or_default().push((a, b)));
        let frequent = becomes_frequent(&by_stream.into_values().collect::<Vec<_>>(), THETA);
        let is_told = told.iter().any(|report| report.objects == convoy.objects);
        ensure!(frequent.is_empty() || is_told, "missed {convoy:?}");
        planted += usize::from(!frequent.is_empty());
    }
    ensure!(planted >= 30, "only {planted} convoys are frequent");
    Ok(())
}

/// Fails if a report is not right by itself.
fn check(report: &Report, seen: &Seen) -> Result<()> {
    let end = millis(&report.time)?;
    ensure!(report.objects.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()), "objects not sorted");
    ensure!(report.occurrences.is_sorted_by(|a, b| a.stream < b.stream), "streams not sorted");
    ensure!(report.support == report.occurrences.len() && report.support >= THETA, "support");
    for Occurrence { stream, from, to } in &report.occurrences {
        let (from, to) = (millis(from)?, millis(to)?);
        ensure!(end - TAU_MS <= from && from <= to && to <= end && to - from <= XI_MS, "bounds");
        let used = report.objects.iter().map(|object| {
            let times = seen.get(object).and_then(|streams| streams.get(stream));
            times.map(|times| times.range(from..=to).copied().collect::<Vec<_>>())
        });
        let used = used.collect::<Option<Vec<Vec<i64>>>>().context("an object was never there")?;
        ensure!(used.iter().all(|times| !times.is_empty()), "an object was not there then");
        ensure!(used.concat().contains(&from) && used.concat().contains(&to), "times not used");
    }
    Ok(())
}

#[test]
fn threads_order_and_algorithms_change_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (passages, _) = city(folder.path())?;
    let told = mine(&passages, &[])?;
    ensure!(told.lines().count() > 100, "only {} reports", told.lines().count());
    for threads in ["1", "2", "3"] {
        ensure!(mine(&passages, &["--threads", threads])? == told, "{threads} threads");
    }

    let text = fs::read_to_string(&passages)?;
    let (header, rows) = text.split_once('\n').context("a header")?;
    let mut rows: Vec<&str> = rows.lines().collect();
    // Any order will do that is far from the sorted one: by a hash of the row's number.
    let mut keyed: Vec<(u64, &str)> =
        (1..).map(|row: u64| row.wrapping_mul(0x9E37_79B9_7F4A_7C15)).zip(rows.drain(..)).collect();
    keyed.sort_unstable();
    rows.extend(keyed.into_iter().map(|(_, row)| row));
    let (first, second) = rows.split_at(rows.len() / 3);
    let files = [first, second].map(|rows| format!("{header}\n{}\n", rows.join("\n")));
    let paths = ["a.csv", "b.csv"].map(|name| folder.path().join(name));
    paths.iter().zip(&files).try_for_each(|(path, file)| fs::write(path, file))?;
    let second = paths[1].to_str().context("a path")?;
    ensure!(mine(&paths[0], &[second])? == told, "shuffled and cut in two");

    let pairs = ["--report", "all", "--max-size", "3"];
    let told = mine(&passages, &pairs)?;
    for algorithm in ["bitmask", "coomine", "dimine", "matrixmine"] {
        let same = mine(&passages, &[&pairs[..], &["--algorithm", algorithm]].concat())? == told;
        ensure!(same, "{algorithm} tells other sets");
    }
    Ok(())
}

#[test]
#[ignore = "needs the real traces; scripts/test runs it"]
fn algorithms_agree_on_real_toll_gates() -> Result<()> {
    let data = std::env::var_os("DUNLIN_DATA").unwrap_or_else(|| "../shared/data".into());
    let passes = Path::new(&data).join("tollgates-passes.csv.gz");
    let columns = ["--columns", "stream=link,object=vehicle,time=time", "--max-size", "4"];
    for report in ["closed", "maximal"] {
        let told = mine(&passes, &[&columns[..], &["--report", report]].concat())?;
        ensure!(told.lines().count() > 1_000, "only {} reports", told.lines().count());
        for algorithm in ["coomine", "dimine", "matrixmine"] {
            let more = ["--report", report, "--algorithm", algorithm];
            ensure!(mine(&passes, &[&columns[..], &more].concat())? == told, "{algorithm}");
        }
    }
    Ok(())
}
