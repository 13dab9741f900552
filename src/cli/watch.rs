//! `dunlin watch`: the neighbours of a place or an object in a running server, as they change.
//!
//! A query is registered for as long as the command runs. On a terminal the answer is a table that is
//! drawn anew; with `--json` every event is a line, for pipes.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use dunlin::index::Coord;
use dunlin::server::proto::ask_client::AskClient;
use dunlin::server::proto::queries_client::QueriesClient;
use dunlin::server::proto::subscribe_client::SubscribeClient;
use dunlin::server::proto::{Answer, AskRequest, CreateRequest, QueryId, SubscribeRequest};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::{self, ClientError, Link, ServerArgs};
use super::error::CliError;
use super::output::OutputError;
use super::progress::say;
use super::query::point;

const EXAMPLE: &str = "Example:
  dunlin watch --near 116.39,39.91 -k 10
  dunlin watch --object t7 --json";

/// Distances of those that stay are asked for so often.
const REFRESH: Duration = Duration::from_millis(500);

/// Watch the nearest objects in a running server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    focus: FocusArgs,
    /// How many of the nearest objects
    #[arg(short, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    k: u64,
    /// Write every event as a line of JSON
    #[arg(long)]
    json: bool,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

/// From where to look.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct FocusArgs {
    /// From a point: longitude and latitude, or x and y
    #[arg(long, value_name = "X,Y", value_parser = point, allow_hyphen_values = true)]
    near: Option<Coord>,
    /// From where an object is
    #[arg(long, value_name = "ID")]
    object: Option<String>,
}

impl WatchArgs {
    /// The question as JSON, under an id or without one.
    fn question(&self, id: Option<&str>) -> String {
        let mut knn = serde_json::json!({"k": self.k});
        match (&self.focus.near, &self.focus.object) {
            (Some(at), _) => knn["at"] = serde_json::json!([at.x, at.y]),
            (_, object) => knn["object"] = serde_json::json!(object),
        }
        let mut query = serde_json::json!({"knn": knn});
        if let Some(id) = id {
            query["id"] = serde_json::json!(id);
        }
        query.to_string()
    }

    /// What the table is of.
    fn title(&self) -> String {
        let from = match (&self.focus.near, &self.focus.object) {
            (Some(at), _) => format!("{},{}", at.x, at.y),
            (_, object) => format!("{:?}", object.as_deref().unwrap_or_default()),
        };
        format!("the {} nearest {from}", self.k)
    }
}

/// Runs the command.
pub(crate) fn run(args: &WatchArgs) -> Result<(), CliError> {
    client::runtime()?.block_on(async {
        let link = args.server.connect().await?;
        let id = own_id();
        let mut queries = QueriesClient::new(link.clone());
        let json = args.question(Some(&id));
        // Before the query stands, so that nothing ends this without its leaving.
        let signals = signals().map_err(ClientError::System)?;
        queries.create(CreateRequest { json }).await.map_err(ClientError::from)?;
        let watched = tokio::select! {
            watched = watch(args, &id, &link) => watched,
            () = ended(signals) => Ok(()),
        };
        // A server that cannot be reached keeps it, and says so in its list of queries.
        drop(queries.delete(QueryId { id }).await);
        watched
    })
}

/// Listens for whoever wants the command to end: Ctrl-C, a service manager, a terminal that closes.
fn signals() -> io::Result<[Signal; 3]> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [a, b, c] = kinds.map(signal);
    Ok([a?, b?, c?])
}

async fn ended([mut interrupt, mut terminate, mut hangup]: [Signal; 3]) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// An id that nobody else has.
fn own_id() -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("watch-{}-{}", std::process::id(), now.as_micros())
}

async fn watch(args: &WatchArgs, id: &str, link: &Link) -> Result<(), CliError> {
    let mut subscribe = SubscribeClient::new(link.clone());
    let request = SubscribeRequest { id: id.to_owned(), resume_after: None };
    let stream = subscribe.subscribe(request).await.map_err(ClientError::from)?;
    let mut events = stream.into_inner();
    let mut ask = AskClient::new(link.clone());
    let mut table = Table::new(args.title());
    let (mut refresh, mut count) = (tokio::time::interval(REFRESH), 0u64);
    loop {
        tokio::select! {
            event = events.message() => {
                let event = event.map_err(ClientError::from)?.ok_or(ClientError::Ended)?;
                count += 1;
                if args.json {
                    line(&event.json)?;
                }
            }
            _ = refresh.tick(), if !args.json => {}
        }
        if !args.json {
            let json = args.question(None);
            let answer = ask.ask(AskRequest { json }).await.map_err(ClientError::from)?;
            table.draw(&answer.into_inner())?;
        }
        if args.count.is_some_and(|max| count >= max) {
            return Ok(());
        }
    }
}

fn failed(source: io::Error) -> CliError {
    OutputError::stdout(source).into()
}

fn line(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(failed)
}

/// The answer as a table, which takes the place of the last one on a terminal.
struct Table {
    title: String,
    is_terminal: bool,
    last: String,
}

impl Table {
    fn new(title: String) -> Self {
        let is_terminal = io::stdout().is_terminal();
        if is_terminal {
            say(format_args!("Ctrl-C ends"));
        }
        Self { title, is_terminal, last: String::new() }
    }

    fn draw(&mut self, answer: &Answer) -> Result<(), CliError> {
        let text = rows(&self.title, answer);
        if text == self.last {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        // Home, and clear what is below.
        let begin = if self.is_terminal { "\x1b[H\x1b[J" } else { "" };
        write!(out, "{begin}{text}").and_then(|()| out.flush()).map_err(failed)?;
        self.last = text;
        Ok(())
    }
}

/// A title and a line for each object.
fn rows(title: &str, answer: &Answer) -> String {
    let mut text = format!("{title}: {}\n", answer.objects.len());
    for (rank, object) in answer.objects.iter().enumerate() {
        let distance = object.distance.unwrap_or_default();
        let (id, x, y) = (printable(&object.id), object.x, object.y);
        text.push_str(&format!("{:>4}  {distance:>12.1}  {x:>12.6} {y:>12.6}  {id}\n", rank + 1));
    }
    text
}

/// A name without what would steer a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin::server::proto::Object;

    #[test]
    fn rows_are_ranked_and_harmless() {
        let id = "t7\x1b[2J".to_owned();
        let object = Object { id, x: 1.5, y: -2.0, distance: Some(63.21), time: None };
        let text = rows("the 1 nearest 0,0", &Answer { time: 0, objects: vec![object] });
        let expected =
            "the 1 nearest 0,0: 1\n   1          63.2      1.500000    -2.000000  t7\u{fffd}[2J\n";
        assert_eq!(text, expected);
    }
}
