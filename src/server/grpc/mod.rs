//! The gRPC face: columnar batches in, the same queries and answers as over HTTP.

mod ingest;
mod queries;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Server;

use super::access::{Denied, Scope, bearer};
use super::app::App;
use super::connection::{Connection, Door};
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
/// Bytes of a call that may be on their way: some batches, so that their sender need not wait.
const STREAM_WINDOW: u32 = 1 << 20;
/// Nothing of a connection, not even an answer to a ping, for so long: it is dead.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Connections that have shaken hands and wait.
const WELCOME: usize = 16;

/// What answers calls.
#[derive(Clone)]
struct Face {
    app: Arc<App>,
    stopped: watch::Receiver<bool>,
}

/// Serves until `stopped` changes.
pub(super) async fn serve(door: Door, app: Arc<App>, stopped: watch::Receiver<bool>) {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<IngestServer<Face>>().await;
    reporter.set_serving::<QueriesServer<Face>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let described = "the description was made with the code";
    let routes = Routes::new(health)
        .add_service(reflection().build_v1().expect(described))
        // What most clients still ask for.
        .add_service(reflection().build_v1alpha().expect(described));
    let routes = of_ours(routes, app, &stopped);
    let connections = incoming(door, stopped.clone()).map(Ok::<_, Infallible>);
    let serving = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .max_concurrent_streams(Some(STREAMS_MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(2 * STREAM_WINDOW)
        .add_routes(routes)
        .serve_with_incoming_shutdown(connections, ended(stopped.clone()));
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

/// Adds our services, for those who may call them.
fn of_ours(routes: Routes, app: Arc<App>, stopped: &watch::Receiver<bool>) -> Routes {
    let bytes_max = app.limits.body_bytes_max;
    let face = Face { app: app.clone(), stopped: stopped.clone() };
    let ingest = IngestServer::new(face.clone()).max_decoding_message_size(bytes_max);
    let queries = QueriesServer::new(face.clone()).max_decoding_message_size(bytes_max);
    let routes = routes
        .add_service(ingest)
        .add_service(queries)
        .add_service(SubscribeServer::new(face.clone()))
        .add_service(AskServer::new(face.clone()))
        .add_service(StateServer::new(face));
    routes.into_axum_router().layer(from_fn_with_state(app, with_token)).into()
}

/// Passes on calls whose token has the scope that they take.
async fn with_token(State(app): State<Arc<App>>, call: Request, next: Next) -> Response {
    let header = call.headers().get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let checked = match scope(call.uri().path()) {
        Some(scope) => app.access.check(header.and_then(bearer), scope),
        None => Ok(()),
    };
    match checked {
        Ok(()) => next.run(call).await,
        Err(denied) => Status::from(denied).into_http(),
    }
}

/// What a call takes; health and the description of the services are for everybody.
fn scope(path: &str) -> Option<Scope> {
    const OF_ALL: [&str; 2] = ["/grpc.health.", "/grpc.reflection."];
    const OF_WRITERS: [&str; 3] =
        ["/dunlin.v1.Ingest/", "/dunlin.v1.Queries/Create", "/dunlin.v1.Queries/Delete"];
    let is_of = |prefixes: &[&str]| prefixes.iter().any(|it| path.starts_with(it));
    (!is_of(&OF_ALL)).then(|| if is_of(&OF_WRITERS) { Scope::Write } else { Scope::Read })
}

/// The connections that come in, each after its handshake.
fn incoming(door: Door, stopped: watch::Receiver<bool>) -> ReceiverStream<Connection> {
    let (welcomed, connections) = mpsc::channel(WELCOME);
    tokio::spawn(async move {
        let ended = ended(stopped);
        tokio::pin!(ended);
        loop {
            let arrival = tokio::select! {
                arrival = door.next() => arrival,
                () = &mut ended => return,
            };
            let welcomed = welcomed.clone();
            tokio::spawn(async move {
                // A connection that breaks is its client's affair.
                let Ok(connection) = arrival.welcome().await else { return };
                drop(welcomed.send(connection).await);
            });
        }
    });
    ReceiverStream::new(connections)
}

async fn ended(mut stopped: watch::Receiver<bool>) {
    // The sender is gone only after it has said so.
    drop(stopped.wait_for(|&stopped| stopped).await);
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoToken | Denied::Unknown => Self::unauthenticated(denied.to_string()),
            Denied::Scope(_) => Self::permission_denied(denied.to_string()),
        }
    }
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
