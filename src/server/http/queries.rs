//! Standing queries: `/v1/queries`, and their answers.

use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::feeds::json;
use super::problem::Problem;
use super::request::{Id, Params, text};
use crate::live::now;
use crate::server::app::App;
use crate::server::error::QueryError;
use crate::server::json;
use crate::server::queries::check_once;
use crate::server::registry::QueryKind;

/// Queries of a page, unless the request says how many.
const PAGE: usize = 1_000;
const PAGE_MAX: usize = 10_000;

/// Which page of the queries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

fn unknown(id: &str) -> Problem {
    QueryError::Unknown { id: id.to_owned() }.into()
}

/// Registers a query.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    content: Body,
) -> Result<Response, Problem> {
    let query = text(content, &app).await?;
    let id = app.create(query).await?;
    let stored = app.registry(|registry| registry.get(&id).map(|it| it.text.to_string()));
    let mut response = json(stored.ok_or_else(|| unknown(&id))?);
    *response.status_mut() = StatusCode::CREATED;
    let place = format!("/v1/queries/{}", encoded(&id));
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// An id as a part of a path.
fn encoded(id: &str) -> String {
    let mut out = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a string takes all");
        }
    }
    out
}

/// `{"queries":[…],"total":n}`, a page of them.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(Page { offset, limit }): Params<Page>,
) -> Response {
    let limit = limit.unwrap_or(PAGE).min(PAGE_MAX);
    let (page, total) = app.registry(|registry| (registry.page(offset, limit), registry.len()));
    let mut text = String::from("{\"queries\":");
    json::push_list(&mut text, page, |text, (_, query)| text.push_str(&query));
    write!(text, ",\"total\":{total}}}").expect("a string takes all");
    json(text)
}

/// A query as it was put.
pub(super) async fn get(State(app): State<Arc<App>>, Id(id): Id) -> Result<Response, Problem> {
    let query = app.registry(|registry| registry.get(&id).map(|it| it.text.to_string()));
    Ok(json(query.ok_or_else(|| unknown(&id))?))
}

/// Removes a query.
pub(super) async fn delete(State(app): State<Arc<App>>, Id(id): Id) -> Result<Response, Problem> {
    app.remove(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The answer of a query at the end of the last epoch.
pub(super) async fn answer(State(app): State<Arc<App>>, Id(id): Id) -> Result<Response, Problem> {
    let kind = app.registry(|registry| registry.get(&id).map(|query| query.kind));
    match kind.ok_or_else(|| unknown(&id))? {
        QueryKind::Standing => {
            let of_query = id.clone();
            let found = app.core.ask(move |look| (look.epoch().1, look.answer(&of_query))).await?;
            let (time, answer) = found;
            Ok(json(json::answer(time, &answer.ok_or_else(|| unknown(&id))?)))
        }
        QueryKind::Cooccurrence => Ok(json(json::reports(&id, now(), app.feed.hub().reports(&id)))),
    }
}

/// Answers a question once.
pub(super) async fn ask(State(app): State<Arc<App>>, content: Body) -> Result<Response, Problem> {
    let question = text(content, &app).await?;
    let question = check_once(&question, app.core.space(), &app.limits)?;
    let (time, answer) = app.core.ask(move |look| (look.epoch().1, look.find(&question))).await?;
    Ok(json(json::answer(time, &answer)))
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn ids_are_safe_in_paths() {
        assert_eq!(encoded("q-1.a_~"), "q-1.a_~");
        assert_eq!(encoded("a/b é%"), "a%2Fb%20%C3%A9%25");
    }
}
