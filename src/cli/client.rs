//! Talking to a server over gRPC: how to reach it, and why that fails.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// Where a server is, unless the arguments say otherwise.
pub(super) const URL: &str = "http://127.0.0.1:7879";
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A connection that does not answer for so long is given up.
const ALIVE: Duration = Duration::from_secs(5);

/// Why a command does not get through to a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    /// Nobody answers.
    #[error(
        "cannot reach a server at {url}: {reason}; start one with 'dunlin serve', or name another with --url"
    )]
    Connect {
        /// Where.
        url: String,
        /// What went wrong, down to its cause.
        reason: String,
    },
    /// The server says no.
    #[error("the server refuses: {}", .0.message())]
    Refused(Box<Status>),
    /// The server ended the stream.
    #[error("the server ended the stream")]
    Ended,
    /// The system has no thread left.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// Runs what is asynchronous on this thread.
pub(super) fn runtime() -> Result<Runtime, ClientError> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Connects to a server; `http://` may be left out.
pub(super) async fn connect(url: &str) -> Result<Channel, ClientError> {
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let failed = |error: tonic::transport::Error| ClientError::Connect {
        url: full.clone(),
        reason: causes(&error),
    };
    let endpoint = Endpoint::from_shared(full.clone()).map_err(failed)?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_MAX)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE)
        .keep_alive_while_idle(true);
    endpoint.connect().await.map_err(failed)
}

/// The last cause of an error, which mostly is the one that helps.
fn causes(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
