//! What goes wrong, as `application/problem+json` (RFC 9457), with the field where one is wrong.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

use crate::live::{AskError, SendError};
use crate::server::error::QueryError;
use crate::server::hub::SubscribeError;

/// An answer that says what is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    field: Option<Cow<'static, str>>,
}

#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), field: None }
    }

    /// A request that is wrong in a field.
    pub(crate) fn of_field(field: &'static str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let Self { status, detail, field } = &self;
        let title = status.canonical_reason().unwrap_or("Error");
        let text = Text {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            detail,
            field: field.as_deref(),
        };
        let body = serde_json::to_vec(&text).expect("a problem is JSON");
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// What kind of failure it is.
pub(crate) fn status(error: &QueryError) -> StatusCode {
    match error {
        QueryError::Question(_) | QueryError::Cooccurrence(_) | QueryError::Limit { .. } => {
            StatusCode::BAD_REQUEST
        }
        QueryError::Taken => StatusCode::CONFLICT,
        QueryError::Unknown { .. } | QueryError::Subscribe(SubscribeError::Unknown) => {
            StatusCode::NOT_FOUND
        }
        QueryError::Full(_) | QueryError::Subscribe(_) => StatusCode::TOO_MANY_REQUESTS,
        QueryError::Ask(_) | QueryError::Send(SendError::Ended) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let status = status(&error);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%error, "a request failed");
        }
        Self { field: error.field(), ..Self::new(status, error.to_string()) }
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        QueryError::from(error).into()
    }
}
