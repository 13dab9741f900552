//! The server whole, client and server in one process on this machine: a million objects, 10 000
//! standing 10-NN, level precise, on disk.
//!
//! - `http`: positions as lines of JSON over two connections, as many as go through.
//! - `grpc`: positions in columns over one stream.
//! - `latency`: from sending a batch to the delta at a subscriber, at a steady rate.
//! - `subscribers`: 10 000 of them at once, at a steady rate.
//! - `redis`: the same positions into Redis (`GEOADD`, pipelined) while the same questions are asked
//!   again and again (`GEOSEARCH`, pipelined), in memory; needs `redis-server`.
//! - `start`: the binary, from its start to a first answer, on an empty folder and on this bench's.
//!
//! `cargo bench --bench server -- grpc` runs one part. Seconds of each: `DUNLIN_BENCH_SECONDS`, 15 by
//! default; positions a second of the steady parts: `DUNLIN_BENCH_RATE`, 800 000 and 500 000 by default.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dunlin::datasets::generate::{Area, Clusters, GaussianClusters, Movement, Population};
use dunlin::index::{Coord, SpaceKind};
use dunlin::server::proto::ingest_client::IngestClient;
use dunlin::server::proto::queries_client::QueriesClient;
use dunlin::server::proto::subscribe_client::SubscribeClient;
use dunlin::server::proto::{CreateRequest, PositionBatch, SubscribeRequest};
use dunlin::server::{ServeOptions, Server};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

mod follower;
mod redis;

use follower::Follower;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OBJECTS: usize = 1_000_000;
const QUERIES: usize = 10_000;
const BATCH: usize = 2_000;
const LINES: usize = 10_000;
const EXTENT: f64 = 50_000.0;
/// Metres a second.
const SPEED: f64 = 10.0;
/// A stride that visits all objects, in no order of place.
const STRIDE: usize = 618_033;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(usual)
}

fn seconds() -> Duration {
    Duration::from_secs(number("DUNLIN_BENCH_SECONDS", 15))
}

/// Rounds of reports of all objects, in crowds: in each they have moved for a second, and they go
/// back the way that they came.
struct Rounds(Vec<Vec<Coord>>);

impl Rounds {
    fn new() -> Result<Self> {
        let area = Area::new(SpaceKind::Plane, (0.0, 0.0).into(), (EXTENT, EXTENT).into())?;
        let population = Population { objects: OBJECTS, seed: 7, speed: SPEED / EXTENT };
        let crowds = Clusters { count: 8, spread: 1.0 / 30.0 };
        let mut movement = GaussianClusters::new(area, population, crowds);
        let mut ahead = || {
            movement.step(1.0);
            movement.positions().to_vec()
        };
        let [a, b, c] = [ahead(), ahead(), ahead()];
        Ok(Self(vec![a, b.clone(), c, b]))
    }

    fn rows(&self, from: usize, count: usize) -> impl Iterator<Item = (String, Coord)> {
        (from..from + count).map(|row| {
            let object = row * STRIDE % OBJECTS;
            (name(object), self.0[row / OBJECTS % self.0.len()][object])
        })
    }

    /// The rows of all rounds in pieces of a size.
    fn pieces<T>(&self, size: usize, make: impl Fn(&Self, usize) -> T) -> Vec<T> {
        (0..self.0.len() * OBJECTS).step_by(size).map(|from| make(self, from)).collect()
    }

    fn batch(&self, from: usize) -> PositionBatch {
        let mut batch = PositionBatch::default();
        self.rows(from, BATCH).for_each(|(name, at)| batch.push(&name, at));
        batch
    }

    fn lines(&self, from: usize) -> String {
        let line = |(name, Coord { x, y })| format!("{{\"object\":\"{name}\",\"at\":[{x},{y}]}}\n");
        self.rows(from, LINES).map(line).collect()
    }
}

fn name(object: usize) -> String {
    format!("v{object:06}")
}

fn main() -> Result<()> {
    let parts: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|it| it == part);
    println!("| part | result |");
    println!("|---|---|");
    let bench = Bench::start()?;
    if wanted("http") {
        bench.http()?;
    }
    if wanted("grpc") {
        bench.grpc()?;
    }
    if wanted("latency") {
        bench.latency("latency", 100, 800_000)?;
    }
    if wanted("subscribers") {
        bench.latency("subscribers", QUERIES, 500_000)?;
    }
    bench.figures()?;
    let Bench { server, folder, rounds, .. } = bench;
    server.stop()?;
    if wanted("redis") {
        redis::compare(&rounds, seconds())?;
    }
    if wanted("start") {
        let empty = tempfile::tempdir()?;
        cold_start("an empty folder", empty.path())?;
        cold_start(&format!("{OBJECTS} objects, {QUERIES} queries"), folder.path())?;
    }
    Ok(())
}

