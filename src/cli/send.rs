//! `dunlin send`: a recorded trace into a running server, as fast as it happened or faster.
//!
//! ```text
//! Trace ─ rows that are due ─> batch ─> unacknowledged, at most 64 ─> server
//!                                            └── ack: gone      lost connection: sent again
//! ```
//!
//! Batches are numbered, so one that is sent again takes effect once, unless `--overload` says that
//! they need not wait. Event times are moved to now, unless they are asked to stay.

use std::collections::VecDeque;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dunlin::datasets::Trace;
use dunlin::server::Overload;
use dunlin::server::proto::ingest_client::IngestClient;
use dunlin::server::proto::{Ack, PositionBatch};
use dunlin::stream::Timestamp;
use indicatif::ProgressBar;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use super::client::{self, ClientError, ServerArgs};
use super::error::CliError;
use super::progress::{self, Count, StopWatch, counted, say};
use super::reading::ReadingArgs;

const EXAMPLE: &str = "Example:
  dunlin generate network --objects 2000 --steps 600 --step 1s --out city.csv
  dunlin send city.csv --speed 10x";

/// Rows of a batch.
const ROWS: usize = 2_000;
/// Batches without an acknowledgement.
const WINDOW: usize = 64;
/// Rows that are due within so long go together.
const GATHER: Duration = Duration::from_millis(20);
/// With a number of one's own: rows of so many milliseconds of the trace go together, at any speed.
const TOGETHER_MS: i64 = 1_000;
/// Between two tries to connect, and how long it is tried.
const AGAIN: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(60);

/// Send a recorded trace to a running server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    reading: ReadingArgs,
    /// How many times faster than it happened, as 60x; max is as fast as it goes
    #[arg(long, value_name = "FACTOR", default_value = "1x", value_parser = speed)]
    speed: Speed,
    /// Which times reports have
    #[arg(long, value_enum, default_value_t)]
    times: Times,
    #[command(flatten)]
    server: ServerArgs,
    /// What becomes of reports while the server is behind: block, they wait; latest, the newest of each
    /// object waits; shed:PERCENT, they are dropped while so much of the server's credit is in use
    #[arg(long, value_name = "POLICY", default_value_t)]
    overload: Overload,
    /// A number of one's own: the same file sent again under it takes effect once, at any speed and
    /// however far it came the first time
    #[arg(long, value_name = "NUMBER", conflicts_with = "overload", value_parser = clap::value_parser!(u64).range(1..1 << 63))]
    producer: Option<u64>,
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    Times(f64),
    Max,
}

/// Which times reports have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Times {
    /// When they are sent
    #[default]
    Now,
    /// When they happened, as the file says
    File,
}

/// A speed that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a factor above zero, such as 60x, or max")]
struct SpeedError;

fn speed(text: &str) -> Result<Speed, SpeedError> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let factor: f64 = text.strip_suffix('x').unwrap_or(text).parse().map_err(|_| SpeedError)?;
    if factor > 0.0 && factor.is_finite() { Ok(Speed::Times(factor)) } else { Err(SpeedError) }
}

/// Runs the command.
pub(crate) fn run(args: &SendArgs) -> Result<(), CliError> {
    let options = args.reading.options()?;
    let (trace, unread) = args.reading.read(&options)?;
    let watch = StopWatch::start();
    let bar = progress::bar("sending", trace.len() as u64, Count::Records);
    let sent = client::runtime()?.block_on(async {
        let mut sender = TraceSender::new(args, &trace, &bar);
        sender.run().await.map(|()| sender.sent)
    })?;
    bar.finish_and_clear();
    let seconds = watch.seconds();
    say(format_args!("{} read, {unread}", counted(trace.len() as u64, "record")));
    say(format_args!("{} acknowledged, {} rejected", sent.accepted, sent.rejected));
    if args.overload != Overload::Block {
        say(format_args!("{} held for newer ones to replace, {} shed", sent.held, sent.shed));
    }
    for (row, reason) in &sent.errors {
        say(format_args!("rejected, row {row} of its batch: {reason}"));
    }
    if sent.reconnects > 0 {
        say(format_args!("connected again {}", counted(sent.reconnects, "time")));
    }
    say(format_args!("{seconds:.3} s, {}", progress::per_second(trace.len() as u64, seconds)));
    Ok(())
}

