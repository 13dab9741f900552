//! The map's feed: what is in a view, five times a second, as long as the client keeps up.
//!
//! ```text
//! client  {"view":[west,south,east,north],"max":50000,"queries":["q1", …]}     whenever the view changes
//! server  {"time":"…","objects":n,"shown":n,"sampled":bool,"rates":{…},"lag_ms":x,"shards":[…],
//!          "strips":[…],"answers":[…],"cooccurrences":[…]}                     text, and then
//!         u32 n · u32 0 · f64 x0 · f64 y0 · n × u32 object · n × f32 dx · n × f32 dy    little-endian
//! ```

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use dunlin_cep::topology::NamedReport;
use dunlin_index::{Coord, Interval, SpaceKind, Window};
use dunlin_query::JsonObject;
use dunlin_query::topology::{QueryAnswer, ShardSummary, StripSummary, ViewSample};
use dunlin_stream::Timestamp;
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval};

use super::follow::{closing, upgraded};
use super::look::{push_shard, push_strip};
use super::problem::Problem;
use crate::live::{AskError, now};
use crate::server::app::App;
use crate::server::core::Look;
use crate::server::json::{push_answer, push_list, push_number, push_reports, push_string};

const FRAME: Duration = Duration::from_millis(200);
/// Frames over which rates are taken.
const RATE_FRAMES: usize = 6;
const OBJECTS_MAX: usize = 50_000;
const QUERIES_MAX: usize = 50;
/// Objects in all answers of a frame; answers beyond are left out.
const ANSWERED_MAX: usize = 100_000;
const REPORTS_SHOWN: usize = 20;

/// What a client wants to see.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct View {
    view: [f64; 4],
    #[serde(default = "objects_max")]
    max: usize,
    #[serde(default)]
    queries: Vec<String>,
}

fn objects_max() -> usize {
    OBJECTS_MAX
}

impl View {
    fn read(text: &str) -> Result<Self, String> {
        let JsonObject(mut view): JsonObject<Self> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        if !view.view.iter().all(|side| side.is_finite()) {
            return Err("\"view\" needs four finite numbers".to_owned());
        }
        view.max = view.max.min(OBJECTS_MAX);
        view.queries.truncate(QUERIES_MAX);
        Ok(view)
    }

    /// The part of the space that is in view; on the sphere it may go over the antimeridian.
    fn window(&self, space: SpaceKind) -> Window {
        let [west, south, east, north] = self.view;
        let y = Interval { min: south, max: north };
        let whole = Window { x: [Interval { min: west, max: east }, Interval::EMPTY], y };
        match space {
            SpaceKind::Plane => whole,
            SpaceKind::Sphere if west <= east => whole,
            SpaceKind::Sphere => {
                let (left, right) =
                    (Interval { min: west, max: 180.0 }, Interval { min: -180.0, max: east });
                Window { x: [left, right], y }
            }
        }
    }
}

/// What is read from the engine for a frame.
struct Frame {
    time: Timestamp,
    objects: usize,
    shown: ViewSample,
    shards: Vec<ShardSummary>,
    strips: Vec<StripSummary>,
    answers: Vec<QueryAnswer>,
}

impl Frame {
    fn read(look: &dyn Look, window: &Window, view: &View) -> Self {
        let (mut answers, mut left) = (Vec::new(), ANSWERED_MAX);
        for id in &view.queries {
            let Some(answer) = look.answer(id) else { continue };
            let count = answer.objects().len();
            if count <= left {
                left -= count;
                answers.push(answer);
            }
        }
        Self {
            time: look.epoch().1,
            objects: look.object_count(),
            shown: look.view(window, view.max),
            shards: look.shards(),
            strips: look.strips(),
            answers,
        }
    }
}

/// Positions and deltas a second.
#[derive(Debug, Default)]
struct Rates {
    /// Milliseconds, positions, deltas; the newest last.
    seen: VecDeque<(i64, u64, u64)>,
}

impl Rates {
    fn next(&mut self, at: i64, positions: u64, deltas: u64) -> [f64; 2] {
        self.seen.push_back((at, positions, deltas));
        if self.seen.len() > RATE_FRAMES {
            self.seen.pop_front();
        }
        let (from, positions_before, deltas_before) = self.seen[0];
        let seconds = (at - from).max(1) as f64 / 1_000.0;
        [(positions - positions_before) as f64 / seconds, (deltas - deltas_before) as f64 / seconds]
    }
}

/// The map of a server.
pub(super) async fn socket(
    State(app): State<Arc<App>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgraded(upgrade)?;
    let Ok(open) = app.maps.clone().try_acquire_owned() else {
        let detail = "too many maps are open already";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
    };
    Ok(upgrade.on_upgrade(async move |socket| {
        // A client that is gone needs no farewell.
        drop(show(socket, &app).await);
        drop(open);
    }))
}

async fn show(mut socket: WebSocket, app: &App) -> Result<(), axum::Error> {
    let (mut view, mut rates) = (None, Rates::default());
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => match View::read(&text) {
                    Ok(wanted) => view = Some(wanted),
                    Err(what) => socket.send(Message::text(problem(&what))).await?,
                },
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            },
            _ = frames.tick() => {
                if app.is_stopping() {
                    return socket.send(closing("the server stops")).await;
                }
                let Some(view) = &view else { continue };
                let Ok((text, binary)) = frame(app, view, &mut rates).await else { return Ok(()) };
                socket.send(Message::text(text)).await?;
                socket.send(Message::Binary(binary)).await?;
            }
        }
    }
}

