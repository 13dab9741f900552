//! The server: positions in, standing queries, answers out, over HTTP and gRPC.
//!
//! ```text
//! POST, gRPC ─> ingest ─> log ─> engine ─ epochs ─> hub ─> SSE, WebSocket, gRPC streams
//! questions ───────────────────> engine, between epochs
//! ```
//!
//! | what | module |
//! |---|---|
//! | the engine of positions, whatever its space | `core` |
//! | one engine for each co-occurrence query | `cooccurrence` |
//! | what queries tell, and who follows | `hub`, fed by `feed` |
//! | rows of requests into batches | `ingest` |
//! | faces | `http`, `grpc` |

mod access;
mod app;
mod connection;
mod cooccurrence;
mod core;
mod error;
mod feed;
mod grpc;
mod http;
mod hub;
mod ingest;
mod json;
mod options;
mod queries;
mod registry;
mod roads;
mod settings;
mod tiles;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use access::AccessError;
pub use connection::{TlsError, TlsFiles};
pub use cooccurrence::CooccurrenceError;
pub use error::ServerError;
pub use grpc::proto;
pub use ingest::{Overload, OverloadError};
pub use options::{Limits, ServeOptions};
pub use settings::SettingsError;
pub use tiles::{TILE_ZOOM_MAX, TileError, TileServer};

use app::App;
use connection::Door;

/// A running server; see the module documentation.
///
/// ```
/// use dunlin::server::{ServeOptions, Server};
///
/// let any = ([127, 0, 0, 1], 0).into();
/// let server = Server::start(&ServeOptions { http: any, grpc: any, ..ServeOptions::default() })?;
/// assert!(server.http().port() > 0);
/// server.stop()?;
/// # Ok::<(), dunlin::server::ServerError>(())
/// ```
pub struct Server {
    runtime: Runtime,
    app: Arc<App>,
    stop: watch::Sender<bool>,
    faces: Vec<JoinHandle<()>>,
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Server {
    /// Listens, takes up what the data folder holds, and serves.
    ///
    /// # Errors
    /// A port that is taken, a data folder that cannot be used; see [`ServerError`].
    pub fn start(options: &ServeOptions) -> Result<Self, ServerError> {
        let runtime = Builder::new_multi_thread().enable_all().thread_name("server").build()?;
        let http = runtime.block_on(listen(options.http, "http"))?;
        let grpc = runtime.block_on(listen(options.grpc, "grpc"))?;
        let (tls, limits) = (options.tls.as_ref(), options.limits);
        let handshake = Duration::from_millis(limits.head_ms_max);
        let acceptor = |protocol: &[u8]| {
            let acceptor = tls.map(|it| it.acceptor(protocol)).transpose()?;
            Ok::<_, TlsError>(acceptor.map(|it| (it, handshake)))
        };
        let (http_tls, grpc_tls) = (acceptor(b"http/1.1")?, acceptor(b"h2")?);
        let app = App::start(options, figures()?)?;
        runtime.block_on(app.recover())?;
        let (stop, stopped) = watch::channel(false);
        let (http_address, grpc_address) = (http.local_addr()?, grpc.local_addr()?);
        let router = http::router(app.clone(), http_address.ip().is_loopback());
        runtime.spawn(keep(app.clone(), options.shards, stopped.clone()));
        let (places, silence) = (limits.connections_max, Some(grpc::SILENCE_MAX));
        let http = Door::new(http, places, None, http_tls);
        let grpc = Door::new(grpc, places, silence, grpc_tls);
        let faces = vec![
            runtime.spawn(http::serve(http, router, limits.head_ms_max, stopped.clone())),
            runtime.spawn(grpc::serve(grpc, app.clone(), stopped)),
        ];
        Ok(Self { runtime, app, stop, faces, http: http_address, grpc: grpc_address })
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where gRPC is served.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Waits until the process is told to end (SIGTERM, SIGINT), the engine has ended by itself, or
    /// `until` is over.
    ///
    /// # Errors
    /// Signals that cannot be listened to.
    pub fn wait(&self, until: impl Future<Output = ()>) -> Result<(), ServerError> {
        use tokio::signal::unix::{SignalKind, signal};
        self.runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut watch = tokio::time::interval(std::time::Duration::from_millis(200));
            tokio::pin!(until);
            loop {
                tokio::select! {
                    _ = terminate.recv() => return Ok(()),
                    interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
                    () = &mut until => return Ok(()),
                    _ = watch.tick() => if !self.app.is_ready() { return Ok(()) },
                }
            }
        })
    }

    /// Takes no more requests, ends all streams, finishes the epochs and writes checkpoints.
    ///
    /// # Errors
    /// What an engine failed with, now or before.
    pub fn stop(mut self) -> Result<(), ServerError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ServerError> {
        if self.faces.is_empty() {
            return Ok(());
        }
        self.app.begin_to_stop();
        self.stop.send_replace(true);
        for face in std::mem::take(&mut self.faces) {
            // A face that panicked has nothing left to end.
            drop(self.runtime.block_on(face));
        }
        self.app.stop()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the server ended");
        }
    }
}

/// Looks after figures and shards every second.
async fn keep(app: Arc<App>, shards: usize, mut stopped: watch::Receiver<bool>) {
    let mut turns = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            _ = stopped.changed() => return,
        }
        app.metrics.run_upkeep();
        // An engine that is busy or has ended is balanced later or not at all.
        let _ = app.core.balance(shards);
    }
}

async fn listen(address: SocketAddr, face: &'static str) -> Result<TcpListener, ServerError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| ServerError::Listen { address, face, source })
}

/// The recorder of the process's figures; all servers of a process share it.
fn figures() -> Result<PrometheusHandle, ServerError> {
    static FIGURES: OnceLock<PrometheusHandle> = OnceLock::new();
    let handle = FIGURES.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0])
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        // A program that has a recorder of its own keeps it; ours is empty then.
        if metrics::set_global_recorder(recorder).is_ok() {
            crate::live::describe_metrics();
            metrics::describe_counter!(
                "dunlin_rejected_rows_total",
                "Rows of requests that were rejected, by reason"
            );
        }
        handle
    });
    Ok(handle.clone())
}
