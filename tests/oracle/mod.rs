//! Replay by brute force: every object is looked at for every answer.
//!
//! Nothing here is shared with the engine but the way times print: distances are those of `geo`,
//! areas are tested by counting crossings, files are cut at commas. [`check`] goes through the
//! output of `--emit all` line by line and expects exactly what a look at all objects gives.

pub(crate) mod ask;
pub(crate) mod trace;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use dunlin::stream::Timestamp;
use serde::Deserialize;

use ask::{Ask, Kind};
use trace::{Row, Space};

/// Distances may differ by this share (or, below one metre or unit, by this much).
const TOLERANCE: f64 = 1e-9;

/// A line of the output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    query: String,
    time: String,
    objects: Vec<Found>,
}

/// An object of an answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    id: String,
    distance: Option<f64>,
    at: [f64; 2],
}

/// Where every object is; names compare as bytes.
type World = BTreeMap<String, [f64; 2]>;

/// Compares every line of `output`, all answers after every epoch of `epoch_ms`, with brute force.
/// Returns how many answers were right.
pub(crate) fn check(
    rows: &[Row],
    space: Space,
    epoch_ms: i64,
    asks: &[Ask],
    output: &str,
) -> Result<usize> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| row.time_ms);
    let (mut world, mut lines, mut checked) = (World::new(), output.lines(), 0);
    for epoch in rows.chunk_by(|a, b| epoch_of(a, epoch_ms) == epoch_of(b, epoch_ms)) {
        for row in epoch {
            world.insert(row.object.clone(), row.at);
        }
        let end = (epoch_of(epoch[0], epoch_ms) + 1) * epoch_ms;
        let time = Timestamp::from_millis_unchecked(end).to_string();
        for ask in asks {
            let text = lines.next().with_context(|| format!("no line for {} at {time}", ask.id))?;
            let line: Line = serde_json::from_str(text).with_context(|| text.to_owned())?;
            let wrong = || format!("{}\nasked {}", head(text), ask.json());
            ensure!(line.query == ask.id && line.time == time, "out of order: {}", wrong());
            compare(&line.objects, ask, space, &world).with_context(wrong)?;
            checked += 1;
        }
    }
    ensure!(lines.next().is_none(), "a line too many");
    Ok(checked)
}

fn epoch_of(row: &Row, epoch_ms: i64) -> i64 {
    row.time_ms.div_euclid(epoch_ms)
}

fn head(text: &str) -> String {
    text.chars().take(300).collect()
}

fn compare(found: &[Found], ask: &Ask, space: Space, world: &World) -> Result<()> {
    for object in found {
        let at = world.get(&object.id).with_context(|| format!("no object {}", object.id))?;
        ensure!(*at == object.at, "{} is at {at:?}", object.id);
    }
    match &ask.kind {
        Kind::Inside(polygon) => {
            let inside = world.iter().filter(|(_, at)| polygon.contains(**at));
            let expected: Vec<&String> = inside.map(|(name, _)| name).collect();
            let ids: Vec<&String> = found.iter().map(|object| &object.id).collect();
            ensure!(found.iter().all(|object| object.distance.is_none()), "inside has no distance");
            ensure!(ids == expected, "expected {expected:?}");
        }
        Kind::Knn(k) => {
            let ranked = ranking(ask, space, world);
            ensure!(found.len() == ranked.len().min(*k), "{} objects", found.len());
            compare_ranks(found, &ranked, space)?;
        }
        Kind::Within(radius) => {
            let ranked = ranking(ask, space, world);
            let certain =
                ranked.iter().filter(|(distance, ..)| *distance < radius - slack(*radius));
            let possible =
                ranked.iter().filter(|(distance, ..)| *distance <= radius + slack(*radius));
            let range = certain.count()..=possible.count();
            ensure!(range.contains(&found.len()), "{} objects, not {range:?}", found.len());
            compare_ranks(found, &ranked, space)?;
        }
    }
    Ok(())
}

/// All objects but the one asked from, by distance, then name; none if that one is unknown.
fn ranking<'a>(ask: &Ask, space: Space, world: &'a World) -> Vec<(f64, &'a str, [f64; 2])> {
    let Some(from) = ask.focus_in(world) else { return Vec::new() };
    let others = world.iter().filter(|(name, _)| Some(*name) != ask.object());
    let mut ranked: Vec<_> =
        others.map(|(name, &at)| (space.distance(from, at), name.as_str(), at)).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.as_bytes().cmp(b.1.as_bytes())));
    ranked
}

fn slack(distance: f64) -> f64 {
    TOLERANCE * distance.max(1.0)
}

/// Rank by rank the same object; another one only where rounding may decide which is nearer.
fn compare_ranks(found: &[Found], ranked: &[(f64, &str, [f64; 2])], space: Space) -> Result<()> {
    let by_name: BTreeMap<&str, f64> = ranked.iter().map(|&(d, name, _)| (name, d)).collect();
    let mut seen = std::collections::BTreeSet::new();
    for (rank, (object, &(expected, name, at))) in found.iter().zip(ranked).enumerate() {
        let distance = object.distance.context("no distance")?;
        let id = object.id.as_str();
        ensure!(seen.insert(id), "{id} comes twice");
        let own = *by_name.get(id).with_context(|| format!("{id} asks itself"))?;
        ensure!((distance - own).abs() <= slack(own), "{id} is {own} away, not {distance}");
        ensure!((own - expected).abs() <= slack(own), "rank {rank} is {name} at {expected}");
        let tie = object.at == at || (space == Space::Plane && own == expected);
        ensure!(id == name || !tie, "rank {rank} is {name}: equal distances go by id");
    }
    Ok(())
}

/// The lines of `--emit all` that `--emit changes` writes: those of which the list of objects is not
/// the one before.
pub(crate) fn changes(output: &str) -> Result<String> {
    let mut last: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut kept = String::new();
    for text in output.lines() {
        let line: Line = serde_json::from_str(text)?;
        let ids: Vec<String> = line.objects.into_iter().map(|object| object.id).collect();
        if last.get(&line.query) != Some(&ids) {
            kept.push_str(text);
            kept.push('\n');
            last.insert(line.query, ids);
        }
    }
    Ok(kept)
}
