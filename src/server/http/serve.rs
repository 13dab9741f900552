//! Connections: accepted up to a limit, each with times for heads and writes, ended in peace.
//!
//! A client that sends its head too slowly, idles for long, or does not take what it is sent loses its
//! connection; the others do not notice.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

use crate::server::options::Limits;

/// A write that does not go through for so long ends the connection.
const WRITE_MAX: Duration = Duration::from_secs(60);
/// Requests that run when the server stops have so long to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// After an error of `accept`, which mostly is a lack of files, we wait a little.
const BREATH: Duration = Duration::from_millis(50);
/// Bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Serves until `stopped` changes.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let open = Arc::new(Semaphore::new(limits.connections_max));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.head_ms_max))
        .max_buf_size(HEAD_BYTES_MAX);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &open) => accepted,
            _ = stopped.changed() => break,
        };
        let Some((stream, permit)) = accepted else { continue };
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(wrapped(stream), service).with_upgrades();
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            tokio::pin!(connection);
            // A connection that breaks is its client's affair.
            tokio::select! {
                _ = connection.as_mut() => {}
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    drop(connection.await);
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    drop(tokio::time::timeout(FAREWELL, open.acquire_many(all)).await);
}

/// The next connection, when there is room for one.
async fn accept(
    listener: &TcpListener,
    open: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = open.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // It only makes small messages later.
            drop(stream.set_nodelay(true));
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            tokio::time::sleep(BREATH).await;
            None
        }
    }
}

fn wrapped(stream: TcpStream) -> TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_MAX));
    TokioIo::new(Box::pin(stream))
}
