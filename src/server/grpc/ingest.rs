//! Batches in, acknowledgements out.
//!
//! ```text
//! batch ─ decoded ─> checked, sent ─> log        one after the other, as they come
//!                         └─ queue of 64 ─ waits for the log ─> ack, in order
//! ```

use std::sync::mpsc::{SyncSender, sync_channel};

use dunlin_index::Coord;
use dunlin_stream::Timestamp;
use dunlin_stream::log::Pending;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::proto::ingest_server::Ingest;
use super::proto::{Ack, EventBatch, PositionBatch, Rejection};
use super::{Face, ended};
use crate::server::app::{App, OWN_PRODUCERS};
use crate::server::error::QueryError;
use crate::server::ingest::{Intake, Numbered, Outcome, Overload, PassageIntake};

/// Batches that wait for the log.
const IN_FLIGHT: usize = 64;
/// Batches that wait to be sent there.
const DECODED: usize = 4;

/// A batch that was sent to the log.
struct Sent {
    sequence: u64,
    pending: Vec<Pending>,
    outcome: Outcome,
}

#[tonic::async_trait]
impl Ingest for Face {
    type PositionsStream = ReceiverStream<Result<Ack, Status>>;
    type EventsStream = ReceiverStream<Result<Ack, Status>>;

    async fn positions(
        &self,
        request: Request<Streaming<PositionBatch>>,
    ) -> Result<Response<Self::PositionsStream>, Status> {
        let overload = overload(&request)?;
        self.take(request.into_inner(), move |app, batch| send_positions(app, batch, overload))
    }

    async fn events(
        &self,
        request: Request<Streaming<EventBatch>>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        if overload(&request)? != Overload::Block {
            return Err(Status::invalid_argument(
                "Dunlin-Overload: passages wait: none replaces another",
            ));
        }
        self.take(request.into_inner(), send_events)
    }
}

impl Face {
    fn take<B: Send + 'static>(
        &self,
        batches: Streaming<B>,
        send: impl Fn(&App, &B) -> Result<Sent, Status> + Send + 'static,
    ) -> Result<Response<ReceiverStream<Result<Ack, Status>>>, Status> {
        let too_many = |_| Status::resource_exhausted("too many streams of batches are open");
        let open = self.app.feeds.clone().try_acquire_owned().map_err(too_many)?;
        let (read, decoded) = channel(DECODED);
        let (sent, waiting) = sync_channel(IN_FLIGHT);
        let (acks, answered) = channel(IN_FLIGHT);
        // They wait for engine and log as long as the stream is open: not threads of the pool's.
        let (app, of_sender) = (self.app.clone(), acks.clone());
        start("feed", move || send_all(&app, decoded, send, &sent, &of_sender))?;
        let of_acks = acks.clone();
        start("acks", move || {
            acknowledge(&waiting, &of_acks);
            drop(open);
        })?;
        let stopped = self.stopped.clone();
        tokio::spawn(async move {
            if let Err(status) = forward(batches, stopped, read).await {
                // A client that is gone does not hear it.
                let _ = acks.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answered)))
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Status> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| Status::resource_exhausted(error.to_string()))
}

/// Reads batches until the client or the server ends.
async fn forward<B>(
    mut batches: Streaming<B>,
    stopped: watch::Receiver<bool>,
    read: Sender<B>,
) -> Result<(), Status> {
    let ended = ended(stopped);
    tokio::pin!(ended);
    loop {
        let batch = tokio::select! {
            batch = batches.message() => batch?,
            () = &mut ended => {
                return Err(Status::unavailable("the server stops; send again what has no ack"));
            }
        };
        let Some(batch) = batch else { return Ok(()) };
        if read.send(batch).await.is_err() {
            return Ok(());
        }
    }
}

/// Sends batch after batch to the log.
fn send_all<B>(
    app: &App,
    mut batches: Receiver<B>,
    send: impl Fn(&App, &B) -> Result<Sent, Status>,
    sent: &SyncSender<Sent>,
    acks: &Sender<Result<Ack, Status>>,
) {
    while let Some(batch) = batches.blocking_recv() {
        let is_on_its_way = match send(app, &batch) {
            Ok(batch) => sent.send(batch).is_ok(),
            Err(status) => {
                // A client that is gone does not hear it.
                let _ = acks.blocking_send(Err(status));
                false
            }
        };
        if !is_on_its_way {
            return;
        }
    }
}

