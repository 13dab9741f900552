//! A source of reports of objects, with a policy for when the engine is behind.
//!
//! ```text
//! send ─> Gate ─ append ─> lanes, by object          policy: block · latest · shed
//!          └── held rows ─ after an epoch gave credit back ─> lanes
//! ```

use std::sync::{Arc, Mutex, Weak};

use dunlin_stream::log::Pending;
use dunlin_stream::overload::{Admission, Gate, GateCounts, Policy, RowsOfObjects};
use serde::Serialize;

use super::locked;
use super::metrics::SourceFigures;
use super::producer::{Producer, SendError, SharedCredit};

/// What became of a batch.
#[derive(Debug)]
pub enum Sent {
    /// It is on its way into the log, in so many parts, each with its acknowledgement.
    Appended(Vec<Pending>),
    /// Its newest rows wait until the engine has caught up.
    Held,
    /// It was dropped.
    Shed,
}

/// A source of reports of objects, which may be shared by threads. See [`Policy`].
pub struct Source<B>(Arc<Shared<B>>);

impl<B> Clone for Source<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<B> {
    credit: Arc<SharedCredit>,
    state: Mutex<State<B>>,
}

struct State<B> {
    gate: Gate<B>,
    producer: Producer,
    figures: SourceFigures,
    /// Why rows that were held could not be appended.
    failed: Option<SendError>,
}

/// Sources whose held rows go on when there is credit again.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<Vec<Weak<dyn Release>>>>);

trait Release: Send + Sync {
    fn release(&self, at_any_rate: bool);
}

impl Waiting {
    fn add(&self, source: Weak<dyn Release>) {
        let mut sources = locked(&self.0);
        sources.retain(|source| source.strong_count() > 0);
        sources.push(source);
    }

    /// Has sources append what they hold, as far as there is credit, or at any rate.
    pub(super) fn release(&self, at_any_rate: bool) {
        let sources: Vec<_> = locked(&self.0).iter().filter_map(Weak::upgrade).collect();
        sources.iter().for_each(|source| source.release(at_any_rate));
    }
}

impl<B> Source<B>
where
    B: RowsOfObjects + Serialize + Default + Send + 'static,
{
    pub(super) fn new(
        producer: Producer,
        policy: Policy,
        figures: SourceFigures,
        waiting: &Waiting,
    ) -> Self {
        let (credit, gate) = (producer.credit(), Gate::new(policy));
        let state = State { gate, producer, figures, failed: None };
        let shared = Arc::new(Shared { credit, state: Mutex::new(state) });
        let release: Arc<dyn Release> = shared.clone();
        waiting.add(Arc::downgrade(&release));
        Self(shared)
    }

    /// Sends rows, each to the lane of its object; what else becomes of them while the engine is
    /// behind by the whole credit is a matter of the policy.
    ///
    /// # Errors
    /// [`SendError::Ended`], a single row above the log's limit, and why rows that were held before
    /// could not be appended.
    pub fn send(&self, mut batch: B) -> Result<Sent, SendError> {
        loop {
            let mut state = locked(&self.0.state);
            if let Some(failed) = state.failed.take() {
                return Err(failed);
            }
            let given = self.0.credit.given()?;
            state.release(&self.0.credit, false);
            let State { gate, producer, .. } = &mut *state;
            let admission = self.0.credit.with(|credit| gate.offer(batch, credit));
            let sent = match admission {
                Admission::Append(batch) => Sent::Appended(producer.append_rows(&batch)?),
                Admission::Held => Sent::Held,
                Admission::Shed => Sent::Shed,
                Admission::Wait(back) => {
                    batch = back;
                    drop(state);
                    self.0.credit.wait_for_more(given);
                    continue;
                }
            };
            state.note();
            return Ok(sent);
        }
    }

    /// What became of the rows so far.
    #[must_use]
    pub fn counts(&self) -> GateCounts {
        locked(&self.0.state).gate.counts()
    }
}

impl<B: RowsOfObjects + Serialize + Default> State<B> {
    fn release(&mut self, credit: &SharedCredit, at_any_rate: bool) {
        let Self { gate, producer, failed, .. } = self;
        let released = credit.with(|credit| match at_any_rate {
            true => gate.release(&mut credit.unlimited()),
            false => gate.release(credit),
        });
        if let Some(batch) = released {
            *failed = producer.append_rows(&batch).err().map(SendError::from);
        }
        self.note();
    }

    fn note(&self) {
        self.figures.note(self.gate.counts());
    }
}

impl<B: RowsOfObjects + Serialize + Default + Send> Release for Shared<B> {
    fn release(&self, at_any_rate: bool) {
        locked(&self.state).release(&self.credit, at_any_rate);
    }
}
