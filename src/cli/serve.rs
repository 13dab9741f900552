//! `dunlin serve`: the server, until it is told to end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dunlin::server::{ServeOptions, Server};
use dunlin::stream::Guarantee;
use dunlin::stream::log::SyncPolicy;

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
    fn options(&self) -> ServeOptions {
        ServeOptions {
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
            ..ServeOptions::default()
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &ServeArgs) -> Result<(), CliError> {
    let server = Server::start(&args.options())?;
    say(format_args!("map and HTTP: http://{}/", server.http()));
    say(format_args!("gRPC:         {}", server.grpc()));
    match &args.data {
        Some(folder) => say(format_args!("data:         {}", folder.display())),
        None => say(format_args!("nothing is kept when the server ends: use --data to keep it")),
    }
    server.wait(std::future::pending())?;
    say(format_args!("stopping: the epoch ends, a checkpoint is written"));
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