/// What became of the rows.
#[derive(Debug, Default)]
struct Sent {
    accepted: u64,
    rejected: u64,
    held: u64,
    shed: u64,
    errors: Vec<(u64, String)>,
    reconnects: u64,
}

struct TraceSender<'a> {
    args: &'a SendArgs,
    trace: &'a Trace,
    bar: &'a ProgressBar,
    producer: u64,
    /// The next row.
    row: usize,
    sequence: u64,
    open: VecDeque<PositionBatch>,
    begin: Instant,
    begin_ms: i64,
    sent: Sent,
}

impl<'a> TraceSender<'a> {
    fn new(args: &'a SendArgs, trace: &'a Trace, bar: &'a ProgressBar) -> Self {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        // What does not wait cannot take effect once either; 0 is no number.
        let is_numbered = args.overload == Overload::Block;
        let number = if is_numbered { now.as_micros() as u64 >> 1 } else { 0 };
        Self {
            args,
            trace,
            bar,
            producer: args.producer.unwrap_or(number),
            row: 0,
            sequence: 0,
            open: VecDeque::new(),
            begin: Instant::now(),
            begin_ms: now.as_millis() as i64,
            sent: Sent::default(),
        }
    }

    /// Sends all, over as many connections as it takes.
    async fn run(&mut self) -> Result<(), ClientError> {
        let mut lost: Option<Instant> = None;
        loop {
            let before = self.acknowledged();
            match self.over_one_connection().await {
                Ok(()) => return Ok(()),
                Err(error) if !self.may_try_again(&error) => return Err(error),
                Err(error) => {
                    if lost.is_none() || self.acknowledged() > before {
                        say(format_args!("{error}; trying again"));
                        lost = Some(now());
                    }
                    if lost.is_some_and(|since| now() - since > PATIENCE) {
                        return Err(error);
                    }
                }
            }
            sleep(AGAIN).await;
            self.sent.reconnects += 1;
        }
    }

    fn acknowledged(&self) -> u64 {
        self.sent.accepted + self.sent.rejected + self.sent.held + self.sent.shed
    }

    /// Whether it is a matter of the connection, once there was one.
    fn may_try_again(&self, error: &ClientError) -> bool {
        match error {
            ClientError::Connect { .. } => self.sequence > 0,
            ClientError::Refused(status) => is_of_connection(status),
            ClientError::Ended => true,
            ClientError::Token | ClientError::Authority { .. } | ClientError::System(_) => false,
        }
    }

    async fn over_one_connection(&mut self) -> Result<(), ClientError> {
        let mut ingest = IngestClient::new(self.args.server.connect().await?);
        let (batches, stream) = channel(WINDOW);
        for batch in &self.open {
            // There is room for as many as may be open.
            drop(batches.send(batch.clone()).await);
        }
        let mut request = Request::new(ReceiverStream::new(stream));
        let policy = self.args.overload.to_string().parse().expect("a policy is plain text");
        request.metadata_mut().insert(Overload::METADATA, policy);
        let mut acks = ingest.positions(request).await?.into_inner();
        while self.row < self.trace.len() || !self.open.is_empty() {
            let may_send = self.row < self.trace.len() && self.open.len() < WINDOW;
            let due = if may_send { self.due() } else { self.begin };
            tokio::select! {
                biased;
                ack = next(&mut acks) => self.take(ack?),
                () = sleep_until(due), if may_send => self.send(&batches).await?,
            }
        }
        Ok(())
    }

