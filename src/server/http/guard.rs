//! Pages of other sites are kept out.
//!
//! A browser lets any page send requests to a server on its own machine. So a request that names the
//! page that it comes from is taken only from our own page, and while the server listens on the
//! loopback interface it answers to no name that could be another's.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::Problem;

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

#[cfg(test)]
mod tests {
    use super::is_taken;

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
