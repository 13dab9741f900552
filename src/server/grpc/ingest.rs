//! Batches in, acknowledgements out.
//!
//! ```text
//! batch ─ checked, sent ─> log            one after the other, as they come
//!    └─ queue of 64 ─ waits for the log ─> ack, in order
//! ```

use std::sync::Arc;

use dunlin_index::Coord;
use dunlin_stream::Timestamp;
use dunlin_stream::log::Pending;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::proto::ingest_server::Ingest;
use super::proto::{Ack, EventBatch, PositionBatch, Rejection};
use super::{Face, ended};
use crate::server::app::{App, OWN_PRODUCERS, blocking};
use crate::server::error::QueryError;
use crate::server::ingest::{Intake, Numbered, Outcome, PassageIntake};

/// Batches that wait for the log.
const IN_FLIGHT: usize = 64;

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
        self.take(request.into_inner(), send_positions)
    }

    async fn events(
        &self,
        request: Request<Streaming<EventBatch>>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        self.take(request.into_inner(), send_events)
    }
}

impl Face {
    fn take<B: Send + 'static>(
        &self,
        batches: Streaming<B>,
        send: fn(&App, B) -> Result<Sent, Status>,
    ) -> Result<Response<ReceiverStream<Result<Ack, Status>>>, Status> {
        let too_many = |_| Status::resource_exhausted("too many streams of batches are open");
        let open = self.app.feeds.clone().try_acquire_owned().map_err(too_many)?;
        let (sent, waiting) = channel(IN_FLIGHT);
        let (acks, answered) = channel(IN_FLIGHT);
        let (face, failed) = (self.clone(), acks.clone());
        // It waits for the log as long as the stream is open: not a thread of the pool's.
        let acknowledging = std::thread::Builder::new().name("acks".to_owned());
        acknowledging
            .spawn(move || {
                acknowledge(waiting, &acks);
                drop(open);
            })
            .map_err(|error| Status::resource_exhausted(error.to_string()))?;
        tokio::spawn(async move {
            if let Err(status) = face.forward(batches, send, sent).await {
                // A client that is gone does not hear it.
                drop(failed.send(Err(status)).await);
            }
        });
        Ok(Response::new(ReceiverStream::new(answered)))
    }

    async fn forward<B: Send + 'static>(
        &self,
        mut batches: Streaming<B>,
        send: fn(&App, B) -> Result<Sent, Status>,
        sent: Sender<Sent>,
    ) -> Result<(), Status> {
        loop {
            let batch = tokio::select! {
                batch = batches.message() => batch?,
                () = ended(self.stopped.clone()) => {
                    return Err(Status::unavailable("the server stops; send again what has no ack"));
                }
            };
            let Some(batch) = batch else { return Ok(()) };
            let app: Arc<App> = self.app.clone();
            let done = blocking(move || send(&app, batch).map_err(Failed)).await;
            if sent.send(done.map_err(|Failed(status)| status)?).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// A status that a blocking task ends with.
struct Failed(Status);

impl From<crate::live::AskError> for Failed {
    fn from(error: crate::live::AskError) -> Self {
        Self(QueryError::from(error).into())
    }
}

/// Waits for the log and acknowledges, batch by batch.
fn acknowledge(mut waiting: Receiver<Sent>, acks: &Sender<Result<Ack, Status>>) {
    while let Some(Sent { sequence, pending, outcome }) = waiting.blocking_recv() {
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

fn ack(sequence: u64, Outcome { accepted, rejected }: Outcome) -> Ack {
    let errors = rejected.first.into_iter();
    let errors = errors.map(|(row, reason)| Rejection { row, reason }).collect();
    Ack { sequence, accepted, rejected: rejected.count, errors }
}

fn numbered(producer: u64, sequence: u64) -> Result<Option<Numbered>, Status> {
    if producer >= OWN_PRODUCERS || sequence > Numbered::SEQUENCE_MAX {
        return Err(Status::invalid_argument("producer below 2^63, sequence below 2^56"));
    }
    Ok((producer > 0).then_some(Numbered { producer, sequence }))
}

/// The time of a row, if the batch has any times.
fn time(times: &[i64], row: usize) -> Option<Timestamp> {
    // What is beyond all times is rejected as one.
    times.get(row).map(|&ms| Timestamp::from_millis(ms).unwrap_or(Timestamp::MAX))
}

fn send_positions(app: &App, batch: PositionBatch) -> Result<Sent, Status> {
    let PositionBatch { producer, sequence, objects, times, x, y } = batch;
    let rows = objects.len();
    if x.len() != rows || y.len() != rows || !(times.is_empty() || times.len() == rows) {
        return Err(Status::invalid_argument("columns of a batch have one length"));
    }
    let mut intake = Intake::new(app, numbered(producer, sequence)?);
    for (row, object) in objects.iter().enumerate() {
        let at = Coord { x: x[row], y: y[row] };
        intake.push(row as u64 + 1, object, at, time(&times, row))?;
    }
    let (pending, outcome) = intake.finish()?;
    Ok(Sent { sequence, pending, outcome })
}

fn send_events(app: &App, batch: EventBatch) -> Result<Sent, Status> {
    let EventBatch { producer, sequence, streams, objects, times } = batch;
    let rows = objects.len();
    if streams.len() != rows || !(times.is_empty() || times.len() == rows) {
        return Err(Status::invalid_argument("columns of a batch have one length"));
    }
    let mut intake = PassageIntake::new(app, numbered(producer, sequence)?);
    for (row, (stream, object)) in streams.iter().zip(&objects).enumerate() {
        intake.push(row as u64 + 1, (stream, object), time(&times, row))?;
    }
    let outcome = intake.finish_and_wait()?;
    Ok(Sent { sequence, pending: Vec::new(), outcome })
}
