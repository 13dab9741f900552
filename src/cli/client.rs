//! Talking to a server over gRPC: how to reach it, and why that fails.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::runtime::{Builder, Runtime};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

/// Which server to talk to, and how.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The server's gRPC address; https:// speaks TLS
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7879")]
    url: String,
    /// The token to show to the server
    #[arg(long, value_name = "SECRET", env = "DUNLIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Trust this authority's certificate too, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// A connection that shows its token.
pub(super) type Link = InterceptedService<Channel, Bearer>;

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
    /// The token is no text that a header may hold.
    #[error("--token: a token is letters, digits and signs")]
    Token,
    /// The file of an authority does not read.
    #[error("{}: {source}", .path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The server says no.
    #[error("the server refuses: {}{}", .0.message(), advice(.0))]
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

/// What to do about a refusal, where something can be done here.
fn advice(status: &Status) -> &'static str {
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => "; see --token",
        _ => "",
    }
}

/// Adds the token to every call.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl ServerArgs {
    /// A server at an address, which asks for nothing.
    pub(super) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), token: None, ca: None }
    }

    /// Connects to the server; `http://` may be left out of its address.
    pub(super) async fn connect(&self) -> Result<Link, ClientError> {
        let token = self.token.as_ref().map(|secret| format!("Bearer {secret}").parse());
        let token = token.transpose().map_err(|_| ClientError::Token)?;
        Ok(InterceptedService::new(self.channel().await?, Bearer(token)))
    }

    fn tls(&self) -> Result<ClientTlsConfig, ClientError> {
        let config = ClientTlsConfig::new().with_native_roots();
        let Some(path) = &self.ca else { return Ok(config) };
        let failed = |source| ClientError::Authority { path: path.clone(), source };
        let authority = std::fs::read(path).map_err(failed)?;
        Ok(config.ca_certificate(Certificate::from_pem(authority)))
    }

    async fn channel(&self) -> Result<Channel, ClientError> {
        let url = &self.url;
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let failed = |error: tonic::transport::Error| ClientError::Connect {
            url: full.clone(),
            reason: causes(&error),
        };
        let mut endpoint = Endpoint::from_shared(full.clone()).map_err(failed)?;
        if endpoint.uri().scheme_str() == Some("https") {
            endpoint = endpoint.tls_config(self.tls()?).map_err(failed)?;
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .keep_alive_while_idle(true);
        endpoint.connect().await.map_err(failed)
    }
}

/// The last cause of an error, which mostly is the one that helps.
fn causes(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
