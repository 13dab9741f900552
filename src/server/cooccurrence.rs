//! Co-occurrence queries: each an application of its own on the server's log.
//!
//! ```text
//! {"id":"c1","cooccurrence":{"xi":"60s","tau":"30m","theta":3,"lateness":"5s"}}
//! POST /v1/events ─> every application's lanes ─> its engine ─> reports ─> hub
//! ```
//!
//! Reports come when no event that could change them is awaited any more: so long after the newest
//! event as events may be late, a second if the query does not say, or after as much silence.

use std::sync::Arc;

use dunlin_cep::topology::{CooccurrenceTopology, PassageBatch};
use dunlin_cep::{Rule, RuleError};
use dunlin_query::{JsonObject, whole_number};
use dunlin_stream::Timestamp;
use dunlin_stream::event_time::{EventTimeRule, RowsOfTime};
use dunlin_stream::log::{Log, LogError, Pending};
use dunlin_stream::process::Lanes;
use serde::Deserialize;

use super::feed::{Feed, Tally};
use super::options::{Limits, Storage};
use super::settings::Stored;
use crate::duration;
use crate::live::{Live, LiveError, LiveOptions, SendError};

/// How many of them may stand.
pub(crate) const COOCCURRENCES_MAX: usize = 16;
/// Events may be so late, if the query does not say; and it is the least time for which silent
/// senders are waited for.
const LATENESS_MS: i64 = 1_000;
/// For longer nobody waits: what waits is in memory.
const LATENESS_MS_MAX: i64 = 3_600_000;
const EPOCH_MS: i64 = 100;
const LANES: usize = 1;
/// The most threads of such a query, of which a server may have many.
const THREADS_MAX: usize = 5;

/// A co-occurrence query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CooccurrenceQuery {
    pub(crate) id: String,
    pub(crate) rule: Rule,
    /// How much later than the newest event one may come, in milliseconds.
    pub(crate) lateness_ms: i64,
}

/// Why a text is no co-occurrence query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CooccurrenceError {
    /// Not its JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A span that is no duration.
    #[error("\"{name}\": {source}")]
    Span {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        source: duration::DurationError,
    },
    /// A rule that makes no sense.
    #[error("{0}")]
    Rule(#[from] RuleError),
    /// Events could come for ever.
    #[error("\"lateness\" is at most 1h")]
    Lateness,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    cooccurrence: JsonObject<RuleLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleLine {
    xi: String,
    tau: String,
    #[serde(deserialize_with = "whole_number")]
    theta: u32,
    lateness: Option<String>,
}

impl CooccurrenceError {
    /// The field that is wrong, where one is.
    pub(crate) fn field(&self) -> Option<&'static str> {
        match self {
            Self::Json(_) => None,
            Self::Span { name, .. } => Some(name),
            Self::Rule(RuleError::Span { name, .. }) => Some(name),
            Self::Rule(RuleError::Theta) => Some("theta"),
            Self::Lateness => Some("lateness"),
            Self::Rule(_) => Some("cooccurrence"),
        }
    }
}

impl CooccurrenceQuery {
    /// Reads a query from its JSON.
    pub(crate) fn from_json(text: &str) -> Result<Self, CooccurrenceError> {
        let JsonObject(Line { id, cooccurrence }) = serde_json::from_str(text)?;
        let JsonObject(RuleLine { xi, tau, theta, lateness }) = cooccurrence;
        let span = |name, text: &str| {
            duration::parse_span(text).map_err(|source| CooccurrenceError::Span { name, source })
        };
        let rule = Rule::new(span("xi", &xi)?, span("tau", &tau)?, theta);
        rule.check()?;
        let lateness_ms = match lateness {
            Some(text) => span("lateness", &text)?,
            None => LATENESS_MS,
        };
        if lateness_ms > LATENESS_MS_MAX {
            return Err(CooccurrenceError::Lateness);
        }
        Ok(Self { id, rule, lateness_ms })
    }
}

/// One that stands.
pub(crate) struct Cooccurrence {
    pub(crate) id: String,
    pub(crate) stored: Stored,
    /// Among those that run: what its figures are labelled with, so that these stay as few.
    pub(super) place: usize,
    live: Live<CooccurrenceTopology>,
    pub(crate) tally: Arc<Tally>,
}

