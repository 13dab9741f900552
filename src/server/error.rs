//! Why a server does not run, and why a query does not stand.

use std::io;
use std::net::SocketAddr;

use dunlin_query::QuestionError;
use dunlin_stream::checkpoint::CheckpointError;
use dunlin_stream::log::LogError;
use dunlin_stream::outputs::OutputError;

use super::access::AccessError;
use super::connection::TlsError;
use super::cooccurrence::CooccurrenceError;
use super::hub::SubscribeError;
use super::settings::SettingsError;
use crate::live::{AskError, LiveError, SendError};

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A port is taken, or the address is not this machine's.
    #[error("cannot listen on {address}: {source}; choose another with --{face}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// http or grpc.
        face: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The tokens cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Tiles show places of the sphere.
    #[error("map tiles show the sphere: leave --tiles out, or take --space sphere")]
    TilesOnPlane,
    /// The data folder does not fit.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A stored query does not read.
    #[error("co-occurrence query {number} of the data folder: {source}")]
    Stored {
        /// Its number.
        number: u64,
        /// What is wrong with it.
        source: CooccurrenceError,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The output lane does not read.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The folder of the checkpoints failed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An application failed.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The system has no thread, port or memory left.
    #[error("cannot start the server: {0}")]
    System(#[from] io::Error),
    /// An application ended while the server started.
    #[error("the engine ended while the server started: {0}")]
    Ended(#[from] AskError),
    /// gRPC failed.
    #[error("gRPC: {0}")]
    Grpc(#[from] tonic::transport::Error),
}

/// Why a query is not registered, removed or followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum QueryError {
    /// Not a query.
    #[error("{0}")]
    Question(#[from] QuestionError),
    /// Not a co-occurrence query.
    #[error("{0}")]
    Cooccurrence(#[from] CooccurrenceError),
    /// A field is beyond what this server takes.
    #[error("{detail}")]
    Limit { field: &'static str, detail: String },
    #[error("a query with this id stands already; remove it first, or choose another id")]
    Taken,
    #[error("there are {0} queries already; remove some first")]
    Full(usize),
    #[error("there is no query {id:?}")]
    Unknown { id: String },
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
}
