//! What all faces of the server share: the application of positions, the hub, the registry of
//! queries and the applications of co-occurrence.

mod cooccurrences;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use dunlin_index::SpaceKind;
use dunlin_query::topology::{Command, PositionBatch};
use dunlin_stream::Timestamp;
use dunlin_stream::log::Pending;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinError;

use super::access::Access;
use super::cooccurrence::Cooccurrence;
use super::core::Core;
use super::error::{QueryError, ServerError};
use super::feed::{Feed, Tally};
use super::hub::{Content, Hub, HubLimits, SharedEvent, SubscribeError, Tag, Told, TopicKind};
use super::ingest::Ingest;
use super::options::{Limits, ServeOptions, Storage};
use super::queries::{self, Checked};
use super::registry::{QueryKind, Registry, ReserveError};
use super::roads::Roads;
use super::settings::Settings;
use super::tiles::TileServer;
use crate::live::{AskError, LiveOptions, Producer, locked, now};

/// The lanes of positions.
const LANES: usize = 2;
/// The name of the application of positions.
const NAME: &str = "positions";
/// Memory for bodies is counted in so many bytes.
pub(crate) const BODY_UNIT: usize = 4 << 10;
/// Numbers of producers from here on are the server's own.
pub(crate) const OWN_PRODUCERS: u64 = 1 << 63;

/// See the module documentation.
pub(crate) struct App {
    pub(crate) access: Access,
    pub(crate) core: Core,
    pub(crate) ingest: Ingest,
    pub(crate) limits: Limits,
    /// Objects that are silent for longer leave, in milliseconds.
    pub(crate) ttl_ms: i64,
    pub(crate) roads: Option<Roads>,
    pub(crate) tiles: Option<TileServer>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) maps: Arc<Semaphore>,
    /// Streams of batches over gRPC.
    pub(crate) feeds: Arc<Semaphore>,
    /// Memory for bodies of requests, in units of [`BODY_UNIT`] bytes.
    pub(crate) bodies: Arc<Semaphore>,
    storage: Storage,
    settings: Mutex<Settings>,
    commands: Mutex<(Registry, Producer)>,
    cooccurrences: Mutex<Vec<Arc<Cooccurrence>>>,
    committed: watch::Receiver<Timestamp>,
    stopping: AtomicBool,
    /// Last, since dropping it waits for the applications that feed it.
    pub(crate) feed: Feed,
}

impl App {
    /// Opens the log, starts all applications and waits until they have taken up what was there.
    pub(super) fn start(
        options: &ServeOptions,
        metrics: PrometheusHandle,
    ) -> Result<Arc<Self>, ServerError> {
        if options.tiles.is_some() && options.space == SpaceKind::Plane {
            return Err(ServerError::TilesOnPlane);
        }
        let access = Access::open(options.tokens.as_deref())?;
        let mut settings = Settings::new(options.space, options.epoch_ms, LANES, options.guarantee);
        if let Some(folder) = &options.data {
            settings = settings.open(folder)?;
        }
        let (storage, limits) = (Storage::open(options)?, options.limits);
        let feed = Feed::start(Hub::new(HubLimits {
            subscribers_per_query_max: limits.subscribers_per_query_max,
            subscribers_max: limits.subscribers_max,
            ..HubLimits::default()
        }))?;
        let (core, tally, committed) = start_positions(options, &storage, &feed)?;
        let producer = own_producer(&core);
        let app = Self {
            access,
            roads: options.roads.as_deref().and_then(Roads::new),
            tiles: options.tiles.clone(),
            ingest: Ingest::new(&core, limits.held_max),
            commands: Mutex::new((Registry::default(), producer)),
            settings: Mutex::new(settings),
            cooccurrences: Mutex::default(),
            stopping: AtomicBool::new(false),
            maps: Arc::new(Semaphore::new(limits.maps_max)),
            feeds: Arc::new(Semaphore::new(limits.feeds_max)),
            bodies: Arc::new(Semaphore::new(limits.bodies_bytes_max / BODY_UNIT)),
            core,
            feed,
            limits,
            ttl_ms: options.ttl_ms,
            tally,
            metrics,
            storage,
            committed,
        };
        app.restore_cooccurrences()?;
        Ok(Arc::new(app))
    }

    /// How far the answers are behind the clock, in milliseconds: as far as they were at the last
    /// commit, or further if no other followed that.
    pub(crate) fn lag_ms(&self) -> i64 {
        let since = now().as_millis() - self.committed.borrow().as_millis();
        self.tally.lag_ms.load(Ordering::Relaxed).max(since - locked(&self.settings).epoch_ms)
    }

