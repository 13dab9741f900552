//! The gRPC face: columnar batches in, the same queries and answers as over HTTP.

mod ingest;
mod queries;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::transport::Server;

use super::app::App;
use super::error::QueryError;
use super::http::status;

/// Messages and services, as `proto/dunlin/v1/dunlin.proto` says them.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    rustdoc::all,
    reason = "made of the proto"
)]
pub mod proto {
    tonic::include_proto!("dunlin.v1");

    /// The description of the services, for reflection.
    pub const DESCRIPTOR: &[u8] = tonic::include_file_descriptor_set!("dunlin");
}

use proto::{
    ask_server::AskServer, ingest_server::IngestServer, queries_server::QueriesServer,
    state_server::StateServer, subscribe_server::SubscribeServer,
};

/// Streams that are open when the server stops have so long to end.
const FAREWELL: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Calls of one connection at a time.
const STREAMS_MAX: u32 = 2_000;

/// What answers calls.
#[derive(Clone)]
struct Face {
    app: Arc<App>,
    stopped: watch::Receiver<bool>,
}

/// Serves until `stopped` changes.
pub(super) async fn serve(listener: TcpListener, app: Arc<App>, stopped: watch::Receiver<bool>) {
    let message_bytes_max = app.limits.body_bytes_max;
    let face = Face { app, stopped: stopped.clone() };
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<IngestServer<Face>>().await;
    reporter.set_serving::<QueriesServer<Face>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let described = "the description was made with the code";
    let ingest = IngestServer::new(face.clone()).max_decoding_message_size(message_bytes_max);
    let queries = QueriesServer::new(face.clone()).max_decoding_message_size(message_bytes_max);
    let serving = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .max_concurrent_streams(Some(STREAMS_MAX))
        .tcp_nodelay(true)
        .add_service(health)
        .add_service(reflection().build_v1().expect(described))
        // What most clients still ask for.
        .add_service(reflection().build_v1alpha().expect(described))
        .add_service(ingest)
        .add_service(queries)
        .add_service(SubscribeServer::new(face.clone()))
        .add_service(AskServer::new(face.clone()))
        .add_service(StateServer::new(face))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), ended(stopped.clone()));
    let too_long = async {
        ended(stopped).await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::error!(%error, "gRPC ended");
        },
        () = too_long => {}
    }
}

async fn ended(mut stopped: watch::Receiver<bool>) {
    // The sender is gone only after it has said so.
    drop(stopped.wait_for(|&stopped| stopped).await);
}

impl From<QueryError> for Status {
    fn from(error: QueryError) -> Self {
        use axum::http::StatusCode as Http;
        let message = error.to_string();
        match status(&error) {
            Http::BAD_REQUEST => Self::invalid_argument(message),
            Http::CONFLICT => Self::already_exists(message),
            Http::NOT_FOUND => Self::not_found(message),
            Http::TOO_MANY_REQUESTS => Self::resource_exhausted(message),
            Http::SERVICE_UNAVAILABLE => Self::unavailable(message),
            _ => Self::internal(message),
        }
    }
}
