//! The page at `/`: files of `src/server/page`, in the binary, and nothing from outside but the tiles
//! of a server that the user named.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::problem::Problem;
use crate::server::app::App;
use crate::server::tiles::TileServer;

#[derive(RustEmbed)]
#[folder = "src/server/page"]
struct Page;

/// What the page may load: what comes from here, and map tiles.
fn policy(tiles: Option<&TileServer>) -> HeaderValue {
    let others = tiles.map(|it| format!(" {}", it.origin())).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{others}; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("an origin has plain letters only")
}

/// A file of the page, or a problem.
pub(super) async fn file(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
) -> Result<Response, Problem> {
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
        (header::CONTENT_SECURITY_POLICY, policy(app.tiles.as_ref())),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, Bytes::from(file.data.into_owned())).into_response())
}