    /// Waits until the state before the start is taken up, and knows its queries then.
    pub(super) async fn recover(&self) -> Result<(), ServerError> {
        self.after_epoch_of(now()).await?;
        let mut from = 0;
        loop {
            let page = self.core.ask(move |look| look.queries(from, 10_000)).await?;
            let Some(last) = page.last() else { break };
            from = last.number + 1;
            let mut commands = locked(&self.commands);
            for query in page {
                let entry = (QueryKind::Standing, query.text.into());
                // A log that was begun with a greater limit keeps its queries.
                let _ = commands.0.reserve(&query.id, entry, (usize::MAX, usize::MAX));
                commands.0.settle(&query.id);
                self.feed.hub().open(&query.id, TopicKind::Answers, Tag::START);
            }
        }
        let commands = locked(&self.commands);
        self.feed.hub().retain(|id| commands.0.has(id));
        Ok(())
    }

    /// Waits until the hub has the epoch of a time that is over.
    async fn after_epoch_of(&self, time: Timestamp) -> Result<(), AskError> {
        after_epoch_of(self.committed.clone(), time).await
    }

    /// Registers a query from its JSON; its id. It stands, and its first answer is there, when this
    /// returns. A client that does not wait changes nothing about that.
    pub(crate) async fn create(self: &Arc<Self>, text: String) -> Result<String, QueryError> {
        let text = text.trim().to_owned();
        let app = self.clone();
        match queries::check(&text, self.core.space(), &self.limits)? {
            Checked::Standing(id) => detached(app.create_standing(id, text)).await,
            Checked::Cooccurrence(query) => {
                blocking(move || app.create_cooccurrence(&query, text)).await
            }
        }
    }

    async fn create_standing(
        self: Arc<Self>,
        id: String,
        text: String,
    ) -> Result<String, QueryError> {
        let (app, of_query) = (self.clone(), id.clone());
        blocking::<_, QueryError>(move || {
            let sent = app.register(&of_query, text)?;
            sent.wait().inspect_err(|_| locked(&app.commands).0.forget(&of_query))?;
            Ok(())
        })
        .await?;
        self.after_epoch_of(now()).await?;
        locked(&self.commands).0.settle(&id);
        Ok(id)
    }

    /// How many queries there may be, and how long all together.
    fn room(&self) -> (usize, usize) {
        (self.limits.queries_max, self.limits.queries_bytes_max)
    }

    /// Takes the id and sends the command, in one go.
    fn register(&self, id: &str, text: String) -> Result<Pending, QueryError> {
        let mut commands = locked(&self.commands);
        let (registry, producer) = &mut *commands;
        let entry = (QueryKind::Standing, text.as_str().into());
        registry.reserve(id, entry, self.room())?;
        self.feed.hub().open(id, TopicKind::Answers, Tag::START);
        let mut batch = PositionBatch::default();
        batch.command(Command::Register { query: text });
        let sent = producer.command(&batch);
        Ok(sent.inspect_err(|_| registry.forget(id))?)
    }

    /// Removes a query; it is gone when this returns.
    pub(crate) async fn remove(self: &Arc<Self>, id: &str) -> Result<(), QueryError> {
        let Some(kind) = locked(&self.commands).0.leave(id) else {
            return Err(QueryError::Unknown { id: id.to_owned() });
        };
        detached(self.clone().take_away(id.to_owned(), kind)).await
    }

    async fn take_away(self: Arc<Self>, id: String, kind: QueryKind) -> Result<(), QueryError> {
        let (app, of_query) = (self.clone(), id.clone());
        let removed = match kind {
            QueryKind::Standing => {
                blocking::<_, QueryError>(move || {
                    app.unregister(&of_query)?.wait()?;
                    Ok(())
                })
                .await?;
                self.after_epoch_of(now()).await.map_err(QueryError::from)
            }
            QueryKind::Cooccurrence => blocking(move || app.end_cooccurrence(&of_query)).await,
        };
        if removed.is_err() && kind == QueryKind::Cooccurrence {
            // It goes on.
            locked(&self.commands).0.settle(&id);
            return removed;
        }
        self.feed.hub().close(&id);
        locked(&self.commands).0.forget(&id);
        removed
    }

    fn unregister(&self, id: &str) -> Result<Pending, QueryError> {
        let mut batch = PositionBatch::default();
        batch.command(Command::Remove { id: id.to_owned() });
        Ok(locked(&self.commands).1.command(&batch)?)
    }

