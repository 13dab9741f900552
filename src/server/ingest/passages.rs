//! Passages for the co-occurrence queries: `{"stream":"cam7","object":"B123","time":"…"}`, a line each.
//!
//! Every query has its own application and gets all passages; with none they are counted and let go.

use std::borrow::Cow;

use dunlin_cep::topology::PassageBatch;
use dunlin_query::JsonObject;
use dunlin_stream::Timestamp;
use dunlin_stream::event_time::RowsOfTime;
use dunlin_stream::log::Pending;
use serde::Deserialize;

use super::rows::{Time, lines, words};
use super::{Numbered, Outcome, Reason, check_name, check_time};
use crate::live::now;
use crate::server::app::{App, OWN_PRODUCERS};
use crate::server::error::QueryError;
use std::sync::Mutex;

/// A batch has so many bytes of names at most.
const NAME_BYTES_MAX: usize = 256 << 10;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    object: Cow<'a, str>,
    time: Option<Time>,
}

/// The passages of one request.
pub(crate) struct PassageIntake<'a> {
    app: &'a App,
    numbered: Option<Numbered>,
    now: Timestamp,
    batch: PassageBatch,
    name_bytes: usize,
    chunks: u64,
    sent: Vec<Pending>,
    outcome: Outcome,
}

impl<'a> PassageIntake<'a> {
    pub(crate) fn new(app: &'a App, numbered: Option<Numbered>) -> Self {
        Self {
            app,
            numbered,
            now: now(),
            batch: PassageBatch::default(),
            name_bytes: 0,
            chunks: 0,
            sent: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// Takes row number `row`, from 1.
    pub(crate) fn push(
        &mut self,
        row: u64,
        (stream, object): (&str, &str),
        time: Option<Timestamp>,
    ) -> Result<(), QueryError> {
        let (max, skew_ms) = (self.app.limits.name_bytes_max, self.app.limits.skew_ms);
        let fit = check_name(stream, max).and_then(|()| check_name(object, max));
        match fit.and_then(|()| check_time(time.unwrap_or(self.now), self.now, skew_ms)) {
            Ok(time) => {
                self.batch.push(time, stream, object);
                self.name_bytes += stream.len() + object.len();
                self.outcome.accepted += 1;
                if self.batch.rows() >= super::rows_max(self.numbered)
                    || self.name_bytes >= NAME_BYTES_MAX
                {
                    self.send()?;
                }
            }
            Err(reason) => self.outcome.rejected.add(row, &reason),
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), QueryError> {
        let batch = std::mem::take(&mut self.batch);
        self.name_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let chunk = self.chunks;
        self.chunks += 1;
        match self.numbered {
            Some(numbered) => self.send_as(numbered.of_chunk(chunk)?, &batch),
            None => {
                // One number after the other goes in, so none is taken for a repetition.
                let mut own = super::locked(own_number());
                own.1 += 1;
                self.send_as(*own, &batch)
            }
        }
    }

    fn send_as(&mut self, number: (u64, u64), batch: &PassageBatch) -> Result<(), QueryError> {
        for query in self.app.cooccurrences() {
            self.sent.push(query.send(number, batch)?);
        }
        Ok(())
    }

    /// Sends what is left and waits until the log has all.
    pub(crate) fn finish_and_wait(mut self) -> Result<Outcome, QueryError> {
        self.send()?;
        for pending in self.sent {
            pending.wait()?;
        }
        self.outcome.rejected.publish();
        Ok(self.outcome)
    }
}

/// The process's own producer of passages and its last number.
fn own_number() -> &'static Mutex<(u64, u64)> {
    static OWN: std::sync::OnceLock<Mutex<(u64, u64)>> = std::sync::OnceLock::new();
    OWN.get_or_init(|| Mutex::new((OWN_PRODUCERS | now().as_millis().unsigned_abs(), 0)))
}

/// Takes the lines of a body.
pub(crate) fn read_passages(body: &[u8], intake: &mut PassageIntake<'_>) -> Result<(), QueryError> {
    for (number, line) in lines(body) {
        match serde_json::from_slice::<JsonObject<Line<'_>>>(line) {
            Ok(JsonObject(Line { stream, object, time })) => {
                intake.push(number, (&stream, &object), time.map(|time| time.0))?;
            }
            Err(error) => intake.outcome.rejected.add(number, &Reason::Form(words(&error))),
        }
    }
    Ok(())
}
