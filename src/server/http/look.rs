//! What the server has and how it is: objects, state, figures, health, and what it answers to.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dunlin_query::topology::{ShardSummary, StripSummary};

use super::feeds::json;
use super::problem::Problem;
use super::request::Id;
use crate::live::AskError;
use crate::server::app::App;
use crate::server::feed::Tally;
use crate::server::json::{push_list, push_number, push_string};
use crate::server::registry::Registry;
use crate::server::tiles::TileServer;

/// What the server answers to.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// Where an object is: `{"id":"t7","at":[x,y],"time":"…"}`.
pub(super) async fn object(State(app): State<Arc<App>>, Id(id): Id) -> Result<Response, Problem> {
    let name = id.clone();
    let found = app.core.ask(move |look| look.object(&name)).await?;
    let located = found.ok_or_else(|| {
        let detail = format!("there is no object {id:?}, or it was silent for too long");
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    let mut text = String::from("{\"id\":");
    push_string(&mut text, &id);
    text.push_str(",\"at\":[");
    push_number(&mut text, located.at.x);
    text.push(',');
    push_number(&mut text, located.at.y);
    write!(text, "],\"time\":\"{}\"}}", located.time).expect("a string takes all");
    Ok(json(text))
}

/// How the server is; see [`state_text`].
pub(super) async fn state(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    Ok(json(state_text(&app).await?))
}

/// `{"time":"…","space":"sphere","objects":n,"queries":n,"subscribers":n,"lanes":n,"lag_ms":n,
/// "tiles":{"url":"…","credit":"…","zoom_max":n}|null,"roads":bool,
/// "bounds":[west,south,east,north]|null,"records":{…},"cooccurrences":[…],"shards":[…],
/// "strips":[…]}`
pub(crate) async fn state_text(app: &App) -> Result<String, AskError> {
    let (time, objects, shards, strips) = app
        .core
        .ask(|look| (look.epoch().1, look.object_count(), look.shards(), look.strips()))
        .await?;
    let space = format!("{:?}", app.core.space()).to_lowercase();
    let (queries, lanes) = (app.registry(Registry::len), app.core.lane_count());
    let subscribers = app.feed.hub().subscriber_count();
    let mut text = format!(
        "{{\"time\":\"{time}\",\"space\":\"{space}\",\"objects\":{objects},\"queries\":{queries},\
         \"subscribers\":{subscribers},\"lanes\":{lanes},\"lag_ms\":{},\"tiles\":",
        app.lag_ms(),
    );
    push_tiles(&mut text, app.tiles.as_ref());
    write!(text, ",\"roads\":{},\"bounds\":", app.roads.is_some()).expect("a string takes all");
    match &app.roads {
        Some(roads) => push_list(&mut text, roads.bounds, push_number),
        None => text.push_str("null"),
    }
    text.push_str(",\"records\":");
    push_tally(&mut text, &app.tally);
    text.push_str(",\"cooccurrences\":");
    push_list(&mut text, app.cooccurrences(), |text, query| {
        text.push_str("{\"id\":");
        push_string(text, &query.id);
        text.push_str(",\"records\":");
        push_tally(text, &query.tally);
        text.push('}');
    });
    text.push_str(",\"shards\":");
    push_list(&mut text, shards, push_shard);
    text.push_str(",\"strips\":");
    push_list(&mut text, strips, push_strip);
    text.push('}');
    Ok(text)
}

fn push_tiles(text: &mut String, tiles: Option<&TileServer>) {
    let Some(tiles) = tiles else { return text.push_str("null") };
    text.push_str("{\"url\":");
    push_string(text, tiles.url());
    text.push_str(",\"credit\":");
    push_string(text, tiles.credit());
    write!(text, ",\"zoom_max\":{}}}", tiles.zoom_max()).expect("a string takes all");
}

fn push_tally(text: &mut String, tally: &Tally) {
    let [applied, late, rejected, duplicate] =
        [&tally.applied, &tally.late, &tally.rejected, &tally.duplicate]
            .map(|count| count.load(Ordering::Relaxed));
    write!(
        text,
        "{{\"applied\":{applied},\"late\":{late},\"rejected\":{rejected},\"duplicate\":{duplicate}}}"
    )
    .expect("a string takes all");
}

/// Appends a border, or `null` where there is none.
fn push_border(text: &mut String, border: Option<f64>) {
    match border {
        Some(x) => push_number(text, x),
        None => text.push_str("null"),
    }
}

fn push_range(text: &mut String, from: Option<f64>, to: Option<f64>) {
    text.push_str("{\"from\":");
    push_border(text, from);
    text.push_str(",\"to\":");
    push_border(text, to);
}

/// Appends a shard: `{"from":x|null,"to":x|null,"objects":n,"queries":n}`.
pub(crate) fn push_shard(text: &mut String, shard: ShardSummary) {
    push_range(text, shard.from, shard.to);
    write!(text, ",\"objects\":{},\"queries\":{}}}", shard.objects, shard.queries)
        .expect("a string takes all");
}

/// Appends a strip: `{"from":x|null,"to":x|null,"objects":n,"shard":i}`.
pub(crate) fn push_strip(text: &mut String, strip: StripSummary) {
    push_range(text, strip.from, strip.to);
    write!(text, ",\"objects\":{},\"shard\":{}}}", strip.objects, strip.shard)
        .expect("a string takes all");
}

/// The roads below the map; see [`crate::server::roads`].
pub(super) async fn roads(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let Some(roads) = &app.roads else {
        let detail = "this server was given no roads; see 'dunlin serve --roads'";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, roads.bytes.clone()).into_response())
}

/// Figures, in the text form of Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, app.metrics.render()).into_response()
}

/// The process answers.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// The server does its work.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.is_ready() {
        Ok("ready\n")
    } else {
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the engine does not run"))
    }
}

/// What the server answers to.
pub(super) async fn openapi() -> Response {
    json(OPENAPI.to_owned())
}
