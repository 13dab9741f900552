//! `dunlin demo`: a server in memory and a small city that moves in it.
//!
//! ```text
//! Traffic ─ every 200 ms: positions, passages at cameras ─> Server <─ standing queries
//! ```
//!
//! Vehicles drive over made-up roads; behind some of them others follow, and a co-occurrence query
//! finds out who. It all goes over gRPC, as it would from outside.

mod traffic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dunlin::datasets::generate::RoadGraph;
use dunlin::server::proto::ingest_client::IngestClient;
use dunlin::server::proto::queries_client::QueriesClient;
use dunlin::server::proto::{Ack, CreateRequest, EventBatch, PositionBatch};
use dunlin::server::{ServeOptions, Server, ServerError};
use tokio::sync::mpsc::{Receiver, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tracing::level_filters::LevelFilter;

use super::client::{self, ClientError, Link, ServerArgs};
use super::error::CliError;
use super::progress::say;
use traffic::Traffic;

const EXAMPLE: &str = "Example:
  dunlin demo
  dunlin demo --objects 20000 --seconds 60";

const STEP: Duration = Duration::from_millis(200);
/// What stands in the demo.
const QUERIES: [&str; 4] = [
    r#"{"id":"station","knn":{"k":10,"at":[116.39,39.91]}}"#,
    r#"{"id":"around-v7","knn":{"k":5,"object":"v7"}}"#,
    r#"{"id":"square","within":{"radius":400,"at":[116.40,39.915]}}"#,
    r#"{"id":"together","cooccurrence":{"xi":"6s","tau":"5m","theta":3}}"#,
];

/// Run a server with a small city in it, to look at and to try.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct DemoArgs {
    /// How many vehicles drive
    #[arg(long, value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(10..=200_000))]
    objects: u32,
    /// What the city is drawn from
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// End after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(args: &DemoArgs) -> Result<(), CliError> {
    let city = traffic::city(args.seed)?;
    let traffic = Traffic::new(city.clone(), args.objects as usize, args.seed)?;
    let server = start(city)?;
    tell(&server, args);
    let grpc = server.grpc().to_string();
    let driver = std::thread::Builder::new().name("traffic".to_owned());
    let driver = driver.spawn(move || client::runtime()?.block_on(drive(&grpc, traffic)));
    let driver = driver.map_err(ClientError::from)?;
    server.wait(end(args.seconds))?;
    server.stop()?;
    match driver.join() {
        // It ends when the server does.
        Ok(Ok(()) | Err(ClientError::Ended | ClientError::Refused(_))) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// On the usual ports, or on free ones if those are taken.
fn start(city: RoadGraph) -> Result<Server, ServerError> {
    let options = ServeOptions { roads: Some(Arc::new(city)), ..ServeOptions::default() };
    super::serve::tell_of(LevelFilter::WARN);
    super::serve::open_more_files();
    match Server::start(&options) {
        Err(ServerError::Listen { .. }) => {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            Server::start(&ServeOptions { http: any, grpc: any, ..options })
        }
        started => started,
    }
}

async fn end(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

fn tell(server: &Server, args: &DemoArgs) {
    let (http, grpc) = (server.http(), server.grpc());
    say(format_args!(
        "{} vehicles drive through a made-up city, four times as fast as real ones",
        args.objects
    ));
    say(format_args!("look:  http://{http}/"));
    say(format_args!("try:   curl -N http://{http}/v1/queries/station/stream"));
    say(format_args!("       curl http://{http}/v1/queries/together/answer"));
    say(format_args!("       dunlin watch --object v7 --url http://{grpc}"));
    say(format_args!("Ctrl-C ends"));
}

/// Registers the queries and lets the traffic run until the server ends.
async fn drive(grpc: &str, mut traffic: Traffic) -> Result<(), ClientError> {
    let link = ServerArgs::at(grpc).connect().await?;
    let mut queries = QueriesClient::new(link.clone());
    for json in QUERIES {
        queries.create(CreateRequest { json: json.to_owned() }).await?;
    }
    let (positions, batches) = channel_of::<PositionBatch>();
    let (events, passages) = channel_of::<EventBatch>();
    let mut ingest = Ingest::open(link, batches, passages).await?;
    let mut turns = tokio::time::interval(STEP);
    loop {
        tokio::select! {
            _ = turns.tick() => {
                traffic.step(STEP.as_secs_f64());
                positions.send(traffic.positions()).await.map_err(|_| ClientError::Ended)?;
                let passed = traffic.passages();
                if !passed.objects.is_empty() {
                    events.send(passed).await.map_err(|_| ClientError::Ended)?;
                }
            }
            acked = ingest.ack() => acked?,
        }
    }
}

fn channel_of<T>() -> (tokio::sync::mpsc::Sender<T>, Receiver<T>) {
    channel(4)
}

/// Both streams, whose acknowledgements are read.
struct Ingest {
    positions: Streaming<Ack>,
    events: Streaming<Ack>,
}

impl Ingest {
    async fn open(
        link: Link,
        batches: Receiver<PositionBatch>,
        passages: Receiver<EventBatch>,
    ) -> Result<Self, ClientError> {
        let mut ingest = IngestClient::new(link);
        let positions = ingest.positions(ReceiverStream::new(batches)).await?.into_inner();
        let events = ingest.events(ReceiverStream::new(passages)).await?.into_inner();
        Ok(Self { positions, events })
    }

    async fn ack(&mut self) -> Result<(), ClientError> {
        let ack = tokio::select! {
            ack = self.positions.message() => ack,
            ack = self.events.message() => ack,
        };
        ack?.map(drop).ok_or(ClientError::Ended)
    }
}
