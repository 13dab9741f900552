//! Following a query: server-sent events, and the same over a WebSocket.
//!
//! ```text
//! event: delta                          {"event":"delta","id":"88412345.0","data":{"query":"q1",…}}
//! id: 88412345.0
//! data: {"query":"q1","time":"…","changes":[…]}
//! ```
//!
//! Who sends `Last-Event-ID`, or `?after=`, gets what came after it, or the whole answer if that is not
//! known any more.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio_stream::StreamExt;

use super::problem::Problem;
use super::request::{Id, Params};
use crate::server::app::{App, Subscription};
use crate::server::hub::{NoTag, SharedEvent, Tag};

/// A line without a meaning keeps a quiet stream open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Bytes of a message from a client.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Where to go on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    after: Option<String>,
}

/// The place to go on after, from the header or else the address.
fn resume(headers: &HeaderMap, after: After) -> Result<Option<Tag>, Problem> {
    let header = headers.get("last-event-id").map(|it| it.to_str().unwrap_or("?").to_owned());
    let (field, text) = match (header, after.after) {
        (Some(text), _) => ("Last-Event-ID", text),
        (None, Some(text)) => ("after", text),
        (None, None) => return Ok(None),
    };
    let tag = text.parse().map_err(|error: NoTag| Problem::of_field(field, error.to_string()));
    tag.map(Some)
}

/// The deltas of a query as server-sent events.
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Params(after): Params<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let subscription = app.subscribe(&id, resume(&headers, after)?).await?;
    let events = subscription.map(|event| Ok::<_, Infallible>(as_sse(&event)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn as_sse(event: &SharedEvent) -> Event {
    Event::default().event(event.kind.name()).id(event.tag.to_string()).data(&event.text)
}

/// The deltas of a query over a WebSocket.
pub(super) async fn socket(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Params(after): Params<After>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let resume = resume(&headers, after)?;
    let upgrade = upgraded(upgrade)?;
    let subscription = app.subscribe(&id, resume).await?;
    Ok(upgrade.on_upgrade(|socket| follow(socket, subscription)))
}

/// The upgrade, for small messages.
pub(super) fn upgraded(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, Problem> {
    let upgrade = upgrade.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    Ok(upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX))
}

/// The last message of a socket that the server ends.
pub(super) fn closing(reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code: close_code::AWAY, reason: reason.into() }))
}

async fn follow(mut socket: WebSocket, mut subscription: Subscription) {
    let mut quiet = tokio::time::interval(KEEP_ALIVE);
    loop {
        let message = tokio::select! {
            event = subscription.recv() => match event {
                Some(event) => Message::text(as_message(&event)),
                None => {
                    let reason = "the query is gone, or the server stops, or you read too slowly";
                    // A client that is gone needs no farewell.
                    drop(socket.send(closing(reason)).await);
                    return;
                }
            },
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            _ = quiet.tick() => Message::Ping(axum::body::Bytes::new()),
        };
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

fn as_message(event: &SharedEvent) -> String {
    let (kind, tag, text) = (event.kind.name(), event.tag, &event.text);
    format!("{{\"event\":\"{kind}\",\"id\":\"{tag}\",\"data\":{text}}}")
}
