//! Every path of the HTTP face over real sockets: what it gives, and what it says to what is wrong.

use crate::serving::{Client, options, start, start_with, until};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use dunlin::datasets::generate::City;
use dunlin::server::{Limits, ServeOptions, Server, TileServer};
use dunlin_index::SpaceKind;
use serde_json::{Value, json};

const NEAREST: &str = r#"{"id":"q1","knn":{"k":2,"at":[0,0]}}"#;

#[test]
fn positions_come_as_lines_csv_and_features() -> Result<()> {
    let (server, client) = start()?;
    client.register(r#"{"id":"all","within":{"radius":1000000,"at":[0,0]}}"#)?;
    let lines = concat!(
        "{\"object\":\"a\",\"at\":[0.1,0.1]}\r\n\n",
        "{\"object\":\"b\",\"at\":[200,0]}\n",
        "{\"object\":\"\",\"at\":[0,0]}\n",
        "no line\n",
        "{\"object\":\"c\",\"at\":[0.2,0.2],\"time\":\"9000-01-01T00:00:00Z\"}\n",
        "{\"object\":\"d\",\"at\":[0.2,0.2],\"time\":\"soon\"}\n",
        "{\"object\":\"e\"}\n",
        "{\"object\":\"f\",\"at\":[1e999,0]}\n",
    );
    let taken = client.post("/v1/positions", lines)?.json()?;
    assert_eq!((&taken["accepted"], &taken["rejected"]), (&json!(1), &json!(7)));
    let errors = taken["errors"].as_array().context("a list")?;
    let numbers: Vec<_> = errors.iter().map(|it| it["line"].as_u64()).collect();
    assert_eq!(numbers, [Some(3), Some(4), Some(5), Some(6), Some(7)]);
    assert!(errors[0]["reason"].as_str().is_some_and(|it| it.contains("longitude")), "{errors:?}");
    assert!(errors[3]["reason"].as_str().is_some_and(|it| it.contains("ahead")), "{errors:?}");

    let csv = "object,lon,lat,time\ng,0.3,0.3,\nh,x,0.3,\n\"i, \"\"j\"\"\",0.4,0.4,\nk,0.4\n";
    let taken = client.post_as("/v1/positions", &[("content-type", "text/csv")], csv)?.json()?;
    assert_eq!((&taken["accepted"], &taken["rejected"]), (&json!(2), &json!(2)));
    assert_eq!(taken["errors"][0]["line"], 3);
    let point = |object: &str, x: f64| json!({"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, x]}, "properties": {"object": object}});
    let features =
        json!({"type": "FeatureCollection", "features": [point("l", 0.5), point("", 0.6)]});
    let geojson = [("content-type", "application/geo+json; charset=utf-8")];
    let taken = client.post_as("/v1/positions", &geojson, features.to_string())?.json()?;
    assert_eq!((&taken["accepted"], &taken["rejected"]), (&json!(1), &json!(1)));
    client.await_listed("all", &["a", "g", "i, \"j\"", "l"])?;

    client.post_as("/v1/positions", &geojson, "{}")?.problem(400)?;
    let headless =
        client.post_as("/v1/positions", &[("content-type", "text/csv")], "a,b\n1,2\n")?;
    assert_eq!(headless.problem(400)?["field"], "header");
    client.post_as("/v1/positions", &[("content-type", "image/png")], "x")?.problem(415)?;
    for path in ["/v1/positions", "/v1/events", "/v1/queries", "/v1/query"] {
        client.post_as(path, &[("content-encoding", "gzip")], "x")?.problem(415)?;
    }
    server.stop()?;
    Ok(())
}

#[test]
fn a_numbered_request_takes_effect_once() -> Result<()> {
    let (server, client) = start()?;
    let send = |sequence: &str, x: f64| {
        let headers = [("dunlin-producer", "9"), ("dunlin-sequence", sequence)];
        let line = json!({"object": "a", "at": [x, 0.0]}).to_string();
        client.post_as("/v1/positions", &headers, line)
    };
    assert_eq!(send("1", 1.0)?.status, 200);
    assert_eq!(send("2", 2.0)?.status, 200);
    // Sent again, though it says otherwise now.
    assert_eq!(send("2", 3.0)?.status, 200);
    assert_eq!(send("1", 4.0)?.status, 200);
    until(|| {
        let state = client.get("/v1/state")?.json()?;
        Ok(state["records"]["applied"] == 2 && state["records"]["duplicate"] == 2)
    })?;
    assert_eq!(client.get("/v1/objects/a")?.json()?["at"], json!([2.0, 0.0]));
    assert_eq!(send("x", 4.0)?.problem(400)?["field"], "Dunlin-Sequence");
    // One request, many batches.
    let line = |it: u32| format!("{{\"object\":\"b{it}\",\"at\":[1,1]}}\n");
    let lines: String = (0..40_000).map(line).collect();
    for _ in 0..2 {
        let headers = [("dunlin-producer", "9"), ("dunlin-sequence", "3")];
        let taken = client.post_as("/v1/positions", &headers, &lines)?.json()?;
        assert_eq!(taken["accepted"], 40_000);
    }
    until(|| Ok(client.get("/v1/state")?.json()?["records"]["duplicate"] == 40_002))?;
    assert_eq!(client.get("/v1/state")?.json()?["objects"], 40_001);
    server.stop()?;
    Ok(())
}

#[test]
fn a_numbered_request_may_be_as_large_as_any() -> Result<()> {
    let (server, client) = start()?;
    const ROWS: usize = 2_400_000;
    let body = "object,lon,lat\n".to_owned() + &"a,1,2\n".repeat(ROWS);
    for (producer, sequence) in [("5", "1"), ("5", "2")] {
        let headers = [
            ("content-type", "text/csv"),
            ("dunlin-producer", producer),
            ("dunlin-sequence", sequence),
        ];
        let taken = client.post_as("/v1/positions", &headers, &body)?.json()?;
        assert_eq!(taken["accepted"], ROWS);
    }
    until(|| Ok(client.get("/v1/state")?.json()?["records"]["applied"] == 2 * ROWS))?;
    assert_eq!(client.get("/v1/state")?.json()?["records"]["duplicate"], 0);
    server.stop()?;
    Ok(())
}

#[test]
fn absurd_times_are_rejected_and_told() -> Result<()> {
    let limits = Limits { skew_ms: 5_000, ..Limits::default() };
    let (server, client) = start_with(&ServeOptions { ttl_ms: 60_000, limits, ..options() })?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
    let line = |(object, after_s): (&str, i64)| {
        format!("{}\n", json!({"object": object, "at": [1, 1], "time": now + after_s * 1_000}))
    };
    let lines = [("a", 0), ("b", -50), ("c", -70), ("d", 2), ("e", 9)].map(line).concat();
    let taken = client.post("/v1/positions", lines)?.json()?;
    assert_eq!((&taken["accepted"], &taken["rejected"]), (&json!(3), &json!(2)));
    let reasons = taken["errors"].as_array().context("reasons")?;
    let is_told = |row: usize, line: u64, words: &str| {
        let reason = reasons[row]["reason"].as_str().unwrap_or_default();
        reasons[row]["line"] == line && reason.contains(words)
    };
    assert!(is_told(0, 3, "60 s ago") && is_told(1, 5, "5 s ahead"), "{taken}");
    server.stop()?;
    Ok(())
}

#[test]
fn queries_come_are_listed_and_go() -> Result<()> {
    let (server, client) = start()?;
    client.report(&[("a", 1.0, 0.0), ("b", 2.0, 0.0), ("c", 3.0, 0.0)])?;
    let created = client.post("/v1/queries", NEAREST)?;
    assert_eq!((created.status, created.json()?), (201, serde_json::from_str(NEAREST)?));
    client.await_listed("q1", &["a", "b"])?;
    assert_eq!(client.post("/v1/queries", NEAREST)?.problem(409)?["field"], "id");
    client.register(r#"{"id":"of a/b é","knn":{"k":1,"object":"b"}}"#)?;
    client.await_listed("of%20a%2Fb%20%C3%A9", &["a"])?;
    assert_eq!(client.get("/v1/queries/q1")?.json()?["knn"]["k"], 2);
    let page = client.get("/v1/queries?offset=1&limit=5")?.json()?;
    assert_eq!((&page["total"], &page["queries"][0]["id"]), (&json!(2), &json!("of a/b é")));
    client.get("/v1/queries?offset=x")?.problem(400)?;
    for path in ["/v1/queries/q9", "/v1/queries/q9/answer", "/v1/queries/q9/stream"] {
        client.get(path)?.problem(404)?;
    }
    assert_eq!(client.delete("/v1/queries/q1")?.status, 204);
    client.delete("/v1/queries/q1")?.problem(404)?;
    client.get("/v1/queries/q1/answer")?.problem(404)?;
    client.register(NEAREST)?;
    client.await_listed("q1", &["a", "b"])?;
    server.stop()?;
    Ok(())
}

#[test]
fn queries_that_are_wrong_say_where() -> Result<()> {
    let (server, client) = start()?;
    let deep =
        format!(r#"{{"id":"a","inside":{{"area":{}{}}}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let ring = |vertices: usize| {
        let corner = |it: usize| format!("[{},{}]", it % 100, it % 80);
        let corners: Vec<String> = (0..vertices).map(corner).collect();
        format!(
            r#"{{"id":"a","inside":{{"area":{{"type":"Polygon","coordinates":[[{},[0,0]]]}}}}}}"#,
            corners.join(",")
        )
    };
    for (query, field) in [
        (NEAREST.replace("\"k\":2", "\"k\":0"), json!("k")),
        (NEAREST.replace("\"k\":2", "\"k\":10001"), json!("k")),
        (NEAREST.replace("\"k\":2", "\"k\":1e400"), Value::Null),
        (NEAREST.replace("\"k\":2", "\"k\":99999999999999999999"), Value::Null),
        (NEAREST.replace("[0,0]", "[0,91]"), json!("at")),
        (NEAREST.replace("q1", ""), json!("id")),
        (NEAREST.replace("q1", &"q".repeat(257)), json!("id")),
        (NEAREST.replace("knn", "nearest"), json!("nearest")),
        (NEAREST.replace("\"id\":\"q1\",", ""), json!("id")),
        (ring(10_001), json!("area")),
        (deep, Value::Null),
        ("{".to_owned(), Value::Null),
        (String::new(), Value::Null),
    ] {
        let problem = client.post("/v1/queries", &query)?.problem(400);
        let problem = problem.with_context(|| query.chars().take(80).collect::<String>())?;
        assert_eq!(problem["field"], field, "{problem}");
    }
    client.post("/v1/queries", b"\xff\xfe")?.problem(400)?;
    assert_eq!(client.get("/v1/queries")?.json()?["total"], 0);
    server.stop()?;
    Ok(())
}

#[test]
fn questions_are_answered_once() -> Result<()> {
    let (server, client) = start()?;
    client.report(&[("a", 1.0, 0.0), ("b", 2.0, 0.0), ("c", 3.0, 0.0)])?;
    until(|| Ok(client.get("/v1/state")?.json()?["objects"] == 3))?;
    let ask = |question: &str| client.post("/v1/query", question)?.json();
    let answer = ask(r#"{"knn":{"k":2,"object":"c"}}"#)?;
    assert_eq!(crate::serving::ids(&answer)?, ["b", "a"]);
    assert!(
        answer["objects"][0]["distance"].as_f64().is_some_and(|it| (it - 111_195.0).abs() < 1.0)
    );
    assert!(answer["query"].is_null() && answer["time"].is_string(), "{answer}");
    assert_eq!(crate::serving::ids(&ask(r#"{"knn":{"k":2,"object":"nobody"}}"#)?)?, [""; 0]);
    assert_eq!(
        crate::serving::ids(&ask(r#"{"within":{"radius":120000,"at":[1,0]}}"#)?)?,
        ["a", "b"]
    );
    client.post("/v1/query", r#"{"knn":{"k":2}}"#)?.problem(400)?;
    let object = client.get("/v1/objects/a")?.json()?;
    assert_eq!((&object["id"], &object["at"]), (&json!("a"), &json!([1.0, 0.0])));
    assert!(object["time"].as_str().is_some_and(|it| it.ends_with('Z')), "{object}");
    client.get("/v1/objects/nobody")?.problem(404)?;
    server.stop()?;
    Ok(())
}

/// What dashboards and alarms of users stand on: names do not change.
const FIGURES: [&str; 17] = [
    r#"dunlin_records_total{app="positions",outcome="applied"}"#,
    r#"dunlin_records_total{app="positions",outcome="duplicate"}"#,
    r#"dunlin_records_total{app="positions",outcome="late"}"#,
    r#"dunlin_records_rejected_total{app="positions",reason="unreadable"}"#,
    r#"dunlin_records_rejected_total{app="positions",reason="absurd_time"}"#,
    r#"dunlin_records_rejected_total{app="positions",reason="unfit"}"#,
    r#"dunlin_outputs_total{app="positions"}"#,
    r#"dunlin_epochs_total{app="positions"}"#,
    r#"dunlin_epoch_duration_seconds_bucket{app="positions",le="0.02"}"#,
    r#"dunlin_epoch_lag_seconds{app="positions"}"#,
    r#"dunlin_shards{app="positions"}"#,
    r#"dunlin_shard_keys{app="positions",shard="0"}"#,
    r#"dunlin_shard_work_total{app="positions",shard="0"}"#,
    r#"dunlin_checkpoints_total{app="positions",result="written"}"#,
    r#"dunlin_checkpoints_total{app="positions",result="failed"}"#,
    r#"dunlin_checkpoint_bytes{app="positions"}"#,
    r#"dunlin_checkpoint_age_seconds{app="positions"}"#,
];

#[test]
fn the_server_tells_how_it_is() -> Result<()> {
    let (server, client) = start()?;
    client.report(&[("a", 1.0, 0.0)])?;
    assert_eq!(client.get("/healthz")?.text, "ok\n");
    assert_eq!(client.get("/readyz")?.text, "ready\n");
    until(|| Ok(client.get("/v1/state")?.json()?["objects"] == 1))?;
    let state = client.get("/v1/state")?.json()?;
    assert_eq!((&state["space"], &state["lanes"]), (&json!("sphere"), &json!(2)));
    assert_eq!(state["shards"], json!([{"from": null, "to": null, "objects": 1, "queries": 0}]));
    assert_eq!(state["strips"], json!([{"from": null, "to": null, "objects": 1, "shard": 0}]));
    assert_eq!((&state["roads"], &state["bounds"]), (&json!(false), &Value::Null));
    client.get("/v1/map/roads")?.problem(404)?;
    let metrics = client.get("/metrics")?.text;
    for line in FIGURES {
        let figure = metrics.lines().find(|figure| figure.starts_with(line));
        let number = figure.and_then(|figure| figure.rsplit(' ').next()?.parse::<f64>().ok());
        ensure!(number.is_some(), "no {line} in {metrics}");
    }
    let document = client.get("/v1/openapi.json")?.json()?;
    assert_eq!(document["openapi"], "3.1.0");
    let page = client.get("/")?;
    assert!(page.kind.starts_with("text/html") && page.text.contains("Dunlin"), "{page:?}");
    client.get("/nothing")?.problem(404)?;
    client.get("/v1/positions")?.problem(405)?;
    client.get("/v1/queries/q/ws")?.problem(400)?;
    server.stop()?;
    Ok(())
}

#[test]
fn the_map_lies_on_roads() -> Result<()> {
    let city = City { side: 3, ..City::default() }.build()?;
    let count = city.road_count();
    let (server, client) = start_with(&ServeOptions { roads: Some(Arc::new(city)), ..options() })?;
    let state = client.get("/v1/state")?.json()?;
    let bounds = state["bounds"].as_array().context("four sides")?;
    assert_eq!((&state["roads"], bounds.len()), (&json!(true), 4));
    let roads = client.get_bytes("/v1/map/roads")?;
    assert_eq!(roads.len(), 24 + 16 * count);
    server.stop()?;
    Ok(())
}

#[test]
fn the_map_lies_on_the_tiles_of_a_named_server() -> Result<()> {
    let pictures = |client: &Client| -> Result<String> {
        let policy = client.get("/")?.policy.context("the page has a policy")?;
        let of_pictures = policy.split(';').find(|it| it.trim().starts_with("img-src"));
        Ok(of_pictures.context("pictures have a rule")?.trim().to_owned())
    };
    let (server, client) = start()?;
    assert_eq!(client.get("/v1/state")?.json()?["tiles"], Value::Null);
    assert_eq!(pictures(&client)?, "img-src 'self' data:");
    server.stop()?;
    let tiles = TileServer::new("https://a.example.org:81/{z}/{x}/{y}.png")?.credited("\"A\" & b");
    let (server, client) = start_with(&ServeOptions { tiles: Some(tiles), ..options() })?;
    let told = json!({
        "url": "https://a.example.org:81/{z}/{x}/{y}.png", "credit": "\"A\" & b", "zoom_max": 19
    });
    assert_eq!(client.get("/v1/state")?.json()?["tiles"], told);
    assert_eq!(pictures(&client)?, "img-src 'self' data: https://a.example.org:81");
    server.stop()?;
    Ok(())
}

#[test]
fn tiles_need_the_sphere() -> Result<()> {
    let tiles = Some(TileServer::new("http://127.0.0.1/{z}/{x}/{y}")?);
    let on_plane = ServeOptions { tiles, space: SpaceKind::Plane, ..options() };
    let refused = Server::start(&on_plane).err().context("no tiles on the plane")?;
    ensure!(refused.to_string().contains("--space sphere"), "{refused}");
    Ok(())
}

#[test]
fn co_occurrences_are_reported() -> Result<()> {
    let (server, client) = start()?;
    let query = r#"{"id":"c1","cooccurrence":{"xi":"60s","tau":"30m","theta":3}}"#;
    client.register(query)?;
    client.post("/v1/queries", query)?.problem(409)?;
    let bad = r#"{"id":"c2","cooccurrence":{"xi":"60","tau":"30m","theta":3}}"#;
    assert_eq!(client.post("/v1/queries", bad)?.problem(400)?["field"], "xi");
    let mut follower = client.follow("c1", None)?;
    for camera in ["c1", "c2", "c3"] {
        let lines = format!(
            "{{\"stream\":\"{camera}\",\"object\":\"A\"}}\n{{\"stream\":\"{camera}\",\"object\":\"B\"}}\n"
        );
        assert_eq!(client.post("/v1/events", lines)?.json()?["accepted"], 2);
    }
    let wrong = client.post("/v1/events", "{\"stream\":\"\",\"object\":\"A\"}\n{}\n")?.json()?;
    assert_eq!((&wrong["accepted"], &wrong["rejected"]), (&json!(0), &json!(2)));
    let reports = || client.get("/v1/queries/c1/answer")?.json();
    until(|| Ok(reports()?["reports"].as_array().is_some_and(|it| !it.is_empty())))?;
    let report = &reports()?["reports"][0];
    assert_eq!((&report["objects"], &report["support"]), (&json!(["A", "B"]), &json!(3)));
    let first = follower.read_raw()?;
    assert_eq!((first.kind.as_str(), &first.data["reports"]), ("answer", &json!([])));
    let told = follower.read_raw()?;
    assert_eq!((told.kind.as_str(), &told.data["changes"][0]["report"]), ("delta", report));
    assert_eq!(client.delete("/v1/queries/c1")?.status, 204);
    client.get("/v1/queries/c1/answer")?.problem(404)?;
    client.register(query)?;
    assert_eq!(reports()?["reports"], json!([]));
    for number in 2..17 {
        client.register(&query.replace("c1", &format!("d{number}")))?;
    }
    client.post("/v1/queries", query.replace("c1", "d17"))?.problem(429)?;
    server.stop()?;
    Ok(())
}

/// Sends A and B past a camera, so many seconds ago.
fn pass(client: &Client, camera: &str, seconds: i64) -> Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
    let line = |object: &str| {
        let time = now - seconds * 1_000;
        format!("{}\n", json!({"stream": camera, "object": object, "time": time}))
    };
    let taken = client.post("/v1/events", line("A") + &line("B"))?.json()?;
    assert_eq!(taken["accepted"], 2);
    Ok(())
}

#[test]
fn a_co_occurrence_query_says_how_late_passages_may_be() -> Result<()> {
    let (server, client) = start()?;
    let query = |id: &str, more: &str| {
        format!(r#"{{"id":"{id}","cooccurrence":{{"xi":"60s","tau":"30m","theta":3{more}}}}}"#)
    };
    client.register(&query("strict", r#","lateness":"0s""#))?;
    client.register(&query("patient", r#","lateness":"20s""#))?;
    let refused = client.post("/v1/queries", query("x", r#","lateness":"2h""#))?.problem(400)?;
    assert_eq!(refused["field"], "lateness");
    let records = |id: &str, name: &str| {
        let state = client.get("/v1/state")?.json()?;
        let all = state["cooccurrences"].as_array().context("a list")?.clone();
        let query = all.into_iter().find(|it| it["id"] == id).context("the query")?;
        Ok::<_, anyhow::Error>(query["records"][name].clone())
    };
    pass(&client, "c1", 0)?;
    pass(&client, "c2", 0)?;
    until(|| Ok(records("strict", "applied")? == 4 && records("patient", "applied")? == 4))?;
    pass(&client, "c3", 10)?;
    // A later passage ends the wait.
    pass(&client, "c4", -30)?;
    let reports = |id: &str| {
        let answer = client.get(&format!("/v1/queries/{id}/answer"))?.json()?;
        Ok::<_, anyhow::Error>(answer["reports"].as_array().map_or(0, Vec::len))
    };
    until(|| Ok(reports("patient")? == 1))?;
    until(|| Ok(records("strict", "late")? == 2))?;
    assert_eq!((reports("strict")?, records("patient", "late")?), (0, json!(0)));
    server.stop()?;
    Ok(())
}

#[test]
fn a_co_occurrence_query_stands_on_disk_or_not_at_all() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = ServeOptions { data: Some(folder.path().to_owned()), ..options() };
    let query = |id: &str| {
        format!(r#"{{"id":"{id}","cooccurrence":{{"xi":"60s","tau":"30m","theta":3}}}}"#)
    };
    let settings = folder.path().join("dunlin.json");
    let ids = |client: &Client| {
        let listed = client.get("/v1/queries")?.json()?;
        let listed = listed["queries"].as_array().context("a list")?.clone();
        Ok::<_, anyhow::Error>(listed.iter().map(|it| it["id"].clone()).collect::<Vec<_>>())
    };
    let (server, client) = start_with(&options)?;
    client.register(&query("kept"))?;
    client.register(&query("gone"))?;
    // A folder takes the place of the file: nothing can be renamed onto it.
    let aside = folder.path().join("aside");
    std::fs::rename(&settings, &aside)?;
    std::fs::create_dir(&settings)?;
    client.post("/v1/queries", query("refused"))?.problem(500)?;
    client.delete("/v1/queries/kept")?.problem(500)?;
    assert_eq!(ids(&client)?, ["kept", "gone"]);
    std::fs::remove_dir(&settings)?;
    std::fs::rename(&aside, &settings)?;
    assert_eq!(client.delete("/v1/queries/gone")?.status, 204);
    // With all that was its own.
    let checkpoints = std::fs::read_dir(folder.path().join("checkpoints"))?.count();
    assert_eq!(checkpoints, 2, "positions, and the query that is kept");
    server.stop()?;
    let (server, client) = start_with(&options)?;
    assert_eq!(ids(&client)?, ["kept"]);
    server.stop()?;
    Ok(())
}

#[test]
fn figures_of_removed_queries_are_those_of_the_next() -> Result<()> {
    let (server, client) = start()?;
    let query = r#"{"id":"c","cooccurrence":{"xi":"60s","tau":"30m","theta":3}}"#;
    for _ in 0..20 {
        client.register(query)?;
        assert_eq!(client.delete("/v1/queries/c")?.status, 204);
    }
    // Other servers of this process have theirs there, too: sixteen at most.
    let text = client.get("/metrics")?.text;
    let places = text.lines().filter_map(|line| line.split_once("app=\"cooccurrence"));
    let places = places.map(|(_, rest)| rest.split('"').next().unwrap_or_default().trim().parse());
    let places: Vec<u32> = places.collect::<Result<_, _>>()?;
    ensure!(
        !places.is_empty() && places.iter().all(|place| (1..=16).contains(place)),
        "{places:?}"
    );
    server.stop()?;
    Ok(())
}
