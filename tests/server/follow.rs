//! Following queries over real sockets: every delta once, whatever is cut or started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::serving::{Client, apply, options, start, start_with, until};
use anyhow::{Context, Result, ensure};
use dunlin::server::{Limits, ServeOptions, Server};
use serde_json::{Value, json};
use tungstenite::Message;

const NEAREST: &str = r#"{"id":"q1","knn":{"k":3,"at":[0,0]}}"#;

/// Six objects that change places again and again, until told to stop.
fn churn(client: &Client, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<Result<u64>> {
    let client = client.clone();
    std::thread::spawn(move || {
        let mut round = 0u64;
        while !stop.load(Ordering::Relaxed) {
            place(&client, round)?;
            round += 1;
        }
        Ok(round)
    })
}

/// Object i at a place that depends on the round.
fn place(client: &Client, round: u64) -> Result<()> {
    let names: Vec<String> = (0..6).map(|it| format!("o{it}")).collect();
    let x = |object: u64| ((object * 7 + round * 5 * (object + 1)) % 13) as f64;
    let rows: Vec<(&str, f64, f64)> =
        (0..).zip(&names).map(|(object, name)| (name.as_str(), 1.0 + x(object), 0.0)).collect();
    client.report(&rows)
}

#[test]
fn a_stream_leads_to_the_answer() -> Result<()> {
    let (server, client) = start()?;
    client.register(NEAREST)?;
    let mut follower = client.follow("q1", None)?;
    client.report(&[("a", 3.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0), ("d", 5.0, 0.0)])?;
    follower.read_until(&["b", "a", "c"])?;
    client.report(&[("d", 1.0, 0.0)])?;
    let delta = follower.next_event()?;
    assert_eq!((delta.kind.as_str(), &delta.data["query"]), ("delta", &json!("q1")));
    assert_eq!(delta.data["changes"][0], json!({"leave": "c"}));
    assert_eq!(delta.data["changes"][1]["enter"]["at"], json!([1.0, 0.0]));
    assert_eq!(delta.data["changes"][1]["enter"]["rank"], 0);
    client.report(&[("b", 1.5, 0.0), ("a", 0.5, 0.0)])?;
    follower.read_until(&["a", "d", "b"])?;
    assert_eq!(client.listed("q1")?, follower.list);
    server.stop()?;
    assert!(follower.next_event().is_err(), "the stream ends with the server");
    Ok(())
}

#[test]
fn who_is_cut_and_resumes_sees_every_delta_once() -> Result<()> {
    let (server, client) = start()?;
    client.register(NEAREST)?;
    let mut steady = client.follow("q1", None)?;
    steady.next_event()?;
    let stop = Arc::new(AtomicBool::new(false));
    let rounds = churn(&client, stop.clone());
    // One reads on; one is cut every few events and goes on after the last.
    let mut seen = Vec::new();
    let mut cut = client.follow("q1", None)?;
    let first = cut.next_event()?;
    for turn in 0..12 {
        for _ in 0..turn % 5 + 1 {
            let event = cut.next_event()?;
            ensure!(event.kind == "delta", "{event:?}");
            seen.push((event.id, event.data.to_string()));
        }
        let mut again = client.follow("q1", cut.last.as_deref())?;
        (again.list, again.last) = (cut.list.clone(), cut.last.clone());
        cut = again;
    }
    stop.store(true, Ordering::Relaxed);
    let rounds = rounds.join().ok().context("the churn does not panic")??;
    ensure!(rounds > 5 && seen.len() > 30, "{rounds} rounds, {} deltas", seen.len());
    let mut expected = Vec::new();
    let last = seen.last().context("there are some")?.0.clone();
    while expected.last().is_none_or(|(id, _)| *id != last) {
        let event = steady.next_event()?;
        expected.push((event.id, event.data.to_string()));
    }
    let start = expected.iter().position(|it| it.0 == first.id).map_or(0, |it| it + 1);
    assert_eq!(seen, expected[start..]);
    assert_eq!(cut.list, steady.list);
    server.stop()?;
    Ok(())
}

fn on_disk(folder: &std::path::Path) -> ServeOptions {
    ServeOptions { data: Some(folder.to_owned()), ..options() }
}

#[test]
fn a_server_that_is_started_again_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, client) = start_with(&on_disk(folder.path()))?;
    client.register(NEAREST)?;
    client.register(r#"{"id":"gone","knn":{"k":1,"at":[0,0]}}"#)?;
    let query = r#"{"id":"c1","cooccurrence":{"xi":"60s","tau":"30m","theta":2}}"#;
    client.register(query)?;
    for camera in ["c1", "c2"] {
        let line = |plate: &str| format!("{{\"stream\":\"{camera}\",\"object\":\"{plate}\"}}\n");
        client.post("/v1/events", line("A") + &line("B"))?;
    }
    let reports = |client: &Client| client.get("/v1/queries/c1/answer")?.json();
    until(|| Ok(reports(&client)?["reports"].as_array().is_some_and(|it| it.len() == 1)))?;
    let reported = reports(&client)?["reports"].clone();
    let mut steady = client.follow("q1", None)?;
    let mut early = client.follow("q1", None)?;
    early.next_event()?;
    for round in 0..20 {
        place(&client, round)?;
    }
    client
        .await_listed("q1", &client.listed("q1")?.iter().map(String::as_str).collect::<Vec<_>>())?;
    assert_eq!(client.delete("/v1/queries/gone")?.status, 204);
    let mut all = Vec::new();
    let listed = client.listed("q1")?;
    while steady.events == 0 || steady.list != listed {
        all.push(steady.next_event()?.id);
    }
    server.stop()?;

    let (server, client) = start_with(&on_disk(folder.path()))?;
    assert_eq!(client.get("/v1/queries")?.json()?["total"], 2);
    assert_eq!(client.listed("q1")?, listed);
    assert_eq!(reports(&client)?["reports"], reported);
    client.get("/v1/queries/gone/answer")?.problem(404)?;
    assert_eq!(client.post("/v1/queries", NEAREST)?.status, 409);
    // Who saw only the first answer gets every delta since, none twice.
    let mut resumed = client.follow("q1", early.last.as_deref())?;
    resumed.list = early.list.clone();
    let mut seen = vec![early.last.clone().context("it read one")?];
    while resumed.list != listed || seen.len() < all.len() {
        let event = resumed.next_event()?;
        ensure!(event.kind == "delta", "{event:?}");
        seen.push(event.id);
    }
    assert_eq!(seen, all);
    client.report(&[("new", 0.1, 0.0)])?;
    let event = resumed.next_event()?;
    assert_eq!((event.kind.as_str(), resumed.list[0].as_str()), ("delta", "new"));
    server.stop()?;
    let other = ServeOptions { epoch_ms: 40, ..on_disk(folder.path()) };
    let error = Server::start(&other).err().context("it must not start")?.to_string();
    assert!(error.contains("--epoch 20ms"), "{error}");
    Ok(())
}

