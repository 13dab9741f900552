//! What handlers take from a request, each with a problem of its own where it is wrong.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::StreamExt;

use super::problem::Problem;
use crate::server::app::{App, BODY_UNIT, OWN_PRODUCERS};
use crate::server::ingest::{Numbered, Overload};

/// The id in a path.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|error| Problem::of_field("id", error.body_text()))
    }
}

/// What follows the question mark.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(it)| Self(it))
            .map_err(|error| Problem::new(error.status(), error.body_text()))
    }
}

/// A whole body, and the memory that is counted for it as long as it is there.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    room: Vec<OwnedSemaphorePermit>,
}

/// The whole body, if it is not too large, comes in time, and there is room for it.
pub(super) async fn body(body: Body, app: &App) -> Result<Content, Problem> {
    let time = Duration::from_millis(app.limits.body_ms_max);
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
    tokio::time::timeout(time, collect(body, app)).await.map_err(late)?
}

async fn collect(body: Body, app: &App) -> Result<Content, Problem> {
    let max = app.limits.body_bytes_max;
    let too_large = || {
        let detail = format!("the body has more than {max} bytes; send it in parts");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    // Who says beforehand how much comes need not send it.
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let mut content = Content { bytes: Vec::new(), room: Vec::new() };
    let (mut chunks, mut counted) = (body.into_data_stream(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("the body does not read: {error}"))
        })?;
        if content.bytes.len() + chunk.len() > max {
            return Err(too_large());
        }
        content.bytes.extend_from_slice(&chunk);
        let units = content.bytes.len().div_ceil(BODY_UNIT);
        content.room.push(take_room(app, units - counted)?);
        counted = units;
    }
    Ok(content)
}

fn take_room(app: &App, units: usize) -> Result<OwnedSemaphorePermit, Problem> {
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    app.bodies.clone().try_acquire_many_owned(units).map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; send it again")
    })
}

/// The body as text.
pub(super) async fn text(content: Body, app: &App) -> Result<String, Problem> {
    let content = body(content, app).await?;
    String::from_utf8(content.bytes)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not UTF-8 text"))
}

/// The numbers of a request that is to take effect once: headers `Dunlin-Producer`, `Dunlin-Sequence`.
pub(super) fn numbered(headers: &HeaderMap) -> Result<Option<Numbered>, Problem> {
    let number = |name: &'static str, max: u64| {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let number = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
        match number.filter(|&number| number <= max) {
            Some(number) => Ok(Some(number)),
            None => {
                let detail = format!("{name} must be a whole number from 0 to {max}");
                Err(Problem::of_field(name, detail))
            }
        }
    };
    let producer = number("Dunlin-Producer", OWN_PRODUCERS - 1)?;
    let sequence = number("Dunlin-Sequence", Numbered::SEQUENCE_MAX)?;
    match (producer, sequence) {
        (Some(producer), Some(sequence)) => Ok(Some(Numbered { producer, sequence })),
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err(Problem::of_field("Dunlin-Sequence", "a request with Dunlin-Producer has it too"))
        }
        (None, Some(_)) => {
            Err(Problem::of_field("Dunlin-Producer", "a request with Dunlin-Sequence has it too"))
        }
    }
}

/// What becomes of the rows while the engine is behind: header `Dunlin-Overload`.
pub(super) fn overload(headers: &HeaderMap) -> Result<Overload, Problem> {
    let Some(value) = headers.get(Overload::HEADER) else { return Ok(Overload::Block) };
    let read = value.to_str().unwrap_or_default().parse::<Overload>();
    read.map_err(|error| Problem::of_field(Overload::HEADER, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(producer: Option<&str>, sequence: Option<&str>) -> Result<Option<Numbered>, ()> {
        let mut headers = HeaderMap::new();
        for (name, value) in [("dunlin-producer", producer), ("dunlin-sequence", sequence)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        numbered(&headers).map_err(drop)
    }

    #[test]
    fn numbers_come_together_and_in_bounds() {
        assert_eq!(read(None, None), Ok(None));
        let both = Numbered { producer: 7, sequence: 0 };
        assert_eq!(read(Some("7"), Some("0")), Ok(Some(both)));
        for (producer, sequence) in [
            (Some("7"), None),
            (None, Some("7")),
            (Some("-1"), Some("7")),
            (Some("9223372036854775808"), Some("7")),
            (Some("7"), Some("72057594037927936")),
            (Some("7"), Some("x")),
        ] {
            assert_eq!(read(producer, sequence), Err(()), "{producer:?} {sequence:?}");
        }
    }
}
