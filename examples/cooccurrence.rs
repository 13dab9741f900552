//! Who drives together: a small city's cameras, mined as they come, in lanes and shards.
//!
//! ```text
//! cargo run --release --example cooccurrence
//! ```
//!
//! An hour of generated traffic with a few planted convoys goes through an engine minute by minute:
//! three lanes, four shards. Halfway all tasks are saved and restored, which changes nothing. Every
//! group that met at four cameras within half an hour, and at each within a minute, is printed.

use anyhow::Result;
use dunlin::cep::topology::{CooccurrenceTopology, NamedReport, PassageBatch};
use dunlin::cep::{ReportKind, Rule};
use dunlin::datasets::Events;
use dunlin::datasets::generate::{CameraOptions, CameraTraffic};
use dunlin::stream::event_time::EventTimeRule;
use dunlin::stream::lane::Envelope;
use dunlin::stream::log::Entry;
use dunlin::stream::{Engine, EpochClock, ShardTable, Timestamp, wire};

const LANES: usize = 3;
const MINUTE_MS: i64 = 60_000;

/// An hour at 40 cameras, ordered by time.
fn traffic() -> Result<Events> {
    let hour = CameraOptions { duration_ms: 60 * MINUTE_MS, ..CameraOptions::day(40) };
    let options = CameraOptions { plates: 3_000, passages: 6_000, convoys: 8, ..hour };
    Ok(CameraTraffic::in_city(&options, &mut |_| ())?.into_events().0)
}

/// What a gateway appends to the lanes, every minute one batch for each.
fn entries(events: &Events, rows: std::ops::Range<usize>, sequence: u64) -> Vec<Vec<Entry>> {
    let stamp = events.times[rows.end - 1];
    let mut batch = PassageBatch::default();
    for row in rows {
        let stream = events.stream_names.name(events.streams[row]);
        let object = events.object_names.name(events.objects[row]);
        batch.push(events.times[row], stream, object);
    }
    let lanes = batch.into_lanes(LANES).into_iter().map(|batch| {
        let payload = wire::encode(&Envelope { producer: 1, sequence, batch });
        vec![Entry { sequence, stamp, payload: payload.into() }]
    });
    lanes.collect()
}

fn print(report: &NamedReport) {
    let seen = report.occurrences.iter().map(|at| format!("{} {}", at.stream, at.to));
    let seen = seen.collect::<Vec<_>>().join(", ");
    println!("{} {}: {seen}", report.time, report.objects.join(" + "));
}

fn main() -> Result<()> {
    let rule = Rule { report: ReportKind::Maximal, ..Rule::new(MINUTE_MS, 30 * MINUTE_MS, 4) };
    let event_time =
        EventTimeRule { lateness_ms: 5_000, idle_ms: 10 * MINUTE_MS, skew_ms: MINUTE_MS };
    let topology = CooccurrenceTopology::new(rule, event_time)?;
    let mut engine = Engine::new(topology.clone(), LANES, ShardTable::even(4));
    let (events, mut clock) = (traffic()?, EpochClock::new(MINUTE_MS));
    let mut start = 0;
    for minute in 0.. {
        let Some(&first) = events.times.get(start) else { break };
        let epoch = clock.assign(first);
        let end = start + events.times[start..].partition_point(|&at| at < clock.end(epoch));
        let lanes = entries(&events, start..end, minute);
        engine.step(epoch, clock.end(epoch), &lanes).outputs.iter().for_each(print);
        if minute == 30 {
            engine = Engine::restore(topology.clone(), &engine.snapshot())?;
        }
        start = end;
    }
    // The cameras have fallen silent, and nothing waits for them any longer.
    let silence = vec![Vec::new(); LANES];
    let last = engine.step(clock.assign(Timestamp::MAX), Timestamp::END, &silence);
    last.outputs.iter().for_each(print);
    Ok(())
}
