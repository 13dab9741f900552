//! `POST /v1/positions` and `POST /v1/events`.

use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::request::{body, numbered, overload};
use crate::server::app::{App, blocking};
use crate::server::error::QueryError;
use crate::server::ingest::{
    Intake, Outcome, Overload, PassageIntake, read_csv, read_features, read_lines, read_passages,
};
use crate::server::json::{push_list, push_string};

/// How a body of positions is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Lines,
    Csv,
    Features,
}

impl Format {
    /// By the content type; lines of JSON if there is none.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Lines) };
        let text = value.to_str().unwrap_or_default();
        let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-ndjson"
            | "application/ndjson"
            | "application/json"
            | "text/plain"
            | "application/x-www-form-urlencoded"
            | "application/jsonl" => Ok(Self::Lines),
            "text/csv" => Ok(Self::Csv),
            "application/geo+json" | "application/vnd.geo+json" => Ok(Self::Features),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send application/x-ndjson, text/csv or application/geo+json",
            )),
        }
    }
}

/// Takes positions; answers when the log has them.
pub(super) async fn positions(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Problem> {
    let (format, numbered) = (Format::of(&headers)?, numbered(&headers)?);
    let overload = overload(&headers)?;
    let content = body(content, &app).await?;
    let outcome = blocking(move || {
        let mut intake = Intake::new(&app, numbered, overload)?;
        match format {
            Format::Lines => read_lines(&content.bytes, &mut intake)?,
            Format::Csv => read_csv(&content.bytes, &mut intake)?,
            Format::Features => read_features(&content.bytes, &mut intake)?,
        }
        intake.finish_and_wait()
    });
    Ok(told(&outcome.await?, overload))
}

/// Takes passages; answers when the logs of all co-occurrence queries have them.
pub(super) async fn events(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Problem> {
    let numbered = numbered(&headers)?;
    if overload(&headers)? != Overload::Block {
        return Err(Problem::of_field(Overload::HEADER, "passages wait: none replaces another"));
    }
    let content = body(content, &app).await?;
    let outcome: Result<Outcome, QueryError> = blocking(move || {
        let mut intake = PassageIntake::new(&app, numbered);
        read_passages(&content.bytes, &mut intake)?;
        intake.finish_and_wait()
    })
    .await;
    Ok(told(&outcome?, Overload::Block))
}

/// `{"accepted":n,"rejected":m,"errors":[{"line":3,"reason":"…"}, …]}`, and `held` and `shed` for who
/// does not wait.
fn told(outcome: &Outcome, overload: Overload) -> Response {
    let Outcome { accepted, rejected, held, shed } = outcome;
    let mut text = String::new();
    write!(text, "{{\"accepted\":{accepted},").expect("a string takes all");
    if overload != Overload::Block {
        write!(text, "\"held\":{held},\"shed\":{shed},").expect("a string takes all");
    }
    write!(text, "\"rejected\":{},\"errors\":", rejected.count).expect("a string takes all");
    push_list(&mut text, &rejected.first, |text, (line, reason)| {
        write!(text, "{{\"line\":{line},\"reason\":").expect("a string takes all");
        push_string(text, reason);
        text.push('}');
    });
    text.push('}');
    json(text)
}

/// A text that is JSON.
pub(super) fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
