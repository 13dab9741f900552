//! The ten nearest taxis, kept up to date, while the passenger walks: an exact standing question.
//!
//! ```text
//! cargo run --release --example knn
//! ```
//!
//! Two thousand generated taxis drive through an engine of two lanes and four shards, a report a
//! second each. The shards are strips of x; halfway the busiest one is cut in two and its neighbours
//! are joined, which changes no answer. Every change of the list of names is printed.

use anyhow::Result;
use dunlin::datasets::generate::{Area, Clusters, GaussianClusters, Movement, Population};
use dunlin::index::{Coord, Plane, SpaceKind};
use dunlin::query::topology::{Command, PositionBatch, StandingOutput, StandingTopology};
use dunlin::stream::process::Committed;
use dunlin::stream::{Guarantee, Key, Process, Setup, ShardTable, Timestamp};

const TAXIS: usize = 2_000;
const EXTENT_M: f64 = 10_000.0;
const SECONDS: i64 = 60;
const QUERY: &str = r#"{"id":"nearest","knn":{"k":10,"object":"passenger"}}"#;

fn print(epoch: &Committed<'_, StandingOutput>) {
    for output in epoch.outputs {
        let StandingOutput::Answer(answer) = output else { continue };
        let object = |(name, distance, _): (&str, Option<f64>, Coord)| {
            format!("{name} {:.0} m", distance.unwrap_or_default())
        };
        let objects: Vec<String> = answer.objects().map(object).collect();
        println!("{}: {}", epoch.end, objects.join(", "));
    }
}

fn main() -> Result<()> {
    let shards = ShardTable::cut_at([2_500.0, 5_000.0, 7_500.0].map(Key::of_f64));
    let setup = Setup::new("taxis", 2, Guarantee::Precise);
    let setup = Setup { epoch_ms: 1_000, shards, ..setup };
    let topology = StandingTopology::<Plane>::new(2);
    let (mut process, mut source) = Process::in_memory(topology, setup)?;

    let mut commands = PositionBatch::default();
    commands.command(Command::Register { query: QUERY.to_owned() });
    source.command(Timestamp::from_millis(0)?, &commands)?;

    let area = Area::new(SpaceKind::Plane, (0.0, 0.0).into(), (EXTENT_M, EXTENT_M).into())?;
    let population = Population { objects: TAXIS, seed: 7, speed: 12.0 / EXTENT_M };
    let clusters = Clusters { count: 5, spread: 0.1 };
    let mut taxis = GaussianClusters::new(area, population, clusters);
    for second in 0..SECONDS {
        let now = Timestamp::from_millis(second * 1_000)?;
        let mut lanes = [PositionBatch::default(), PositionBatch::default()];
        taxis.step(1.0);
        for (taxi, &at) in taxis.positions().iter().enumerate() {
            // An object has one lane, so that its reports stay in their order.
            lanes[taxi % 2].push(&format!("taxi {taxi}"), now, at);
        }
        let walked = Coord { x: 4_950.0 + 1.5 * second as f64, y: 5_000.0 };
        lanes[0].push("passenger", now, walked);
        for (lane, batch) in lanes.iter().enumerate() {
            source.send(lane, now, batch)?;
        }
        source.tick(Timestamp::from_millis((second + 1) * 1_000)?)?;
        process.advance(print)?;
        if second == SECONDS / 2 {
            process.split(Key::of_f64(4_000.0));
            process.merge(3);
        }
    }
    Ok(())
}
