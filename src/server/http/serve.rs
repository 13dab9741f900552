//! Connections over HTTP/1.1, each with a time for its heads, ended in peace.
//!
//! A client that sends its head too slowly, idles for long, or does not take what it is sent loses its
//! connection; the others do not notice.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;

use crate::server::connection::{Arrival, Door};

/// Requests that run when the server stops have so long to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// Bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Serves until `stopped` changes; heads have `head_ms_max` milliseconds.
pub(crate) async fn serve(
    door: Door,
    router: Router,
    head_ms_max: u64,
    mut stopped: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(head_ms_max))
        .max_buf_size(HEAD_BYTES_MAX);
    loop {
        let arrival = tokio::select! {
            arrival = door.next() => arrival,
            _ = stopped.changed() => break,
        };
        tokio::spawn(converse(arrival, builder.clone(), router.clone(), stopped.clone()));
    }
    door.close(FAREWELL).await;
}

/// Answers requests until the client or the server ends.
async fn converse(
    arrival: Arrival,
    builder: http1::Builder,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    // A connection that breaks is its client's affair.
    let Ok(connection) = arrival.welcome().await else { return };
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(connection), service).with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}