impl Cooccurrence {
    /// Starts the application of a query, or restarts it.
    pub(super) fn start(
        query: &CooccurrenceQuery,
        (stored, place): (Stored, usize),
        (storage, limits): (&Storage, &Limits),
        feed: &Feed,
    ) -> Result<Self, LiveError> {
        let mut options = LiveOptions::new(&name(stored.number));
        options.label = Some(format!("cooccurrence {place}"));
        options.lanes = LANES;
        options.epoch_ms = EPOCH_MS;
        options.guarantee = storage.guarantee;
        options.sync = storage.sync;
        options.restarts = storage.data.is_some();
        options.threads = options.threads.min(THREADS_MAX);
        let (lateness_ms, skew_ms) = (query.lateness_ms, limits.skew_ms);
        let idle_ms = lateness_ms.max(LATENESS_MS);
        let event_time = EventTimeRule { lateness_ms, idle_ms, skew_ms };
        let topology = CooccurrenceTopology::new(query.rule.clone(), event_time)
            .expect("the rule was checked when the query was read");
        let tally = Arc::new(Tally::default());
        let (tell, _) = feed.teller(&query.id, tally.clone());
        let log = storage.log.clone();
        let checkpoints = storage.checkpoints(&options.name)?;
        let (live, _) = Live::start_on(topology, log, checkpoints, &options, tell)?;
        Ok(Self { id: query.id.clone(), stored, place, live, tally })
    }

    /// Sends passages in; one acknowledgement to come. `sequence` is the batch's number at its
    /// producer.
    pub(super) fn send(
        &self,
        (producer, sequence): (u64, u64),
        batch: &PassageBatch,
    ) -> Result<Pending, SendError> {
        debug_assert!(batch.rows() > 0, "an empty batch");
        self.live.producer(producer, sequence).send(0, batch)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.live.is_running()
    }

    /// Finishes the epoch, writes a checkpoint and ends.
    pub(super) fn stop(self) -> Result<(), LiveError> {
        self.live.stop()
    }

    /// Ends it for ever: its lanes are let go, and its checkpoints.
    pub(super) fn remove(self, storage: &Storage) -> Result<(), LiveError> {
        let (lanes, log) = (self.live.lanes().clone(), &*storage.log);
        self.live.stop()?;
        let name = name(self.stored.number);
        if let Err(error) = storage.forget_checkpoints(&name) {
            tracing::warn!(%error, name, "the checkpoints of a removed query stay");
        }
        let outputs = [lanes.output, lanes.late];
        for lane in lanes.read().into_iter().chain(outputs) {
            log.truncate(lane, log.range(lane)?.end)?;
        }
        Ok(())
    }
}

/// The last epoch that is over at a time.
pub(super) fn epoch_before(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(EPOCH_MS) - 1
}

/// The name of an application.
fn name(number: u64) -> String {
    format!("cooccurrence-{number}")
}

/// The lanes of an application, before it runs.
pub(super) fn lanes(log: &dyn Log, number: u64) -> Result<Lanes, LogError> {
    Lanes::open(log, &name(number), LANES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_read_and_mistakes_are_named() {
        let text = r#"{"id":"c1","cooccurrence":{"xi":"60s","tau":"30m","theta":3}}"#;
        let query = CooccurrenceQuery::from_json(text).unwrap();
        assert_eq!(
            query,
            CooccurrenceQuery {
                id: "c1".to_owned(),
                rule: Rule::new(60_000, 1_800_000, 3),
                lateness_ms: 1_000
            }
        );
        for (text, word) in [
            (
                r#"{"id":"c1","cooccurrence":{"xi":"60","tau":"30m","theta":3}}"#,
                "\"xi\": add a unit",
            ),
            (r#"{"id":"c1","cooccurrence":{"xi":"60s","tau":"-1m","theta":3}}"#, "\"tau\""),
            (r#"{"id":"c1","cooccurrence":{"xi":"60s","tau":"30m","theta":0}}"#, "theta"),
            (
                r#"{"id":"c1","cooccurrence":{"xi":"1s","tau":"3m","theta":4294967296}}"#,
                "4294967296 is too great",
            ),
            (r#"{"id":"c1","cooccurrence":{"xi":"60s","tau":"30m"}}"#, "theta"),
            (r#"{"id":"c1","cooccurrence":{"xi":"1s","tau":"3m","theta":2,"k":1}}"#, "unknown"),
            (r#"{"cooccurrence":{"xi":"1s","tau":"3m","theta":2}}"#, "id"),
            (
                r#"{"id":"c","cooccurrence":{"xi":"1s","tau":"3m","theta":2,"lateness":"2h"}}"#,
                "at most 1h",
            ),
        ] {
            let message = CooccurrenceQuery::from_json(text).unwrap_err().to_string();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
