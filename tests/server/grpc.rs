//! The gRPC face over real sockets: the same queries and answers as over HTTP, batches acknowledged in
//! order, and what is wrong as a status.

use crate::serving::{Client, PATIENCE, apply, options, start, start_with, until};
use std::net::TcpStream;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dunlin::server::proto::ask_client::AskClient;
use dunlin::server::proto::ingest_client::IngestClient;
use dunlin::server::proto::queries_client::QueriesClient;
use dunlin::server::proto::state_client::StateClient;
use dunlin::server::proto::subscribe_client::SubscribeClient;
use dunlin::server::proto::{
    Ack, AskRequest, CreateRequest, EventBatch, ListRequest, ObjectId, PositionBatch, QueryId,
    StateRequest, SubscribeRequest, event,
};
use dunlin::server::{Limits, ServeOptions, Server};
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::Code;
use tonic::transport::Channel;

fn connect(server: &Server) -> Result<(Runtime, Channel)> {
    let runtime = Runtime::new()?;
    let channel = Channel::from_shared(format!("http://{}", server.grpc()))?;
    let channel = runtime.block_on(channel.connect())?;
    Ok((runtime, channel))
}

fn batch(producer: u64, sequence: u64, rows: &[(&str, f64, f64)]) -> PositionBatch {
    PositionBatch {
        producer,
        sequence,
        objects: rows.iter().map(|row| row.0.to_owned()).collect(),
        times: Vec::new(),
        x: rows.iter().map(|row| row.1).collect(),
        y: rows.iter().map(|row| row.2).collect(),
        ..PositionBatch::default()
    }
}

async fn send(channel: &Channel, batches: Vec<PositionBatch>) -> Result<Vec<Ack>, tonic::Status> {
    let mut ingest = IngestClient::new(channel.clone());
    let mut stream = ingest.positions(tokio_stream::iter(batches)).await?.into_inner();
    let mut acks = Vec::new();
    while let Some(ack) = stream.message().await? {
        acks.push(ack);
    }
    Ok(acks)
}

#[test]
fn batches_are_acknowledged_in_order_and_take_effect_once() -> Result<()> {
    let (server, client) = start()?;
    let (runtime, channel) = connect(&server)?;
    let mut batches: Vec<PositionBatch> =
        (1..=50).map(|it| batch(5, it, &[("a", it as f64, 0.0), ("b", 200.0, 0.0)])).collect();
    batches.push(batch(5, 20, &[("a", 99.0, 0.0)]));
    let acks = runtime.block_on(send(&channel, batches))?;
    let sequences: Vec<u64> = acks.iter().map(|ack| ack.sequence).collect();
    assert_eq!(sequences, (1..=50).chain([20]).collect::<Vec<_>>());
    assert!(acks[..50].iter().all(|ack| (ack.accepted, ack.rejected) == (1, 1)));
    assert_eq!((acks[0].errors[0].row, acks[0].errors[0].reason.contains("longitude")), (2, true));
    until(|| Ok(client.get("/v1/state")?.json()?["records"]["duplicate"] == 1))?;
    let object = runtime
        .block_on(AskClient::new(channel.clone()).get_object(ObjectId { id: "a".to_owned() }))?;
    assert_eq!((object.get_ref().x, object.get_ref().time.is_some()), (50.0, true));
    let mut torn = batch(5, 60, &[("a", 1.0, 0.0)]);
    torn.y.clear();
    let status = runtime.block_on(send(&channel, vec![torn])).err().context("columns differ")?;
    assert_eq!(status.code(), Code::InvalidArgument);
    let status = runtime.block_on(send(&channel, vec![batch(1 << 63, 1, &[])])).err();
    assert_eq!(status.map(|it| it.code()), Some(Code::InvalidArgument));
    server.stop()?;
    Ok(())
}