    /// When the next batch is due: with its first row, or, if it is cut already, with its last.
    fn due(&self) -> Instant {
        let row = if self.args.producer.is_some() { self.end_of_batch() - 1 } else { self.row };
        self.due_at(row)
    }

    fn due_at(&self, row: usize) -> Instant {
        self.begin + self.elapsed_at(self.trace.times[row].as_millis())
    }

    /// Where the batch ends that begins with the next row. Under a number of one's own that depends
    /// on the trace alone: whoever sends it again means the same by a batch's number, however fast.
    fn end_of_batch(&self) -> usize {
        let rows = &self.trace.times[self.row..self.trace.len().min(self.row + ROWS)];
        if self.args.producer.is_some() {
            let stretch = |time: &Timestamp| time.as_millis().div_euclid(TOGETHER_MS);
            let first = stretch(&rows[0]);
            return self.row + rows.iter().take_while(|time| stretch(time) == first).count();
        }
        let now = now() + GATHER;
        let more = (self.row + 1..self.row + rows.len()).take_while(|&row| self.due_at(row) <= now);
        self.row + 1 + more.count()
    }

    /// How long after the beginning something of the trace is due.
    fn elapsed_at(&self, ms: i64) -> Duration {
        let since = (ms - self.trace.times[0].as_millis()) as f64 / 1_000.0;
        match self.args.speed {
            Speed::Times(factor) => Duration::try_from_secs_f64(since / factor)
                .unwrap_or(Duration::from_secs(u32::MAX.into())),
            Speed::Max => Duration::ZERO,
        }
    }

    async fn send(&mut self, batches: &Sender<PositionBatch>) -> Result<(), ClientError> {
        let batch = self.next_batch();
        self.open.push_back(batch.clone());
        batches.send(batch).await.map_err(|_| ClientError::Ended)
    }

    /// The rows of the next batch.
    fn next_batch(&mut self) -> PositionBatch {
        let mut batch = PositionBatch {
            producer: self.producer,
            sequence: self.sequence,
            ..PositionBatch::default()
        };
        self.sequence += 1;
        let now_ms = self.begin_ms + self.begin.elapsed().as_millis() as i64;
        let rows = self.row..self.end_of_batch();
        self.row = rows.end;
        for row in rows {
            let time = self.trace.times[row].as_millis();
            batch.push(self.trace.names.name(self.trace.objects[row]), self.trace.at[row]);
            batch.times.push(match (self.args.times, self.args.speed) {
                (Times::File, _) => time,
                (Times::Now, Speed::Max) => now_ms,
                (Times::Now, Speed::Times(_)) => {
                    self.begin_ms + self.elapsed_at(time).as_millis() as i64
                }
            });
        }
        batch
    }

    fn take(&mut self, ack: Ack) {
        while self.open.front().is_some_and(|batch| batch.sequence <= ack.sequence) {
            self.open.pop_front();
        }
        self.sent.accepted += ack.accepted;
        self.sent.rejected += ack.rejected;
        self.sent.held += ack.held;
        self.sent.shed += ack.shed;
        let room = 5usize.saturating_sub(self.sent.errors.len());
        let errors = ack.errors.into_iter().take(room);
        self.sent.errors.extend(errors.map(|error| (error.row, error.reason)));
        self.bar.set_position(self.acknowledged());
    }
}

fn now() -> Instant {
    Instant::now()
}

async fn next(acks: &mut Streaming<Ack>) -> Result<Ack, ClientError> {
    acks.message().await?.ok_or(ClientError::Ended)
}

/// Whether a call failed because its connection did.
fn is_of_connection(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_factors() {
        assert_eq!(speed("60x"), Ok(Speed::Times(60.0)));
        assert_eq!((speed("0.5"), speed("max")), (Ok(Speed::Times(0.5)), Ok(Speed::Max)));
        for text in ["", "x", "0x", "-1x", "nan", "infx", "60 x"] {
            assert_eq!(speed(text), Err(SpeedError), "{text}");
        }
    }
}