#[test]
fn a_web_socket_says_the_same() -> Result<()> {
    let (server, client) = start()?;
    client.register(NEAREST)?;
    client.report(&[("a", 3.0, 0.0), ("b", 2.0, 0.0)])?;
    client.await_listed("q1", &["b", "a"])?;
    let url = client.url("/v1/queries/q1/ws").replace("http", "ws");
    let (mut socket, _) = tungstenite::connect(&url)?;
    let mut hear = || -> Result<Value> {
        loop {
            if let Message::Text(text) = socket.read()? {
                return Ok(serde_json::from_str(&text)?);
            }
        }
    };
    let first = hear()?;
    assert_eq!(first["event"], "answer");
    assert_eq!(crate::serving::ids(&first["data"])?, ["b", "a"]);
    client.report(&[("a", 1.0, 0.0)])?;
    let (next, mut list) = (hear()?, vec!["b".to_owned(), "a".to_owned()]);
    apply(&mut list, "delta", &next["data"])?;
    assert_eq!(list, ["a", "b"]);
    let after = format!("{url}?after={}", first["id"].as_str().context("an id")?);
    let (mut again, _) = tungstenite::connect(after)?;
    let Message::Text(text) = again.read()? else { anyhow::bail!("no text") };
    assert_eq!(serde_json::from_str::<Value>(&text)?, next);
    assert!(tungstenite::connect(url.replace("q1", "q2")).is_err());
    client.get("/v1/queries/q1/stream?after=x")?.problem(400)?;
    client.delete("/v1/queries/q1")?;
    let closed = loop {
        match hear() {
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    assert!(closed.to_lowercase().contains("close"), "{closed}");
    server.stop()?;
    Ok(())
}

#[test]
fn subscribers_are_limited_and_a_place_is_free_again() -> Result<()> {
    let limits = Limits { subscribers_per_query_max: 3, ..Limits::default() };
    let (server, client) = start_with(&ServeOptions { limits, ..options() })?;
    client.register(NEAREST)?;
    let follow = || client.follow("q1", None);
    let mut open = vec![follow()?, follow()?, follow()?];
    open[0].next_event()?;
    client.get("/v1/queries/q1/stream")?.problem(429)?;
    drop(open.pop());
    // The server sees that a client is gone when it writes to it.
    let moves = AtomicU64::new(0);
    until(|| {
        let x = moves.fetch_add(1, Ordering::Relaxed) as f64;
        client.report(&[("a", x % 50.0, 0.0), ("b", 49.0 - x % 50.0, 0.0)])?;
        std::thread::sleep(Duration::from_millis(20));
        Ok(follow().is_ok())
    })?;
    server.stop()?;
    Ok(())
}

#[test]
fn the_map_shows_what_is_in_view() -> Result<()> {
    let (server, client) = start()?;
    let names: Vec<String> = (0..300).map(|it| format!("o{it}")).collect();
    let rows: Vec<(&str, f64, f64)> =
        (0..).zip(&names).map(|(it, name)| (name.as_str(), f64::from(it) * 0.1, 1.0)).collect();
    client.report(&rows)?;
    client.register(r#"{"id":"q1","knn":{"k":2,"at":[0,1]}}"#)?;
    client.await_listed("q1", &["o0", "o1"])?;
    let (mut socket, _) = tungstenite::connect(client.url("/v1/map").replace("http", "ws"))?;
    socket.send(Message::text("nonsense"))?;
    let Message::Text(problem) = socket.read()? else { anyhow::bail!("no text") };
    assert!(serde_json::from_str::<Value>(&problem)?["problem"].is_string());
    socket.send(Message::text(
        json!({"view": [4.95, 0, 10.05, 2], "queries": ["q1", "q9"]}).to_string(),
    ))?;
    let Message::Text(text) = socket.read()? else { anyhow::bail!("no text") };
    let frame: Value = serde_json::from_str(&text)?;
    assert_eq!(
        (&frame["objects"], &frame["shown"], &frame["sampled"]),
        (&json!(300), &json!(51), &json!(false))
    );
    assert_eq!(crate::serving::ids(&frame["answers"][0])?, ["o0", "o1"]);
    assert_eq!(frame["answers"].as_array().map(Vec::len), Some(1));
    assert!(frame["rates"]["positions"].is_number() && frame["lag_ms"].is_number(), "{frame}");
    let strips = frame["strips"].as_array().context("a list")?;
    assert_eq!(strips.iter().filter_map(|it| it["objects"].as_u64()).sum::<u64>(), 300);
    let Message::Binary(bytes) = socket.read()? else { anyhow::bail!("no bytes") };
    assert_eq!((bytes.len(), bytes[0]), (24 + 51 * 12, 51));
    socket.send(Message::text(json!({"view": [-1, 0, 100, 2], "max": 60}).to_string()))?;
    until(|| {
        let Message::Text(text) = socket.read()? else { return Ok(false) };
        let frame: Value = serde_json::from_str(&text)?;
        let shown = frame["shown"].as_u64().context("a number")?;
        Ok(frame["sampled"] == true && (20..=120).contains(&shown))
    })?;
    server.stop()?;
    Ok(())
}

#[test]
fn shards_are_cut_when_there_are_objects_enough_and_answers_stay() -> Result<()> {
    let (server, client) = start_with(&ServeOptions { shards: 3, ..options() })?;
    client.register(r#"{"id":"q1","knn":{"k":4,"at":[15,1]}}"#)?;
    let names: Vec<String> = (0..3_000).map(|it| format!("o{it}")).collect();
    let rows: Vec<(&str, f64, f64)> =
        (0..).zip(&names).map(|(it, name)| (name.as_str(), f64::from(it) * 0.01, 1.0)).collect();
    client.report(&rows)?;
    let nearest = ["o1500", "o1499", "o1501", "o1498"];
    client.await_listed("q1", &nearest)?;
    until(|| {
        let state = client.get("/v1/state")?.json()?;
        Ok(state["shards"].as_array().map(Vec::len) == Some(3))
    })?;
    assert_eq!(client.listed("q1")?, nearest);
    let mut follower = client.follow("q1", None)?;
    client.report(&[("o7", 15.0, 1.0)])?;
    follower.read_until(&["o1500", "o7", "o1499", "o1501"])?;
    server.stop()?;
    Ok(())
}
