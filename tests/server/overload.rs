//! What becomes of positions while the engine is behind, as their sender says.

use std::io::Write as _;
use std::process::Command;

use anyhow::{Result, ensure};
use dunlin::server::proto::PositionBatch;
use dunlin::server::proto::ingest_client::IngestClient;
use dunlin::server::{Limits, ServeOptions, Server};
use serde_json::{Value, json};

use crate::serving::{Client, options, start_with, until};

/// Rows of a request: the whole credit, so that the second request of an epoch finds none.
const ROWS: u64 = 4;

/// A server that gives credit back every two seconds only.
fn start() -> Result<(Server, Client)> {
    let limits = Limits { credit_records: ROWS, ..Limits::default() };
    start_with(&ServeOptions { epoch_ms: 2_000, limits, ..options() })
}

/// Sends objects a to d to x under a policy; what was said.
fn send(client: &Client, policy: &str, x: f64) -> Result<Value> {
    let line = |object: &str| format!("{}\n", json!({"object": object, "at": [x, 0.0]}));
    let lines: String = ["a", "b", "c", "d"].map(line).concat();
    client.post_as("/v1/positions", &[("Dunlin-Overload", policy)], lines)?.json()
}

/// The figure of a source, by what became of its records.
fn figure(client: &Client, source: &str, outcome: &str) -> Result<u64> {
    let text = client.get("/metrics")?.text;
    let mut lines = text.lines().filter(|line| line.starts_with("dunlin_source_records_total"));
    let has = |line: &&str, name: &str, value: &str| line.contains(&format!("{name}=\"{value}\""));
    let line = lines.find(|it| has(it, "source", source) && has(it, "outcome", outcome));
    Ok(line.and_then(|line| line.rsplit(' ').next()).map_or(Ok(0), str::parse)?)
}

#[test]
fn the_newest_position_of_each_object_waits_and_the_others_are_counted() -> Result<()> {
    let (server, client) = start()?;
    let (mut sent, mut held, mut accepted) = (0, 0, 0);
    // Two in a row that were held: at the end of an epoch the first of them goes on.
    let mut held_last = false;
    loop {
        sent += 1;
        ensure!(sent < 100, "nothing was held");
        let said = send(&client, "latest", sent as f64)?;
        assert_eq!((&said["shed"], &said["rejected"]), (&json!(0), &json!(0)));
        held += said["held"].as_u64().unwrap_or_default();
        accepted += said["accepted"].as_u64().unwrap_or_default();
        let was_held = said["held"] == ROWS;
        if held_last && was_held {
            break;
        }
        held_last = was_held;
    }
    assert_eq!(accepted + held, sent * ROWS);
    // What was held comes by itself when there is credit again.
    for object in ["a", "d"] {
        let newest = json!([sent as f64, 0.0]);
        until(|| Ok(client.get(&format!("/v1/objects/{object}"))?.json()?["at"] == newest))?;
    }
    let superseded = figure(&client, "latest", "superseded")?;
    ensure!(superseded >= ROWS, "two in a row were held, and {superseded} superseded");
    assert_eq!(figure(&client, "latest", "admitted")? + superseded, sent * ROWS);
    server.stop()?;
    Ok(())
}

#[test]
fn rows_are_shed_from_their_share_of_the_credit_on() -> Result<()> {
    let (server, client) = start()?;
    let (mut sent, mut shed) = (0, 0);
    while shed == 0 {
        sent += 1;
        ensure!(sent < 100, "nothing was shed");
        let said = send(&client, "shed:70", sent as f64)?;
        shed += said["shed"].as_u64().unwrap_or_default();
        assert_eq!(said["accepted"].as_u64().unwrap_or_default() + shed, ROWS);
    }
    assert_eq!(figure(&client, "shed:70", "shed")?, ROWS);
    assert_eq!(figure(&client, "shed:70", "admitted")?, (sent - 1) * ROWS);
    server.stop()?;
    Ok(())
}