/// Waits for the log and acknowledges, batch by batch.
fn acknowledge(waiting: &std::sync::mpsc::Receiver<Sent>, acks: &Sender<Result<Ack, Status>>) {
    for Sent { sequence, pending, outcome } in waiting {
        let logged = pending.into_iter().try_for_each(|it| it.wait().map(drop));
        let ack = match logged {
            Ok(()) => Ok(ack(sequence, outcome)),
            Err(error) => Err(QueryError::from(error).into()),
        };
        let is_last = ack.is_err();
        if acks.blocking_send(ack).is_err() || is_last {
            return;
        }
    }
}

fn ack(sequence: u64, Outcome { accepted, rejected, held, shed }: Outcome) -> Ack {
    let errors = rejected.first.into_iter();
    let errors = errors.map(|(row, reason)| Rejection { row, reason }).collect();
    Ack { sequence, accepted, rejected: rejected.count, errors, held, shed }
}

fn numbered(producer: u64, sequence: u64) -> Result<Option<Numbered>, Status> {
    if producer >= OWN_PRODUCERS || sequence > Numbered::SEQUENCE_MAX {
        return Err(Status::invalid_argument("producer below 2^63, sequence below 2^56"));
    }
    Ok((producer > 0).then_some(Numbered { producer, sequence }))
}

/// What becomes of the rows of a stream while the engine is behind.
fn overload<B>(request: &Request<B>) -> Result<Overload, Status> {
    let Some(value) = request.metadata().get(Overload::METADATA) else {
        return Ok(Overload::Block);
    };
    let read = value.to_str().unwrap_or_default().parse::<Overload>();
    read.map_err(|error| Status::invalid_argument(format!("{}: {error}", Overload::METADATA)))
}

/// The time of a row, if the batch has any times.
fn time(times: &[i64], row: usize) -> Option<Timestamp> {
    // What is beyond all times is rejected as one.
    times.get(row).map(|&ms| Timestamp::from_millis(ms).unwrap_or(Timestamp::MAX))
}

/// The names of a batch, in whichever form they came.
fn columns<'a>(
    objects: &'a [String],
    mut names: &'a str,
    bytes: &[u32],
) -> Result<Vec<&'a str>, Status> {
    let in_columns = !(names.is_empty() && bytes.is_empty());
    if in_columns && !objects.is_empty() {
        return Err(Status::invalid_argument("names are in objects or in names, not in both"));
    }
    if !objects.is_empty() {
        return Ok(objects.iter().map(String::as_str).collect());
    }
    let cut = bytes.iter().map(|&bytes| {
        let (name, rest) = names.split_at_checked(bytes as usize)?;
        names = rest;
        Some(name)
    });
    let cut: Option<Vec<&str>> = cut.collect();
    cut.filter(|_| names.is_empty())
        .ok_or_else(|| Status::invalid_argument("name_bytes does not cut names into names"))
}

impl PositionBatch {
    /// Adds a row without a time.
    pub fn push(&mut self, object: &str, at: Coord) {
        self.names.push_str(object);
        self.name_bytes.push(object.len() as u32);
        self.x.push(at.x);
        self.y.push(at.y);
    }

    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.x.len()
    }
}

fn send_positions(app: &App, batch: &PositionBatch, overload: Overload) -> Result<Sent, Status> {
    let PositionBatch { producer, sequence, objects, times, x, y, names, name_bytes } = batch;
    let (producer, sequence) = (*producer, *sequence);
    let names = columns(objects, names, name_bytes)?;
    let rows = names.len();
    if x.len() != rows || y.len() != rows || !(times.is_empty() || times.len() == rows) {
        return Err(Status::invalid_argument("columns of a batch have one length"));
    }
    let mut intake = Intake::new(app, numbered(producer, sequence)?, overload)?;
    for (row, object) in names.into_iter().enumerate() {
        let at = Coord { x: x[row], y: y[row] };
        intake.push(row as u64 + 1, object, at, time(times, row))?;
    }
    let (pending, outcome) = intake.finish()?;
    Ok(Sent { sequence, pending, outcome })
}

fn send_events(app: &App, batch: &EventBatch) -> Result<Sent, Status> {
    let EventBatch { producer, sequence, streams, objects, times } = batch;
    let (producer, sequence) = (*producer, *sequence);
    let rows = objects.len();
    if streams.len() != rows || !(times.is_empty() || times.len() == rows) {
        return Err(Status::invalid_argument("columns of a batch have one length"));
    }
    let mut intake = PassageIntake::new(app, numbered(producer, sequence)?);
    for (row, (stream, object)) in streams.iter().zip(objects).enumerate() {
        intake.push(row as u64 + 1, (stream, object), time(times, row))?;
    }
    let outcome = intake.finish_and_wait()?;
    Ok(Sent { sequence, pending: Vec::new(), outcome })
}