    /// Follows a query after a place, or from its whole answer on.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        id: &str,
        resume: Option<Tag>,
    ) -> Result<Subscription, QueryError> {
        let registered = locked(&self.commands).0.get(id).map(|query| query.kind);
        let kind = registered.ok_or_else(|| QueryError::Unknown { id: id.to_owned() })?;
        let fresh = match kind {
            QueryKind::Standing => self.fresh(id).await?,
            QueryKind::Cooccurrence => None,
        };
        let (number, events) = match self.feed.hub().subscribe(id, resume, fresh, now()) {
            Ok(subscribed) => subscribed,
            Err(SubscribeError::Unknown) => return Err(QueryError::Unknown { id: id.to_owned() }),
            Err(error) => return Err(error.into()),
        };
        Ok(Subscription { app: self.clone(), query: id.to_owned(), number, events })
    }

    /// The answer of a standing query as the engine has it.
    async fn fresh(&self, id: &str) -> Result<Option<Told>, AskError> {
        let id = id.to_owned();
        self.core
            .ask(move |look| {
                let ((epoch, time), answer) = (look.epoch(), look.answer(&id)?);
                Some(Told { tag: Tag::behind(epoch), time, content: Content::Answer(answer) })
            })
            .await
    }

    /// The registry, for a short while.
    pub(crate) fn registry<R>(&self, read: impl FnOnce(&Registry) -> R) -> R {
        read(&locked(&self.commands).0)
    }

    /// The co-occurrence queries that run.
    pub(crate) fn cooccurrences(&self) -> Vec<Arc<Cooccurrence>> {
        locked(&self.cooccurrences).clone()
    }

    /// Whether the server does its work: the engines run and nobody stops them.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_stopping()
            && self.core.is_running()
            && self.cooccurrences().iter().all(|it| it.is_running())
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Takes no more, and ends all streams.
    pub(super) fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.feed.hub().close_all();
    }

    /// Finishes the epochs and writes checkpoints.
    pub(super) fn stop(&self) -> Result<(), ServerError> {
        let running = std::mem::take(&mut *locked(&self.cooccurrences));
        let stopped = running.into_iter().filter_map(Arc::into_inner).map(Cooccurrence::stop);
        // All of them, whatever becomes of one.
        let stopped: Vec<_> = stopped.chain(std::iter::once_with(|| self.core.stop())).collect();
        Ok(stopped.into_iter().collect::<Result<(), _>>()?)
    }
}

fn start_positions(
    options: &ServeOptions,
    storage: &Storage,
    feed: &Feed,
) -> Result<(Core, Arc<Tally>, watch::Receiver<Timestamp>), ServerError> {
    let mut live = LiveOptions::new(NAME);
    live.lanes = LANES;
    live.epoch_ms = options.epoch_ms;
    live.guarantee = storage.guarantee;
    live.sync = storage.sync;
    live.restarts = storage.data.is_some();
    live.credit_records = options.limits.credit_records;
    let lanes = dunlin_stream::process::Lanes::open(&*storage.log, NAME, LANES)?;
    feed.rebuild::<dunlin_query::topology::StandingOutput>(&*storage.log, lanes.output, NAME)?;
    let tally = Arc::new(Tally::default());
    let (tell, committed) = feed.teller(NAME, tally.clone());
    let stores = (storage.log.clone(), storage.checkpoints(NAME)?);
    let (core, recovery) =
        Core::start((options.space, options.ttl_ms, options.limits.skew_ms), stores, &live, tell)?;
    for unusable in recovery.unusable {
        tracing::warn!(epoch = unusable.epoch.0, error = %unusable.error, "a checkpoint was passed over");
    }
    Ok((core, tally, committed))
}

/// A producer that no other run of the server has had.
pub(super) fn own_producer(core: &Core) -> Producer {
    core.producer(own_number(), 0)
}

/// The number of a producer that no other run of the server has had.
pub(super) fn own_number() -> u64 {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    // A run starts fewer than a million of them, and no two runs start in one millisecond.
    let run = now().as_millis().unsigned_abs() << 20;
    OWN_PRODUCERS | run.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn after_epoch_of(
    mut committed: watch::Receiver<Timestamp>,
    time: Timestamp,
) -> Result<(), AskError> {
    committed.wait_for(|&end| end > time).await.map(drop).map_err(|_| AskError::Ended)
}

/// Runs what must not stay half-done when the client that wants it goes away.
async fn detached<R: Send + 'static>(
    work: impl Future<Output = Result<R, QueryError>> + Send + 'static,
) -> Result<R, QueryError> {
    joined(tokio::spawn(work).await)
}

/// Runs what may wait for the log on a thread that may wait.
pub(crate) async fn blocking<R: Send + 'static, E: From<AskError> + Send + 'static>(
    work: impl FnOnce() -> Result<R, E> + Send + 'static,
) -> Result<R, E> {
    joined(tokio::task::spawn_blocking(work).await)
}

fn joined<R, E: From<AskError>>(done: Result<Result<R, E>, JoinError>) -> Result<R, E> {
    match done {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(AskError::Ended.into()),
    }
}

/// Who follows a query; gone when dropped.
pub(crate) struct Subscription {
    app: Arc<App>,
    query: String,
    number: u64,
    events: Receiver<SharedEvent>,
}

impl Subscription {
    /// The next event; none when the stream ends.
    pub(crate) async fn recv(&mut self) -> Option<SharedEvent> {
        self.events.recv().await
    }
}

impl tokio_stream::Stream for Subscription {
    type Item = SharedEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SharedEvent>> {
        self.events.poll_recv(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.app.feed.hub().unsubscribe(&self.query, self.number);
    }
}

impl From<ReserveError> for QueryError {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::Taken => Self::Taken,
            ReserveError::Full(there) => Self::Full(there),
        }
    }
}
