//! `dunlin serve`: the server, until it is told to end.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dunlin::datasets::generate::{RoadError, RoadGraph};
use dunlin::server::{Limits, ServeOptions, Server, TILE_ZOOM_MAX, TileServer, TlsFiles};
use dunlin::stream::Guarantee;
use dunlin::stream::log::SyncPolicy;
use tracing::level_filters::LevelFilter;

use super::duration;
use super::error::CliError;
use super::progress::say;
use super::reading::SpaceArg;

const EXAMPLE: &str = r#"Example:
  dunlin serve --data dunlin-data
  curl http://127.0.0.1:7878/v1/positions -d '{"object":"t7","at":[116.39,39.91]}'
  curl http://127.0.0.1:7878/v1/queries -d '{"id":"q1","knn":{"k":10,"at":[116.39,39.91]}}'
  curl -N http://127.0.0.1:7878/v1/queries/q1/stream"#;

/// Serve positions, standing queries and their answers over HTTP and gRPC.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct ServeArgs {
    /// Where to serve HTTP and the map
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7878")]
    http: SocketAddr,
    /// Where to serve gRPC
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7879")]
    grpc: SocketAddr,
    /// Folder for log and checkpoints; without it nothing is kept
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Length of an epoch
    #[arg(long, value_name = "DURATION", default_value = "20ms", value_parser = duration::parse_epoch)]
    epoch: i64,
    /// What positions are
    #[arg(long, value_enum, default_value_t)]
    space: SpaceArg,
    /// What a restart does with what was under way
    #[arg(long, value_enum, default_value_t)]
    guarantee: GuaranteeArg,
    /// When the log is synced: always, os, or every so often, as 50ms
    #[arg(long, value_name = "WHEN", default_value = "50ms", value_parser = sync)]
    sync: SyncPolicy,
    /// Forget objects that are silent for longer
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration::parse)]
    ttl: i64,
    /// How many shards to cut the space into, once there are objects enough
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: u16,
    /// How many reports may be in the log and not applied yet; with more, what comes waits, or what
    /// its sender asked for happens to it
    #[arg(long, value_name = "REPORTS", default_value_t = Limits::default().credit_records, value_parser = clap::value_parser!(u64).range(1..))]
    credit: u64,
    /// How far event times may be ahead of the server's clock; rows beyond are rejected
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration::parse)]
    skew: i64,
    /// Draw the map on roads: files of nodes (id lon lat) and of roads (id node node length)
    #[arg(long, num_args = 2, value_names = ["NODES", "ROADS"])]
    roads: Option<Vec<PathBuf>>,
    /// Draw the map on tiles, as https://tiles.example.org/{z}/{x}/{y}.png; browsers ask that server
    #[arg(long, value_name = "URL", value_parser = TileServer::new)]
    tiles: Option<TileServer>,
    /// Whom the map thanks for its tiles, by default their host
    #[arg(long, value_name = "TEXT", requires = "tiles")]
    tiles_credit: Option<String>,
    /// The greatest zoom of the tiles
    #[arg(long, value_name = "ZOOM", requires = "tiles", default_value_t = TILE_ZOOM_MAX, value_parser = clap::value_parser!(u8).range(0..=24))]
    tiles_zoom: u8,
    /// Serve over TLS under this certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// What to tell on stderr of what goes wrong and on: off, error, warn, info or debug
    #[arg(long, value_name = "LEVEL", default_value_t = LevelFilter::WARN)]
    log: LevelFilter,
    /// Ask clients for a bearer token, one of this file
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
}

/// What becomes of what was under way when the server fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum GuaranteeArg {
    /// It is lost
    Gap,
    /// It may be said again
    Rollback,
    /// Nothing is lost and nothing is said again
    #[default]
    Precise,
}

/// Reads when to sync.
fn sync(text: &str) -> Result<SyncPolicy, duration::DurationError> {
    match text {
        "always" => Ok(SyncPolicy::Always),
        "os" => Ok(SyncPolicy::Os),
        every => {
            let ms = duration::parse(every)?;
            Ok(SyncPolicy::Interval(Duration::from_millis(ms.unsigned_abs())))
        }
    }
}

impl ServeArgs {
    fn tls(&self) -> Option<TlsFiles> {
        let (certificate, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        Some(TlsFiles { certificate, key })
    }

    fn roads(&self) -> Result<Option<Arc<RoadGraph>>, RoadError> {
        match self.roads.as_deref() {
            Some([nodes, roads]) => RoadGraph::read(nodes, roads).map(|it| Some(Arc::new(it))),
            _ => Ok(None),
        }
    }

    fn tiles(&self) -> Option<TileServer> {
        let tiles = self.tiles.clone()?.up_to(self.tiles_zoom);
        Some(match &self.tiles_credit {
            Some(credit) => tiles.credited(credit),
            None => tiles,
        })
    }

    fn options(&self) -> Result<ServeOptions, RoadError> {
        Ok(ServeOptions {
            http: self.http,
            grpc: self.grpc,
            data: self.data.clone(),
            space: self.space.into(),
            epoch_ms: self.epoch,
            ttl_ms: self.ttl,
            guarantee: match self.guarantee {
                GuaranteeArg::Gap => Guarantee::Gap,
                GuaranteeArg::Rollback => Guarantee::Rollback,
                GuaranteeArg::Precise => Guarantee::Precise,
            },
            sync: self.sync,
            shards: self.shards.into(),
            tls: self.tls(),
            tokens: self.tokens.clone(),
            roads: self.roads()?,
            tiles: self.tiles(),
            limits: Limits { credit_records: self.credit, skew_ms: self.skew, ..Limits::default() },
        })
    }
}

/// Has what the server says of itself written on stderr, a line each.
pub(super) fn tell_of(level: LevelFilter) {
    let lines = tracing_subscriber::fmt().with_max_level(level).with_target(false);
    let lines = lines.with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // Only a second one would fail, and there is none in a process.
    drop(lines.try_init());
}

/// Lets the process have as many connections and files open as the system lets it ask for; what it
/// starts with, often 1 024, is a bound for programs of old.
pub(super) fn open_more_files() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "no more connections and files than the system's default");
    }
}

/// Runs the command.
pub(crate) fn run(args: &ServeArgs) -> Result<(), CliError> {
    tell_of(args.log);
    open_more_files();
    let server = Server::start(&args.options()?)?;
    let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
    say(format_args!("map and HTTP: {scheme}://{}/", server.http()));
    say(format_args!("gRPC:         {scheme}://{}", server.grpc()));
    let is_local = server.http().ip().is_loopback() && server.grpc().ip().is_loopback();
    if !is_local && args.tokens.is_none() {
        say(format_args!("everybody who reaches this machine may read and write: see --tokens"));
    }
    match &args.data {
        Some(folder) => say(format_args!("data:         {}", folder.display())),
        None => say(format_args!("nothing is kept when the server ends: use --data to keep it")),
    }
    server.wait(std::future::pending())?;
    match &args.data {
        Some(_) => say(format_args!("stopping: the epoch ends, a checkpoint is written")),
        None => say(format_args!("stopping: the epoch ends")),
    }
    server.stop()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_named_or_timed() {
        assert_eq!(sync("always"), Ok(SyncPolicy::Always));
        assert_eq!(sync("os"), Ok(SyncPolicy::Os));
        assert_eq!(sync("0.5s"), Ok(SyncPolicy::Interval(Duration::from_millis(500))));
        assert!(sync("never").is_err() && sync("50").is_err());
    }
}