fn problem(what: &str) -> String {
    let mut text = String::from("{\"problem\":");
    push_string(&mut text, what);
    text.push('}');
    text
}

async fn frame(app: &App, view: &View, rates: &mut Rates) -> Result<(String, Bytes), AskError> {
    let (window, of_engine) = (view.window(app.core.space()), view.clone());
    let frame = app.core.ask(move |look| Frame::read(look, &window, &of_engine)).await?;
    let applied = app.tally.applied.load(Ordering::Relaxed);
    let (reports, told) = last_reports(app);
    let rates = rates.next(now().as_millis(), applied, told);
    let lag_ms = app.lag_ms();
    let text = as_text(&frame, rates, lag_ms, &reports);
    Ok((text, as_binary(&frame.shown, view).into()))
}

/// The last reports of all co-occurrence queries as a list, and how much all queries have told.
fn last_reports(app: &App) -> (String, u64) {
    let (queries, hub, mut text) = (app.cooccurrences(), app.feed.hub(), String::new());
    let mut reports: Vec<&NamedReport> =
        queries.iter().flat_map(|it| hub.reports(&it.id).rev().take(REPORTS_SHOWN)).collect();
    reports.sort_by_key(|report| report.time);
    let first = reports.len().saturating_sub(REPORTS_SHOWN);
    push_reports(&mut text, reports[first..].iter().copied());
    (text, hub.told_count())
}

fn as_text(frame: &Frame, [positions, deltas]: [f64; 2], lag_ms: i64, reports: &str) -> String {
    let Frame { time, objects, shown, shards, strips, answers } = frame;
    let mut text = format!(
        "{{\"time\":\"{time}\",\"objects\":{objects},\"shown\":{},\"sampled\":{},\"rates\":{{\"positions\":",
        shown.ids.len(),
        shown.is_sampled
    );
    push_number(&mut text, positions);
    text.push_str(",\"deltas\":");
    push_number(&mut text, deltas);
    write!(text, "}},\"lag_ms\":{lag_ms},\"shards\":").expect("a string takes all");
    push_list(&mut text, shards.iter().copied(), push_shard);
    text.push_str(",\"strips\":");
    push_list(&mut text, strips.iter().copied(), push_strip);
    text.push_str(",\"answers\":");
    push_list(&mut text, answers, |text, answer| push_answer(text, *time, answer));
    text.push_str(",\"cooccurrences\":");
    text.push_str(reports);
    text.push('}');
    text
}

fn as_binary(shown: &ViewSample, view: &View) -> Vec<u8> {
    let [west, south, east, north] = view.view;
    let is_cut = west > east;
    let east = if is_cut { east + 360.0 } else { east };
    let origin = Coord { x: f64::midpoint(west, east), y: f64::midpoint(south, north) };
    let mut bytes = Vec::with_capacity(24 + 12 * shown.ids.len());
    bytes.extend_from_slice(&(shown.ids.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&origin.x.to_le_bytes());
    bytes.extend_from_slice(&origin.y.to_le_bytes());
    shown.ids.iter().for_each(|id| bytes.extend_from_slice(&id.to_le_bytes()));
    // East of the antimeridian x goes on where it ended.
    let unrolled = |x: f64| if is_cut && x < west { x + 360.0 } else { x };
    for at in &shown.at {
        bytes.extend_from_slice(&((unrolled(at.x) - origin.x) as f32).to_le_bytes());
    }
    for at in &shown.at {
        bytes.extend_from_slice(&((at.y - origin.y) as f32).to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(sides: [f64; 4]) -> View {
        View { view: sides, max: 10, queries: Vec::new() }
    }

    #[test]
    fn views_are_bounded() {
        let text = r#"{"view":[1,2,3,4],"max":99999999,"queries":["a"]}"#;
        let read = View::read(text).unwrap();
        assert_eq!((read.max, read.queries.len()), (OBJECTS_MAX, 1));
        assert_eq!(View::read(r#"{"view":[1,2,3,4]}"#).unwrap().max, OBJECTS_MAX);
        for text in ["", "{}", r#"{"view":[1,2,3]}"#, r#"{"view":[1,2,3,1e999]}"#] {
            assert!(View::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_view_over_the_antimeridian_has_two_parts_and_goes_on_in_x() {
        let view = view([170.0, -10.0, -170.0, 10.0]);
        let window = view.window(SpaceKind::Sphere);
        let at = |x: f64| Coord { x, y: 0.0 };
        assert!(window.contains(at(175.0)) && window.contains(at(-175.0)));
        assert!(!window.contains(at(0.0)));
        let shown =
            ViewSample { ids: vec![7, 8], at: vec![at(175.0), at(-175.0)], is_sampled: false };
        let bytes = as_binary(&shown, &view);
        let float = |at: usize| f32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        assert_eq!(bytes.len(), 24 + 2 * 12);
        assert_eq!(f64::from_le_bytes(*bytes[8..].first_chunk().unwrap()), 180.0);
        assert_eq!(u32::from_le_bytes(*bytes[28..].first_chunk().unwrap()), 8);
        assert_eq!([float(32), float(36), float(40)], [-5.0, 5.0, 0.0]);
    }

    #[test]
    fn rates_are_taken_over_a_second() {
        let mut rates = Rates::default();
        assert_eq!(rates.next(1_000, 500, 5), [0.0, 0.0]);
        for frame in 1..20 {
            let [positions, deltas] = rates.next(1_000 + frame * 200, 500 + frame as u64 * 20, 5);
            assert_eq!([positions.round(), deltas], [100.0, 0.0]);
        }
        assert_eq!(rates.seen.len(), RATE_FRAMES);
    }
}
