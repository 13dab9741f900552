//! Clients that do what they should not: the server stays up and answers the others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::serving::{Client, PATIENCE, options, start, start_with, until};
use anyhow::{Context, Result, ensure};
use dunlin::server::{Limits, ServeOptions, Server};

/// A server whose patience is short.
fn impatient() -> Result<(Server, Client)> {
    let limits = Limits { head_ms_max: 400, body_ms_max: 400, ..Limits::default() };
    start_with(&ServeOptions { limits, ..options() })
}

fn raw(client: &Client) -> Result<TcpStream> {
    let stream = TcpStream::connect(client.base.trim_start_matches("http://"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// All that the server sends until it closes.
fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset ends it as well.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn who_sends_slowly_is_cut() -> Result<()> {
    let (server, client) = impatient()?;
    let mut head = raw(&client)?;
    head.write_all(b"GET /healthz HTTP/1.1\r\nHost: local")?;
    let mut body = raw(&client)?;
    body.write_all(
        b"POST /v1/positions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{",
    )?;
    // A little more now and then does not help.
    let drip = std::thread::spawn(move || {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE && head.write_all(b"h").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
        begin.elapsed()
    });
    let text = rest(body);
    ensure!(text.starts_with("HTTP/1.1 408") && text.contains("problem+json"), "{text}");
    assert_eq!(client.get("/healthz")?.status, 200);
    let lasted = drip.join().ok().context("it does not panic")?;
    ensure!(lasted < Duration::from_secs(10), "{lasted:?}");
    server.stop()?;
    Ok(())
}

#[test]
fn many_idle_connections_hold_nobody_up_and_end() -> Result<()> {
    // Both ends are in this process.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let (server, client) = impatient()?;
    let idle: Vec<TcpStream> = (0..1_000).map(|_| raw(&client)).collect::<Result<_>>()?;
    client.report(&[("a", 1.0, 1.0)])?;
    assert_eq!(client.get("/healthz")?.status, 200);
    let begin = Instant::now();
    for stream in idle {
        assert_eq!(rest(stream), "");
    }
    ensure!(begin.elapsed() < PATIENCE, "idle connections stay open");
    server.stop()?;
    Ok(())
}

#[test]
fn there_are_no_more_connections_than_the_limit() -> Result<()> {
    let limits = Limits { connections_max: 3, ..Limits::default() };
    let (server, client) = start_with(&ServeOptions { limits, ..options() })?;
    let mut open: Vec<TcpStream> = (0..3).map(|_| raw(&client)).collect::<Result<_>>()?;
    std::thread::sleep(Duration::from_millis(100));
    let mut waits = raw(&client)?;
    waits.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    waits.set_read_timeout(Some(Duration::from_millis(300)))?;
    ensure!(waits.read(&mut [0; 1]).is_err(), "a fourth connection is served");
    waits.set_read_timeout(Some(PATIENCE))?;
    open.pop();
    ensure!(rest(waits).starts_with("HTTP/1.1 200"), "a free place is not used");
    server.stop()?;
    Ok(())
}

#[test]
fn bodies_and_heads_that_are_too_large_are_refused() -> Result<()> {
    let (server, client) = start()?;
    let line = "{\"object\":\"a\",\"at\":[1,1]}\n";
    let large = line.repeat((16 << 20) / line.len() + 1);
    client.post("/v1/positions", &large)?.problem(413)?;
    let fits = &large[..large.len() - line.len()];
    let taken = client.post("/v1/positions", fits)?.json()?;
    assert_eq!(taken["accepted"], fits.len() / line.len());
    let mut stream = raw(&client)?;
    let long =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(200_000));
    let _ = stream.write_all(long.as_bytes());
    let text = rest(stream);
    ensure!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    let mut stream = raw(&client)?;
    stream.write_all(b"\x16\x03\x01 no HTTP at all\r\n\r\n")?;
    ensure!(!rest(stream).contains("200"), "noise is answered");
    assert_eq!(client.get("/readyz")?.status, 200);
    server.stop()?;
    Ok(())
}

/// Or the next request on the connection would begin in the middle of this one's body.
#[test]
fn a_body_that_is_not_read_ends_the_connection() -> Result<()> {
    let (server, client) = start()?;
    let mut stream = raw(&client)?;
    let length = 17 << 20;
    write!(
        stream,
        "POST /v1/positions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    )?;
    let text = rest(stream);
    ensure!(text.starts_with("HTTP/1.1 413"), "{text}");
    ensure!(text.to_lowercase().contains("connection: close"), "{text}");
    server.stop()?;
    Ok(())
}

/// Or a client that keeps its connection would lose the request after one that is refused.
#[test]
fn a_refused_body_that_comes_late_leaves_the_connection_open() -> Result<()> {
    let (server, client) = start()?;
    let mut stream = raw(&client)?;
    let refused = "POST /v1/positions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n";
    for _ in 0..3 {
        write!(stream, "{refused}Content-Length: 5\r\n\r\n")?;
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(b"GET /")?;
    }
    // Who waits to be told to go on is refused and sends nothing.
    write!(stream, "{refused}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")?;
    let text = rest(stream).to_lowercase();
    let statuses: Vec<_> = text.matches("http/1.1 415").collect();
    ensure!(statuses.len() == 4 && text.matches("http/1.1").count() == 4, "{text}");
    let closed: Vec<_> = text.match_indices("connection: close").collect();
    ensure!(closed.len() == 1 && text.rfind("http/1.1") < Some(closed[0].0), "{text}");
    server.stop()?;
    Ok(())
}

#[test]
fn odd_json_is_a_bad_row_and_nothing_more() -> Result<()> {
    let (server, client) = start()?;
    let deep =
        format!("{{\"object\":\"a\",\"at\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let rows = [
        deep.as_str(),
        r#"{"object":"a","at":[1e308,1e308]}"#,
        r#"{"object":"a","at":[-1e400,0]}"#,
        r#"{"object":"a","at":[1,1],"time":99999999999999999999999}"#,
        r#"{"object":"a","at":[1,1],"time":-9223372036854775808}"#,
        r#"{"object":"a","object":"b","at":[1,1]}"#,
        "[[[[[[",
        "\u{0}",
        r#"{"object":"\ud800","at":[1,1]}"#,
    ];
    let taken = client.post("/v1/positions", rows.join("\n"))?.json()?;
    assert_eq!(
        (taken["accepted"].as_u64(), taken["rejected"].as_u64()),
        (Some(0), Some(rows.len() as u64))
    );
    let taken = client.post("/v1/positions", [0xff, 0xfe, b'\n', 0x80])?.json()?;
    assert_eq!(taken["rejected"], 2);
    let long = format!("{{\"object\":\"{}\",\"at\":[1,1]}}", "n".repeat(257));
    assert_eq!(client.post("/v1/positions", long)?.json()?["rejected"], 1);
    server.stop()?;
    Ok(())
}

#[test]
fn pages_of_other_sites_are_kept_out() -> Result<()> {
    let (server, client) = start()?;
    let line = "{\"object\":\"a\",\"at\":[1,1]}";
    client.post_as("/v1/positions", &[("origin", "http://evil.example")], line)?.problem(403)?;
    client.post_as("/v1/positions", &[("host", "evil.example")], line)?.problem(403)?;
    let own = client.base.clone();
    assert_eq!(client.post_as("/v1/positions", &[("origin", &own)], line)?.status, 200);
    server.stop()?;
    Ok(())
}

#[test]
fn subscribers_that_never_read_hold_nobody_up() -> Result<()> {
    const OBJECTS: usize = 300;
    let (server, client) = start()?;
    client.register(r#"{"id":"q1","knn":{"k":300,"at":[0,0]}}"#)?;
    let mut deaf = Vec::new();
    for _ in 0..100 {
        let mut stream = raw(&client)?;
        stream.write_all(b"GET /v1/queries/q1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        deaf.push(stream);
    }
    until(|| Ok(client.get("/v1/state")?.json()?["subscribers"] == 100))?;
    let names: Vec<String> = (0..OBJECTS).map(|it| format!("object {it}")).collect();
    let begin = Instant::now();
    for round in 0..60 {
        let x = |object: usize| ((object * 7 + round * 31) % OBJECTS) as f64 / 10.0;
        let rows: Vec<(&str, f64, f64)> =
            names.iter().enumerate().map(|(it, name)| (name.as_str(), x(it), 1.0)).collect();
        client.report(&rows)?;
    }
    ensure!(begin.elapsed() < PATIENCE, "{:?} for 60 rounds", begin.elapsed());
    until(|| Ok(client.listed("q1")?.len() == OBJECTS))?;
    let mut follower = client.follow("q1", None)?;
    let first = follower.next_event()?;
    assert_eq!((first.kind.as_str(), follower.list.len()), ("answer", OBJECTS));
    client.report(&[("object 0", 29.95, 0.0)])?;
    until(|| Ok(follower.next_event()?.kind == "delta"))?;
    drop(deaf);
    server.stop()?;
    Ok(())
}

#[test]
fn a_client_that_does_not_wait_leaves_nothing_half_done() -> Result<()> {
    let (server, client) = start()?;
    for turn in 0..20 {
        let query = format!(r#"{{"id":"q{turn}","knn":{{"k":1,"at":[0,0]}}}}"#);
        let head = "POST /v1/queries HTTP/1.1\r\nHost: localhost\r\nContent-Length:";
        let mut stream = raw(&client)?;
        stream.write_all(format!("{head} {}\r\n\r\n{query}", query.len()).as_bytes())?;
        std::thread::sleep(Duration::from_millis(turn));
    }
    for turn in 0..20 {
        let path = format!("/v1/queries/q{turn}");
        // It was registered, or the request was never read; it is not in between.
        until(|| Ok([204, 404].contains(&client.delete(&path)?.status)))?;
        let query = format!(r#"{{"id":"q{turn}","knn":{{"k":1,"at":[0,0]}}}}"#);
        until(|| Ok(client.post("/v1/queries", &query)?.status == 201))?;
    }
    assert_eq!(client.get("/v1/queries")?.json()?["total"], 20);
    server.stop()?;
    Ok(())
}

#[test]
fn bodies_have_only_so_much_memory_together() -> Result<()> {
    let limits = Limits { bodies_bytes_max: 64 << 10, ..Limits::default() };
    let (server, client) = start_with(&ServeOptions { limits, ..options() })?;
    let line = "{\"object\":\"a\",\"at\":[1,1]}\n";
    for _ in 0..3 {
        let fits = line.repeat(60_000 / line.len());
        assert_eq!(client.post("/v1/positions", fits)?.status, 200);
        if let Ok(answer) = client.post("/v1/positions", line.repeat(200_000 / line.len())) {
            answer.problem(503)?;
        }
    }
    server.stop()?;
    Ok(())
}
