//! The HTTP face: routes, and the connections that they are served on.
//!
//! Every route is in [`routes`], with the methods that it takes; the router is made of it, and a test
//! holds the document at `/v1/openapi.json` to it.

mod drain;
mod feeds;
mod follow;
mod guard;
mod look;
mod map;
mod page;
mod problem;
mod queries;
mod request;
mod serve;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};

pub(crate) use look::state_text;
pub(crate) use problem::status;
pub(super) use serve::serve;

use super::app::App;
use problem::Problem;

/// A path, its methods, and what answers.
type Route = (&'static str, &'static [&'static str], MethodRouter<Arc<App>>);

fn routes() -> Vec<Route> {
    vec![
        ("/v1/positions", &["post"], post(feeds::positions)),
        ("/v1/events", &["post"], post(feeds::events)),
        ("/v1/queries", &["get", "post"], get(queries::list).post(queries::create)),
        ("/v1/queries/{id}", &["delete", "get"], get(queries::get).delete(queries::delete)),
        ("/v1/queries/{id}/answer", &["get"], get(queries::answer)),
        ("/v1/queries/{id}/stream", &["get"], get(follow::stream)),
        ("/v1/queries/{id}/ws", &["get"], get(follow::socket)),
        ("/v1/query", &["post"], post(queries::ask)),
        ("/v1/objects/{id}", &["get"], get(look::object)),
        ("/v1/state", &["get"], get(look::state)),
        ("/v1/map", &["get"], get(map::socket)),
        ("/v1/map/roads", &["get"], get(look::roads)),
        ("/v1/openapi.json", &["get"], get(look::openapi)),
        ("/metrics", &["get"], get(look::metrics)),
        ("/healthz", &["get"], get(look::health)),
        ("/readyz", &["get"], get(look::ready)),
    ]
}

/// The router of a server, which listens on the loopback interface or not.
pub(super) fn router(app: Arc<App>, is_local: bool) -> Router {
    let router = routes()
        .into_iter()
        .fold(Router::new(), |router, (path, _, methods)| router.route(path, methods));
    router
        .fallback(page::file)
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes other methods")
        })
        .layer(from_fn(guard::not_packed))
        .layer(from_fn_with_state(app.clone(), guard::with_token))
        .layer(from_fn_with_state(is_local, guard::own_pages_only))
        .layer(from_fn(drain::to_its_end))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document: Value = serde_json::from_str(look::OPENAPI).unwrap();
        let methods = |item: &Value| {
            let names = item.as_object().unwrap().keys();
            let mut names: Vec<String> = names.filter(|it| *it != "parameters").cloned().collect();
            names.sort();
            names
        };
        let paths = document["paths"].as_object().unwrap().iter();
        let mut documented: Vec<_> =
            paths.map(|(path, item)| (path.clone(), methods(item))).collect();
        documented.sort();
        let routes = routes().into_iter().map(|(path, methods, _)| {
            (path.to_owned(), methods.iter().map(|&it| it.to_owned()).collect::<Vec<_>>())
        });
        let mut served: Vec<_> = routes.collect();
        served.sort();
        assert_eq!(documented, served);
    }

    #[test]
    fn what_the_document_refers_to_is_there() {
        let document: Value = serde_json::from_str(look::OPENAPI).unwrap();
        let mut seen = 0;
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            if let Some(target) = value.get("$ref").and_then(Value::as_str) {
                let pointer = target.strip_prefix('#').expect("references stay in the document");
                assert!(document.pointer(pointer).is_some(), "{target}");
                seen += 1;
            }
            match value {
                Value::Object(map) => open.extend(map.values()),
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        assert!(seen > 10, "only {seen} references");
    }
}