#[test]
fn names_in_columns_are_as_good_as_names_in_a_list() -> Result<()> {
    let (server, client) = start()?;
    let (runtime, channel) = connect(&server)?;
    let mut columns = PositionBatch::default();
    for (name, x) in [("a", 1.0), ("zürich 7", 2.0), ("", 3.0), ("b", 4.0)] {
        columns.push(name, (x, 0.0).into());
    }
    let acks = runtime.block_on(send(&channel, vec![columns.clone()]))?;
    assert_eq!((acks[0].accepted, acks[0].rejected, acks[0].errors[0].row), (3, 1, 3));
    client.register(r#"{"id":"all","within":{"radius":1000000,"at":[0,0]}}"#)?;
    client.await_listed("all", &["a", "zürich 7", "b"])?;
    let cuts: [fn(&mut PositionBatch); 5] = [
        |batch| batch.name_bytes[0] = 2,
        |batch| batch.name_bytes.truncate(3),
        |batch| batch.name_bytes[3] = u32::MAX,
        |batch| batch.name_bytes[..2].copy_from_slice(&[3, 6]),
        |batch| batch.objects = vec!["a".to_owned(); 4],
    ];
    for (number, cut) in cuts.into_iter().enumerate() {
        let mut batch = columns.clone();
        cut(&mut batch);
        let refused = runtime.block_on(send(&channel, vec![batch])).err();
        assert_eq!(refused.map(|it| it.code()), Some(Code::InvalidArgument), "{number}");
    }
    server.stop()?;
    Ok(())
}

#[test]
fn queries_questions_and_state_are_those_of_http() -> Result<()> {
    let (server, client) = start()?;
    let (runtime, channel) = connect(&server)?;
    client.report(&[("a", 1.0, 0.0), ("b", 2.0, 0.0)])?;
    runtime.block_on(async {
        let mut queries = QueriesClient::new(channel.clone());
        let json = r#"{"id":"q1","knn":{"k":2,"at":[0,0]}}"#.to_owned();
        queries.create(CreateRequest { json: json.clone() }).await?;
        let again = queries.create(CreateRequest { json: json.clone() }).await.err();
        assert_eq!(again.map(|it| it.code()), Some(Code::AlreadyExists));
        let wrong = queries.create(CreateRequest { json: "{}".to_owned() }).await.err();
        assert_eq!(wrong.map(|it| it.code()), Some(Code::InvalidArgument));
        let id = || QueryId { id: "q1".to_owned() };
        assert_eq!(queries.get(id()).await?.into_inner().json, json);
        let list = queries.list(ListRequest { offset: 0, limit: 0 }).await?.into_inner();
        assert_eq!((list.total, list.queries[0].id.as_str()), (1, "q1"));
        let question = AskRequest { json: r#"{"knn":{"k":9,"at":[0,0]}}"#.to_owned() };
        let answer = AskClient::new(channel.clone()).ask(question).await?.into_inner();
        let ids: Vec<&str> = answer.objects.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        let state = StateClient::new(channel.clone()).get_state(StateRequest {}).await?;
        let state: Value = serde_json::from_str(&state.into_inner().json)?;
        assert_eq!((&state["objects"], &state["queries"]), (&2.into(), &1.into()));
        queries.delete(id()).await?;
        assert_eq!(queries.delete(id()).await.err().map(|it| it.code()), Some(Code::NotFound));
        anyhow::Ok(())
    })?;
    client.get("/v1/queries/q1")?.problem(404)?;
    server.stop()?;
    Ok(())
}

/// The list that a query leads to over gRPC, and its events' JSON.
async fn follow(channel: &Channel, last: &[&str]) -> Result<Vec<(String, Value)>> {
    let request = SubscribeRequest { id: "q1".to_owned(), resume_after: None };
    let mut events = SubscribeClient::new(channel.clone()).subscribe(request).await?.into_inner();
    let (mut list, mut seen, mut middle) = (Vec::new(), Vec::new(), None);
    while list != last {
        let told = events.message().await?.context("it goes on")?;
        let kind = if told.kind() == event::Kind::Answer { "answer" } else { "delta" };
        let data: Value = serde_json::from_str(&told.json)?;
        apply(&mut list, kind, &data)?;
        seen.push((kind.to_owned(), data));
        if seen.len() == 2 {
            middle = told.position;
        }
    }
    // Who resumes after the second event gets the rest.
    let request = SubscribeRequest { id: "q1".to_owned(), resume_after: middle };
    let mut rest = SubscribeClient::new(channel.clone()).subscribe(request).await?.into_inner();
    for (_, data) in &seen[2..] {
        let told = rest.message().await?.context("it goes on")?;
        ensure!(serde_json::from_str::<Value>(&told.json)? == *data, "{} is not {data}", told.json);
    }
    Ok(seen)
}

#[test]
fn subscribers_hear_what_those_of_http_hear() -> Result<()> {
    let (server, client) = start()?;
    let (runtime, channel) = connect(&server)?;
    client.register(r#"{"id":"q1","knn":{"k":3,"at":[0,0]}}"#)?;
    let mut over_http = client.follow("q1", None)?;
    let mut heard = vec![over_http.next_event()?];
    let told = std::thread::scope(|scope| -> Result<_> {
        let told = scope.spawn(|| runtime.block_on(follow(&channel, &["g", "f", "e"])));
        until(|| Ok(client.get("/v1/state")?.json()?["subscribers"] == 2))?;
        for (place, name) in ["a", "b", "c", "d", "e", "f", "g"].iter().enumerate() {
            client.report(&[(name, 10.0 - place as f64, 0.0)])?;
            while over_http.list.first().map(String::as_str) != Some(name) {
                heard.push(over_http.next_event()?);
            }
        }
        told.join().ok().context("it does not panic")?
    })?;
    let heard: Vec<(String, Value)> = heard.into_iter().map(|it| (it.kind, it.data)).collect();
    assert_eq!(told[1..], heard[1..]);
    let request = SubscribeRequest { id: "none".to_owned(), resume_after: None };
    let none = runtime.block_on(SubscribeClient::new(channel).subscribe(request)).err();
    assert_eq!(none.map(|it| it.code()), Some(Code::NotFound));
    server.stop()?;
    Ok(())
}

#[test]
fn passages_make_reports() -> Result<()> {
    let (server, client): (Server, Client) = start()?;
    let (runtime, channel) = connect(&server)?;
    client.register(r#"{"id":"c1","cooccurrence":{"xi":"60s","tau":"30m","theta":2}}"#)?;
    let owned = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect();
    let passages = EventBatch {
        streams: owned(&["x", "x", "y", "y", ""]),
        objects: owned(&["A", "B", "A", "B", "C"]),
        ..EventBatch::default()
    };
    let ack = runtime.block_on(async {
        let mut ingest = IngestClient::new(channel);
        let mut acks = ingest.events(tokio_stream::iter([passages])).await?.into_inner();
        acks.message().await?.context("an ack")
    })?;
    assert_eq!((ack.accepted, ack.rejected), (4, 1));
    until(|| {
        let answer = client.get("/v1/queries/c1/answer")?.json()?;
        Ok(answer["reports"][0]["objects"] == serde_json::json!(["A", "B"]))
    })?;
    server.stop()?;
    Ok(())
}

#[test]
fn health_and_reflection_are_on() -> Result<()> {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    let (server, _) = start()?;
    let (runtime, channel) = connect(&server)?;
    let seen = runtime.block_on(async {
        let service = "dunlin.v1.Ingest".to_owned();
        let health =
            HealthClient::new(channel.clone()).check(HealthCheckRequest { service }).await?;
        assert_eq!(health.into_inner().status, 1);
        let list = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut reflection = ServerReflectionClient::new(channel);
        let stream = reflection.server_reflection_info(tokio_stream::iter([list])).await?;
        let seen = stream.into_inner().message().await?.context("an answer")?;
        anyhow::Ok(format!("{seen:?}"))
    })?;
    for service in ["Ingest", "Queries", "Subscribe", "Ask", "State"] {
        ensure!(seen.contains(&format!("dunlin.v1.{service}")), "{seen}");
    }
    server.stop()?;
    Ok(())
}

#[test]
fn there_are_no_more_connections_than_the_limit() -> Result<()> {
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let (server, _) = start_with(&ServeOptions { limits, ..options() })?;
    let held = TcpStream::connect(server.grpc())?;
    let channel = Channel::from_shared(format!("http://{}", server.grpc()))?;
    Runtime::new()?.block_on(async {
        let ask = async {
            let mut state = StateClient::new(channel.connect().await?);
            anyhow::Ok(state.get_state(StateRequest {}).await?)
        };
        let mut asked = pin!(ask);
        let early = tokio::time::timeout(Duration::from_millis(300), &mut asked).await;
        ensure!(early.is_err(), "a second connection was let in: {early:?}");
        drop(held);
        tokio::time::timeout(PATIENCE, asked).await??;
        anyhow::Ok(())
    })?;
    server.stop()?;
    Ok(())
}

#[test]
fn there_are_no_more_streams_of_batches_than_the_limit() -> Result<()> {
    let limits = Limits { feeds_max: 1, ..Limits::default() };
    let (server, _) = start_with(&ServeOptions { limits, ..options() })?;
    let (runtime, channel) = connect(&server)?;
    runtime.block_on(async {
        let (held, stream) = tokio::sync::mpsc::channel(1);
        let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
        let mut first = IngestClient::new(channel.clone());
        let mut acks = first.positions(stream).await?.into_inner();
        held.send(batch(1, 1, &[("a", 1.0, 1.0)])).await?;
        acks.message().await?.context("an ack")?;
        let second = send(&channel, vec![batch(2, 1, &[])]).await.err();
        assert_eq!(second.map(|it| it.code()), Some(Code::ResourceExhausted));
        drop(held);
        ensure!(acks.message().await?.is_none(), "an ack too many");
        anyhow::Ok(())
    })?;
    until(|| Ok(runtime.block_on(send(&channel, vec![batch(2, 1, &[])])).is_ok()))?;
    server.stop()?;
    Ok(())
}
