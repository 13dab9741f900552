//! From the engines' epochs to the hub, through a thread of its own.
//!
//! ```text
//! engine threads ─ outputs of an epoch, copied ─> queue of 64 epochs ─> hub thread ─> Hub
//! ```
//!
//! An engine waits when the hub is behind by the whole queue, and so do its producers: nothing grows.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use dunlin_cep::topology::NamedReport;
use dunlin_query::topology::StandingOutput;
use dunlin_stream::Timestamp;
use dunlin_stream::log::{LaneId, Log};
use dunlin_stream::outputs::{self, OutputError};
use dunlin_stream::process::Committed;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::hub::{Content, Hub, Tag, Told, TopicKind};
use crate::live::{locked, now};

/// Epochs that may wait for the hub.
const QUEUE: usize = 64;
/// How much of an output lane is read when a server starts.
const REBUILT_BATCHES: u64 = 20_000;
const REBUILT_BYTES: usize = 32 << 20;
const READ_BYTES: usize = 4 << 20;

/// An output that the hub can tell.
pub(super) trait Speak: Clone + Send + DeserializeOwned + 'static {
    /// What kind of things its queries tell.
    const KIND: TopicKind;

    /// The query that tells it, and what it tells; nothing if it is of no concern to subscribers.
    fn speak(&self, application: &Arc<str>) -> Option<(Arc<str>, Content)>;
}

impl Speak for StandingOutput {
    const KIND: TopicKind = TopicKind::Answers;

    fn speak(&self, _: &Arc<str>) -> Option<(Arc<str>, Content)> {
        match self {
            Self::Answer(answer) => Some((answer.id.clone(), Content::Answer(answer.clone()))),
            Self::Refused { command, reason } => {
                tracing::warn!(command, reason, "a command was refused");
                None
            }
        }
    }
}

impl Speak for NamedReport {
    const KIND: TopicKind = TopicKind::Reports;

    fn speak(&self, application: &Arc<str>) -> Option<(Arc<str>, Content)> {
        Some((application.clone(), Content::Report(self.clone())))
    }
}

/// Figures of an application that is fed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) applied: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) duplicate: AtomicU64,
    pub(crate) outputs: AtomicU64,
    /// From the end of the last epoch to its commit, in milliseconds.
    pub(crate) lag_ms: AtomicI64,
}

/// An epoch on its way to the hub.
struct Fed {
    told: Vec<(Arc<str>, Told)>,
    end: Timestamp,
    committed: watch::Sender<Timestamp>,
}

/// The hub and its thread.
pub(crate) struct Feed {
    hub: Arc<Mutex<Hub>>,
    queue: Option<SyncSender<Fed>>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    pub(super) fn start(hub: Hub) -> std::io::Result<Self> {
        let hub = Arc::new(Mutex::new(hub));
        let (queue, fed) = sync_channel(QUEUE);
        let of_thread = hub.clone();
        let thread = std::thread::Builder::new().name("hub".to_owned());
        let thread = thread.spawn(move || run(&of_thread, &fed))?;
        Ok(Self { hub, queue: Some(queue), thread: Some(thread) })
    }

    /// The hub, for a short while.
    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        locked(&self.hub)
    }

    /// What an application calls with each epoch, and the end of the last epoch that the hub has.
    pub(super) fn teller<O: Speak>(
        &self,
        application: &str,
        tally: Arc<Tally>,
    ) -> (impl FnMut(&Committed<'_, O>) + Send + 'static, watch::Receiver<Timestamp>) {
        let queue = self.queue.clone().expect("the feed runs until it is dropped");
        let (committed, receiver) = watch::channel(Timestamp::MIN);
        let application = Arc::from(application);
        let tell = move |epoch: &Committed<'_, O>| {
            tally.count(epoch);
            let told = tell((epoch.epoch.0, epoch.end), epoch.outputs, &application);
            // The hub outlives the applications that feed it.
            drop(queue.send(Fed { told, end: epoch.end, committed: committed.clone() }));
        };
        (tell, receiver)
    }

    /// Feeds the hub with the end of an application's output lane, as far as it was told before.
    ///
    /// # Errors
    /// A lane that does not read.
    pub(super) fn rebuild<O: Speak>(
        &self,
        log: &dyn Log,
        lane: LaneId,
        application: &str,
    ) -> Result<(), OutputError> {
        let start = rebuilt_from(log, lane)?;
        let mut next = outputs::next_epoch(log, lane, start)?;
        let application = Arc::from(application);
        loop {
            let epochs = outputs::read::<O>(log, lane, next, READ_BYTES)?;
            let (Some(first), Some(last)) = (epochs.first(), epochs.last()) else { return Ok(()) };
            let mut hub = self.hub();
            if O::KIND == TopicKind::Reports && start > 0 {
                // What was told before is not known, unless the topic is open already.
                hub.open(&application, O::KIND, Tag::behind(first.epoch.0 - 1));
            }
            next = last.next;
            for epoch in epochs {
                let told = tell((epoch.epoch.0, epoch.end), &epoch.outputs, &application);
                told.into_iter().for_each(|(query, told)| hub.tell(&query, told));
            }
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.queue = None;
        // The thread ends with the last application.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Where the end of a lane begins that is read again.
fn rebuilt_from(log: &dyn Log, lane: LaneId) -> Result<u64, OutputError> {
    let held = log.range(lane)?;
    let (mut from, mut bytes) = (held.end, 0);
    while from > held.start && held.end - from < REBUILT_BATCHES && bytes < REBUILT_BYTES {
        from -= 1;
        bytes += log.read(lane, from, 0)?.iter().map(|entry| entry.payload.len()).sum::<usize>();
    }
    Ok(from)
}

fn run(hub: &Mutex<Hub>, fed: &Receiver<Fed>) {
    while let Ok(Fed { told, end, committed }) = fed.recv() {
        let mut hub = locked(hub);
        told.into_iter().for_each(|(query, told)| hub.tell(&query, told));
        hub.end_epoch(end);
        drop(hub);
        committed.send_replace(end);
    }
}

fn tell<O: Speak>(
    (epoch, time): (i64, Timestamp),
    outputs: &[O],
    application: &Arc<str>,
) -> Vec<(Arc<str>, Told)> {
    let outputs = (0u32..).zip(outputs);
    let told = outputs.filter_map(|(index, output)| {
        let (query, content) = output.speak(application)?;
        Some((query, Told { tag: Tag { epoch, index }, time, content }))
    });
    told.collect()
}

impl Tally {
    fn count<O>(&self, epoch: &Committed<'_, O>) {
        let counts = epoch.counts;
        for (counter, count) in [
            (&self.applied, counts.applied),
            (&self.late, counts.late),
            (&self.rejected, counts.rejected()),
            (&self.duplicate, counts.duplicate),
            (&self.outputs, epoch.outputs.len() as u64),
        ] {
            counter.fetch_add(count, Ordering::Relaxed);
        }
        let lag = now().as_millis() - epoch.end.as_millis();
        self.lag_ms.store(lag, Ordering::Relaxed);
    }
}
