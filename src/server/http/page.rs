//! The page at `/`: files of `src/server/page`, in the binary, and nothing from outside.

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "src/server/page"]
struct Page;

/// What the page may load: only what comes from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page, or a problem.
pub(super) async fn file(method: Method, uri: Uri) -> Result<Response, Problem> {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let Some(file) = Page::get(path) else {
        let detail = format!("nothing is at {}; see /v1/openapi.json", uri.path());
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    if method != Method::GET && method != Method::HEAD {
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the page is there to be read"));
    }
    let kind = HeaderValue::from_str(file.metadata.mimetype());
    let headers: [(HeaderName, HeaderValue); 5] = [
        (
            header::CONTENT_TYPE,
            kind.unwrap_or(HeaderValue::from_static("application/octet-stream")),
        ),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, Bytes::from(file.data.into_owned())).into_response())
}
