//! Pages of other sites are kept out, and who has no token for what is asked.
//!
//! A browser lets any page send requests to a server on its own machine. So a request that names the
//! page that it comes from is taken only from our own page, and while the server listens on the
//! loopback interface it answers to no name that could be another's.
//!
//! What comes packed is refused before anybody reads it.
//!
//! A page cannot give a WebSocket or an event stream a header: what is read may have its token in the
//! address, as `access_token=…` (RFC 6750, section 2.3).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::server::access::{Denied, Scope, bearer};
use crate::server::app::App;

const TOKEN: &str = "access_token=";

/// Passes on requests that come from our own page or from no page.
pub(super) async fn own_pages_only(
    State(is_local): State<bool>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if !comes_from_here(&request, is_local) {
        let detail = "requests from pages of other sites are not taken";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(next.run(request).await)
}

fn comes_from_here(request: &Request, is_local: bool) -> bool {
    let header = |name| request.headers().get(name).and_then(|it| it.to_str().ok());
    let host = header(header::HOST).or_else(|| request.uri().authority().map(Authority::as_str));
    is_taken(host, header(header::ORIGIN), is_local)
}

fn is_taken(host: Option<&str>, origin: Option<&str>, is_local: bool) -> bool {
    if is_local && !host.is_none_or(is_own_name) {
        return false;
    }
    let Some(origin) = origin else { return true };
    let origin = origin.parse::<Uri>().ok();
    let page = origin.as_ref().and_then(Uri::authority).map(Authority::as_str);
    page.is_some() && page == host
}

/// Whether a host is an address or this machine's own name.
fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

/// Passes on requests whose bodies need not be unpacked first.
pub(super) async fn not_packed(request: Request, next: Next) -> Result<Response, Problem> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        let detail = "a body with a content encoding is not read: send it as it is";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    Ok(next.run(request).await)
}

/// Passes on requests whose token has the scope that they take.
pub(super) async fn with_token(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let in_address = take_token(request.uri_mut());
    let Some(scope) = scope(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    let header = request.headers().get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let in_address = in_address.as_deref().filter(|_| request.method() == Method::GET);
    match app.access.check(header.and_then(bearer).or(in_address), scope) {
        Ok(()) => next.run(request).await,
        Err(denied) => refused(denied),
    }
}

fn refused(denied: Denied) -> Response {
    let (status, asks) = match denied {
        Denied::NoToken => (StatusCode::UNAUTHORIZED, "Bearer"),
        Denied::Unknown => (StatusCode::UNAUTHORIZED, "Bearer error=\"invalid_token\""),
        Denied::Scope(_) => (StatusCode::FORBIDDEN, "Bearer error=\"insufficient_scope\""),
    };
    let mut response = Problem::new(status, denied.to_string()).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(asks));
    response
}

/// What a request takes. The page and what a load balancer looks at are for everybody.
fn scope(method: &Method, path: &str) -> Option<Scope> {
    if !path.starts_with("/v1/") && path != "/metrics" {
        return None;
    }
    let is_question = path == "/v1/query" || matches!(*method, Method::GET | Method::HEAD);
    Some(if is_question { Scope::Read } else { Scope::Write })
}

/// Takes the token out of an address, where nothing else is to see it.
fn take_token(uri: &mut Uri) -> Option<String> {
    let query = uri.query().filter(|it| it.contains(TOKEN))?;
    let token = query.split('&').find_map(|it| it.strip_prefix(TOKEN))?.to_owned();
    let others: Vec<&str> = query.split('&').filter(|it| !it.starts_with(TOKEN)).collect();
    let rest = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(
        PathAndQuery::try_from(format!("{}{rest}", uri.path())).expect("a part of an address"),
    );
    *uri = Uri::from_parts(parts).expect("an address without a parameter is one");
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_out_of_the_address() {
        let taken = |text: &str| {
            let mut uri = text.parse::<Uri>().unwrap();
            let token = take_token(&mut uri);
            (token, uri.to_string())
        };
        let token = Some("s3cret".to_owned());
        assert_eq!(taken("/v1/map?access_token=s3cret"), (token.clone(), "/v1/map".to_owned()));
        let others = "/v1/queries?limit=1&access_token=s3cret&offset=2";
        assert_eq!(taken(others), (token.clone(), "/v1/queries?limit=1&offset=2".to_owned()));
        let absolute = "http://host/v1/map?access_token=s3cret";
        assert_eq!(taken(absolute), (token, "http://host/v1/map".to_owned()));
        for none in ["/v1/map", "/v1/map?after=1.0", "/v1/map?no_access_token=x"] {
            assert_eq!(taken(none), (None, none.to_owned()));
        }
    }

    #[test]
    fn who_looks_reads_and_who_changes_writes() {
        for (method, path, expected) in [
            (Method::GET, "/", None),
            (Method::GET, "/app.js", None),
            (Method::GET, "/healthz", None),
            (Method::GET, "/readyz", None),
            (Method::GET, "/metrics", Some(Scope::Read)),
            (Method::GET, "/v1/queries", Some(Scope::Read)),
            (Method::HEAD, "/v1/state", Some(Scope::Read)),
            (Method::POST, "/v1/query", Some(Scope::Read)),
            (Method::POST, "/v1/queries", Some(Scope::Write)),
            (Method::DELETE, "/v1/queries/q1", Some(Scope::Write)),
            (Method::POST, "/v1/positions", Some(Scope::Write)),
            (Method::PUT, "/v1/state", Some(Scope::Write)),
        ] {
            assert_eq!(scope(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn only_our_own_page_and_no_page_are_taken() {
        let own = Some("127.0.0.1:7878");
        assert!(is_taken(own, None, true));
        assert!(is_taken(own, Some("http://127.0.0.1:7878"), true));
        assert!(is_taken(Some("[::1]:7878"), None, true));
        assert!(is_taken(Some("localhost"), Some("http://localhost"), true));
        assert!(!is_taken(own, Some("http://evil.example"), true));
        assert!(!is_taken(own, Some("null"), true));
        assert!(!is_taken(own, Some("http://127.0.0.1:80"), true));
        // A name that another site lets point here.
        assert!(!is_taken(Some("evil.example:7878"), None, true));
        assert!(is_taken(Some("dunlin.example"), Some("https://dunlin.example"), false));
    }
}