#[test]
fn policies_that_make_no_sense_are_refused() -> Result<()> {
    let (server, client) = start()?;
    let refused = |path: &str, headers: &[(&str, &str)]| {
        let problem = client.post_as(path, headers, "")?.problem(400)?;
        Ok::<_, anyhow::Error>((problem["field"].clone(), problem["detail"].to_string()))
    };
    let (field, detail) = refused("/v1/positions", &[("Dunlin-Overload", "drop")])?;
    ensure!(field == "Dunlin-Overload" && detail.contains("shed:PERCENT"), "{detail}");
    let numbered =
        [("Dunlin-Overload", "latest"), ("Dunlin-Producer", "1"), ("Dunlin-Sequence", "1")];
    let (field, detail) = refused("/v1/positions", &numbered)?;
    ensure!(field == "Dunlin-Overload" && detail.contains("numbered"), "{detail}");
    let (field, detail) = refused("/v1/events", &[("Dunlin-Overload", "shed")])?;
    ensure!(field == "Dunlin-Overload" && detail.contains("passages"), "{detail}");
    server.stop()?;
    Ok(())
}

#[test]
fn streams_say_it_once_and_their_acks_count() -> Result<()> {
    let (server, _) = start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let batch = |producer, sequence| {
        let mut batch = PositionBatch { producer, sequence, ..PositionBatch::default() };
        ["a", "b", "c", "d"].iter().for_each(|it| batch.push(it, (sequence as f64, 0.0).into()));
        batch
    };
    let send = |producer: u64, policy: &'static str| {
        let batches: Vec<PositionBatch> = (1..6).map(|it| batch(producer, it)).collect();
        let mut request = tonic::Request::new(tokio_stream::iter(batches));
        request.metadata_mut().insert("dunlin-overload", policy.parse().expect("plain text"));
        let address = format!("http://{}", server.grpc());
        runtime.block_on(async move {
            let mut ingest = IngestClient::connect(address).await.expect("a server");
            let mut stream = ingest.positions(request).await?.into_inner();
            let (mut rows, mut shed) = (0, 0);
            while let Some(ack) = stream.message().await? {
                rows += ack.accepted + ack.held + ack.shed;
                shed += ack.shed;
            }
            Ok::<_, tonic::Status>((rows, shed))
        })
    };
    let (rows, shed) = send(0, "shed:100")?;
    assert_eq!(rows, 5 * ROWS);
    ensure!(
        shed >= 3 * ROWS,
        "five requests in two epochs at most, and only {shed} rows were shed"
    );
    for (producer, policy, reason) in [(0, "never", "shed:PERCENT"), (7, "latest", "numbered")] {
        let status = send(producer, policy).expect_err("refused");
        ensure!(
            status.code() == tonic::Code::InvalidArgument && status.message().contains(reason),
            "{status}"
        );
    }
    server.stop()?;
    Ok(())
}

#[test]
fn a_file_is_sent_without_waiting() -> Result<()> {
    let (server, _) = start()?;
    let mut file = tempfile::NamedTempFile::new()?;
    writeln!(file, "object,time,lon,lat")?;
    for row in 0..20_000 {
        writeln!(file, "o{},{},1,2", row % 7, 1_600_000_000 + row / 7)?;
    }
    let send = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
        command.arg("send").arg(file.path()).args(["--speed", "max"]);
        command.args(["--url", &format!("http://{}", server.grpc())]).args(more).output()
    };
    let sent = send(&["--overload", "shed:50"])?;
    let said = String::from_utf8_lossy(&sent.stderr).into_owned();
    ensure!(sent.status.success() && said.contains("0 held"), "{said}");
    // Ten batches within a few epochs, each of which takes one.
    ensure!(said.contains("000 shed"), "{said}");
    let both = send(&["--overload", "latest", "--producer", "4"])?;
    ensure!(both.status.code() == Some(2), "{both:?}");
    server.stop()?;
    Ok(())
}
