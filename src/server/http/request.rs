//! What handlers take from a request, each with a problem of its own where it is wrong.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::server::app::OWN_PRODUCERS;
use crate::server::ingest::Numbered;
use crate::server::options::Limits;

/// The id in a path.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id))
            .map_err(|error| Problem::new(error.status(), error.body_text()))
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

/// The whole body, if it is not too large and comes in time.
pub(super) async fn body(body: Body, limits: &Limits) -> Result<Bytes, Problem> {
    let max = limits.body_bytes_max;
    let read = axum::body::to_bytes(body, max);
    match tokio::time::timeout(Duration::from_millis(limits.body_ms_max), read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => {
            let detail = format!("the body has more than {max} bytes; send it in parts");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Ok(Err(error)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, format!("the body does not read: {error}")))
        }
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

/// The body as text.
pub(super) async fn text(content: Body, limits: &Limits) -> Result<String, Problem> {
    let bytes = body(content, limits).await?;
    String::from_utf8(bytes.into())
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not UTF-8 text"))
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
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