/// From the start of the binary to the answer of a query.
fn cold_start(what: &str, folder: &Path) -> Result<()> {
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .args(["serve", "--space", "plane", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
        .arg("--data")
        .arg(folder)
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("a pipe")?).lines();
    let said = lines.next().context("it says where it listens")??;
    let url = said.split(' ').next_back().context("an address")?.trim_end_matches('/');
    let query = r#"{"id":"first","knn":{"k":10,"at":[25000,25000]}}"#;
    ureq::post(format!("{url}/v1/queries")).send(query)?;
    let answer = ureq::get(format!("{url}/v1/queries/first/answer")).call()?;
    let answer = answer.into_body().read_to_string()?;
    let time = begin.elapsed();
    println!("| start | {what}: first answer, of {} bytes, after {time:.2?} |", answer.len());
    child.kill()?;
    child.wait()?;
    Ok(())
}

struct Bench {
    server: Server,
    runtime: Runtime,
    channel: Channel,
    folder: tempfile::TempDir,
    sequence: AtomicU64,
    rounds: Rounds,
}

impl Bench {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let any = ([127, 0, 0, 1], 0).into();
        let data = Some(folder.path().to_owned());
        let space = SpaceKind::Plane;
        let server = Server::start(&ServeOptions {
            http: any,
            grpc: any,
            data,
            space,
            ..ServeOptions::default()
        })?;
        let runtime = Runtime::new()?;
        let channel = Channel::from_shared(format!("http://{}", server.grpc()))?;
        let channel = runtime.block_on(channel.connect())?;
        let sequence = AtomicU64::new(1);
        let rounds = Rounds::new()?;
        let bench = Self { server, runtime, channel, folder, sequence, rounds };
        let begin = Instant::now();
        bench.runtime.block_on(bench.send_all())?;
        println!("| load | {OBJECTS} objects in {:.2} s |", begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        bench.runtime.block_on(bench.register())?;
        println!("| queries | {QUERIES} in {:.2} s |", begin.elapsed().as_secs_f64());
        Ok(bench)
    }

    fn numbered(&self, mut batch: PositionBatch) -> PositionBatch {
        batch.producer = 7;
        batch.sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        batch
    }

    /// A stream to send batches on, and the count of rows that were acknowledged.
    async fn stream(&self) -> Result<(Sender<PositionBatch>, Arc<AtomicU64>)> {
        let (batches, stream) = channel(16);
        let mut ingest = IngestClient::new(self.channel.clone());
        let mut acks = ingest.positions(ReceiverStream::new(stream)).await?.into_inner();
        let acked = Arc::new(AtomicU64::new(0));
        let count = acked.clone();
        tokio::spawn(async move {
            while let Ok(Some(ack)) = acks.message().await {
                count.fetch_add(ack.accepted, Ordering::Relaxed);
            }
        });
        Ok((batches, acked))
    }

    async fn send_all(&self) -> Result<()> {
        let (batches, acked) = self.stream().await?;
        for from in (0..OBJECTS).step_by(BATCH) {
            batches.send(self.numbered(self.rounds.batch(from))).await?;
        }
        while acked.load(Ordering::Relaxed) < OBJECTS as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn register(&self) -> Result<()> {
        let mut waiting = tokio::task::JoinSet::new();
        for number in 0..QUERIES {
            let object = number * 97 % OBJECTS;
            let Coord { x, y } = self.rounds.0[0][object];
            let focus = if number % 2 == 0 {
                format!(r#""at":[{x},{y}]"#)
            } else {
                format!(r#""object":"v{object:06}""#)
            };
            let json = format!(r#"{{"id":"q{number}","knn":{{"k":10,{focus}}}}}"#);
            let mut queries = QueriesClient::new(self.channel.clone());
            waiting.spawn(async move { queries.create(CreateRequest { json }).await });
            if waiting.len() >= 1_000 {
                waiting.join_next().await.context("one waits")???;
            }
        }
        while let Some(created) = waiting.join_next().await {
            created??;
        }
        Ok(())
    }

    fn http(&self) -> Result<()> {
        let bodies = self.rounds.pieces(LINES, Rounds::lines);
        let url = format!("http://{}/v1/positions", self.server.http());
        let (begin, sent) = (Instant::now(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for half in 0..2 {
                let (bodies, url, sent) = (&bodies, &url, &sent);
                scope.spawn(move || {
                    let agent = ureq::Agent::new_with_defaults();
                    for body in bodies.iter().cycle().skip(half).step_by(2) {
                        if begin.elapsed() > seconds() {
                            return;
                        }
                        let answer = agent.post(url).send(body).expect("it is taken");
                        assert_eq!(answer.status(), 200);
                        sent.fetch_add(LINES as u64, Ordering::Relaxed);
                    }
                });
            }
        });
        let rate = sent.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
        println!("| http | {rate:.0} positions/s |");
        Ok(())
    }

    fn grpc(&self) -> Result<()> {
        let ready = self.rounds.pieces(BATCH, Rounds::batch);
        let rate = self.runtime.block_on(async {
            let (batches, acked) = self.stream().await?;
            let begin = Instant::now();
            for ready in ready.iter().cycle() {
                if begin.elapsed() > seconds() {
                    break;
                }
                batches.send(self.numbered(ready.clone())).await?;
            }
            anyhow::Ok(acked.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64())
        })?;
        println!("| grpc | {rate:.0} positions/s |");
        Ok(())
    }

    /// Subscribers of so many queries, and how old what they are told is when they hear it.
    fn latency(&self, part: &str, subscribers: usize, usual: u64) -> Result<()> {
        let rate = number("DUNLIN_BENCH_RATE", usual);
        let ready = self.rounds.pieces(BATCH, Rounds::batch);
        let (mut ages, events, followers) = self.runtime.block_on(async {
            let (told, mut heard) = channel::<u64>(100_000);
            let mut followers = Vec::new();
            for number in 0..subscribers {
                let id = format!("q{}", number * (QUERIES / subscribers));
                let follower = Arc::new(Follower::new(id));
                let request = SubscribeRequest { id: follower.id().to_owned(), resume_after: None };
                let mut client = SubscribeClient::new(self.channel_of(number).await?);
                let mut events = client.subscribe(request).await?.into_inner();
                follower.hear(events.message().await?.context("the whole answer")?);
                followers.push(follower.clone());
                let told = told.clone();
                tokio::spawn(async move {
                    while let Ok(Some(event)) = events.message().await {
                        // What is too much for the bench has no age; it is heard all the same.
                        let _ = told.try_send(age_ms(&event.json));
                        follower.hear(event);
                    }
                });
            }
            let (batches, _) = self.stream().await?;
            // What was sent before is over.
            tokio::time::sleep(Duration::from_secs(3)).await;
            while heard.try_recv().is_ok() {}
            let (begin, mut sent) = (Instant::now(), 0u64);
            let mut ages = Vec::new();
            for ready in ready.iter().cycle() {
                while begin.elapsed().as_secs_f64() * rate as f64 <= sent as f64 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    while let Ok(age) = heard.try_recv() {
                        ages.push(age);
                    }
                }
                if begin.elapsed() > seconds() {
                    break;
                }
                batches.send(self.numbered(ready.clone())).await?;
                sent += BATCH as u64;
            }
            let events = ages.len() as f64 / begin.elapsed().as_secs_f64();
            drop(batches);
            anyhow::Ok((ages, events, followers))
        })?;
        // Until nothing is on its way any more.
        std::thread::sleep(Duration::from_secs(3));
        let url = format!("http://{}", self.server.http());
        let lost = followers.iter().map(|it| it.misses(&url)).sum::<Result<usize>>()?;
        let anew: usize = followers.iter().map(|it| it.began_anew()).sum();
        ensure!(!ages.is_empty(), "nobody heard anything");
        ages.sort_unstable();
        let at = |percent: usize| ages[(ages.len() - 1) * percent / 100] + 20;
        println!(
            "| {part} | {rate} positions/s, {subscribers} subscribers, {events:.0} deltas/s: p50 {} ms, p99 {} ms, max {} ms; {lost} lists are not the server's, {anew} began anew |",
            at(50),
            at(99),
            at(100)
        );
        Ok(())
    }

    /// What the server says of its epochs.
    fn figures(&self) -> Result<()> {
        let url = format!("http://{}/metrics", self.server.http());
        let text = ureq::get(&url).call()?.body_mut().read_to_string()?;
        let wanted = |line: &&str| {
            ["dunlin_epoch_duration_seconds", "dunlin_epochs", "dunlin_records", "dunlin_outputs"]
                .iter()
                .any(|name| line.starts_with(name))
        };
        text.lines().filter(wanted).for_each(|line| eprintln!("{line}"));
        Ok(())
    }

    /// A connection for every thousand subscribers.
    async fn channel_of(&self, number: usize) -> Result<Channel> {
        static OPEN: std::sync::Mutex<Vec<Channel>> = std::sync::Mutex::new(Vec::new());
        let place = number / 1_000;
        if let Some(channel) = OPEN.lock().expect("nobody panics").get(place) {
            return Ok(channel.clone());
        }
        let url = format!("http://{}", self.server.grpc());
        let channel = Channel::from_shared(url)?.connect().await?;
        OPEN.lock().expect("nobody panics").push(channel.clone());
        Ok(channel)
    }
}

/// Milliseconds since the end of the epoch that a delta is of; positions of the epoch are at most
/// 20 ms older.
fn age_ms(json: &str) -> u64 {
    let time = json.split("\"time\":\"").nth(1).and_then(|it| it.get(..24));
    let told: Option<dunlin::stream::Timestamp> = time.and_then(|it| it.parse().ok());
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as i64;
    told.map_or(u64::MAX, |told| (now - told.as_millis()).max(0) as u64)
}
