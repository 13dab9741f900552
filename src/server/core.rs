//! The application of positions behind the server, whatever its space.
//!
//! The engine knows its space as a type; what is asked over the network does not. [`Look`] is the
//! state between two epochs, [`Positions`] the application: both can be held without the type.

use std::sync::Mutex;
use std::time::Duration;

use dunlin_index::{Plane, Space, SpaceKind, Sphere, Window};
use dunlin_query::Question;
use dunlin_query::topology::{
    Located, PositionBatch, QueryAnswer, Reader, ShardSummary, StandingText, StandingTopology,
    StripSummary, ViewSample,
};
use dunlin_stream::event_time::EventTimeRule;
use dunlin_stream::log::Log;
use dunlin_stream::overload::Policy;
use dunlin_stream::process::{Committed, Lanes, Recovery};
use dunlin_stream::{Key, Process, Timestamp};
use tokio::sync::{Semaphore, oneshot};

use super::app::own_number;
use crate::live::{
    AskError, Asker, JOBS_MAX, Live, LiveError, LiveOptions, Producer, Source, locked,
};
use dunlin_query::topology::StandingOutput;
use dunlin_stream::checkpoint::Checkpoints;
use std::sync::Arc;

/// Fewer objects are not worth a second shard.
const SHARDED_FROM: usize = 1_000;
/// Who asks waits so long for a turn.
const TURN_MAX: Duration = Duration::from_secs(2);

/// The state between two epochs.
pub(crate) trait Look {
    /// The last epoch, and its end.
    fn epoch(&self) -> (i64, Timestamp);
    /// See [`Reader::find`].
    fn find(&self, question: &Question) -> QueryAnswer;
    /// See [`Reader::answer`].
    fn answer(&self, id: &str) -> Option<QueryAnswer>;
    /// See [`Reader::object`].
    fn object(&self, name: &str) -> Option<Located>;
    /// See [`Reader::object_count`].
    fn object_count(&self) -> usize;
    /// See [`Reader::queries`].
    fn queries(&self, from: u32, limit: usize) -> Vec<StandingText>;
    /// See [`Reader::shards`].
    fn shards(&self) -> Vec<ShardSummary>;
    /// See [`Reader::strips`].
    fn strips(&self) -> Vec<StripSummary>;
    /// See [`Reader::view`].
    fn view(&self, window: &Window, max: usize) -> ViewSample;
}

struct State<'a, S: Space> {
    reader: Reader<'a, S>,
    epoch: (i64, Timestamp),
}

impl<S: Space> Look for State<'_, S> {
    fn epoch(&self) -> (i64, Timestamp) {
        self.epoch
    }

    fn find(&self, question: &Question) -> QueryAnswer {
        self.reader.find(question)
    }

    fn answer(&self, id: &str) -> Option<QueryAnswer> {
        self.reader.answer(id)
    }

    fn object(&self, name: &str) -> Option<Located> {
        self.reader.object(name)
    }

    fn object_count(&self) -> usize {
        self.reader.object_count()
    }

    fn queries(&self, from: u32, limit: usize) -> Vec<StandingText> {
        self.reader.queries(from, limit)
    }

    fn shards(&self) -> Vec<ShardSummary> {
        self.reader.shards()
    }

    fn strips(&self) -> Vec<StripSummary> {
        self.reader.strips()
    }

    fn view(&self, window: &Window, max: usize) -> ViewSample {
        self.reader.view(window, max)
    }
}

type Job = Box<dyn FnOnce(&dyn Look) + Send>;

/// An application of positions.
trait Positions: Send + Sync {
    fn submit(&self, job: Job) -> Result<(), AskError>;
    fn balance(&self, shards: usize) -> Result<(), AskError>;
    fn source(&self, name: &str, number: u64, policy: Policy) -> Option<Source<PositionBatch>>;
    fn is_running(&self) -> bool;
    fn stop(&self) -> Result<(), LiveError>;
}

struct Application<S: Space> {
    asker: Asker<StandingTopology<S>>,
    live: Mutex<Option<Live<StandingTopology<S>>>>,
}

impl<S: Space> Positions for Application<S> {
    fn submit(&self, job: Job) -> Result<(), AskError> {
        self.asker.submit(move |process: &Process<StandingTopology<S>>| {
            let last = process.last_epoch();
            let end = last.map_or(Timestamp::MIN, |epoch| process.end_of(epoch));
            let epoch = (last.map_or(i64::MIN, |epoch| epoch.0), end);
            job(&State { reader: Reader::new(process.engine()), epoch });
        })
    }

    fn balance(&self, shards: usize) -> Result<(), AskError> {
        self.asker.steer(move |process| balance(process, shards))
    }

    fn source(&self, name: &str, number: u64, policy: Policy) -> Option<Source<PositionBatch>> {
        locked(&self.live).as_ref().map(|live| live.source(name, number, 0, policy))
    }

    fn is_running(&self) -> bool {
        locked(&self.live).as_ref().is_some_and(Live::is_running)
    }

    fn stop(&self) -> Result<(), LiveError> {
        let live = locked(&self.live).take();
        live.map_or(Ok(()), Live::stop)
    }
}

/// The application of positions; see the module documentation.
pub(crate) struct Core {
    space: SpaceKind,
    positions: Box<dyn Positions>,
    producer: Producer,
    lanes: Lanes,
    turns: Semaphore,
}

impl Core {
    /// Starts the application on a log.
    pub(super) fn start(
        (space, ttl_ms, skew_ms): (SpaceKind, i64, i64),
        (log, checkpoints): (Arc<dyn Log>, Option<Checkpoints>),
        options: &LiveOptions,
        tell: impl FnMut(&Committed<'_, StandingOutput>) + Send + 'static,
    ) -> Result<(Self, Recovery), LiveError> {
        match space {
            SpaceKind::Sphere => {
                start::<Sphere>((ttl_ms, skew_ms), (log, checkpoints), options, tell)
            }
            SpaceKind::Plane => {
                start::<Plane>((ttl_ms, skew_ms), (log, checkpoints), options, tell)
            }
        }
    }

    pub(crate) fn space(&self) -> SpaceKind {
        self.space
    }

    pub(crate) fn lane_count(&self) -> usize {
        self.lanes.input.len()
    }

    /// A producer by its number; see [`Live::producer`].
    pub(crate) fn producer(&self, number: u64, sequence: u64) -> Producer {
        self.producer.of_number(number, sequence)
    }

    /// A source by a number of its own that no producer has; none once the application has ended.
    pub(super) fn source(&self, name: &str, policy: Policy) -> Option<Source<PositionBatch>> {
        self.positions.source(name, own_number(), policy)
    }

    /// Brings the cut into shards one step nearer to so many of about one size.
    pub(super) fn balance(&self, shards: usize) -> Result<(), AskError> {
        self.positions.balance(shards)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.positions.is_running()
    }

    /// Finishes the epoch, writes a checkpoint and ends.
    pub(super) fn stop(&self) -> Result<(), LiveError> {
        self.positions.stop()
    }

    /// Asks the state between two epochs; who asks takes turns with others.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Look) -> R + Send + 'static,
    ) -> Result<R, AskError> {
        let turn = tokio::time::timeout(TURN_MAX, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| AskError::Busy)?;
        let (answer, answered) = oneshot::channel();
        self.positions.submit(Box::new(move |look| drop(answer.send(question(look)))))?;
        answered.await.map_err(|_| AskError::Ended)
    }
}

/// Splits the largest shard at its middle, or joins the two smallest neighbours to make room for
/// that, if the sizes differ too much.
fn balance<S: Space>(process: &mut Process<StandingTopology<S>>, wanted: usize) {
    let reader = Reader::new(process.engine());
    let sizes: Vec<usize> = reader.shards().iter().map(|shard| shard.objects).collect();
    let (all, count): (usize, usize) = (sizes.iter().sum(), sizes.len());
    let Some(largest) = (0..count).max_by_key(|&shard| sizes[shard]) else { return };
    if all < SHARDED_FROM {
        return;
    }
    let is_uneven = sizes[largest] * wanted > all * 3 / 2;
    if count < wanted {
        if let Some(x) = reader.middle(largest) {
            process.split(Key::of_f64(x));
        }
    } else if is_uneven
        && let Some(pair) = (0..count - 1).min_by_key(|&shard| sizes[shard] + sizes[shard + 1])
        && sizes[pair] + sizes[pair + 1] < sizes[largest]
    {
        process.merge(pair);
    }
}

fn start<S: Space>(
    (ttl_ms, skew_ms): (i64, i64),
    (log, checkpoints): (Arc<dyn Log>, Option<Checkpoints>),
    options: &LiveOptions,
    tell: impl FnMut(&Committed<'_, StandingOutput>) + Send + 'static,
) -> Result<(Core, Recovery), LiveError> {
    let lanes = u32::try_from(options.lanes).expect("a few lanes");
    let topology = StandingTopology::<S>::new(lanes)
        .with_ttl_ms(ttl_ms)
        .with_event_time(EventTimeRule { skew_ms, ..EventTimeRule::ANY });
    let (live, recovery) = Live::start_on(topology, log, checkpoints, options, tell)?;
    let core = Core {
        space: S::KIND,
        producer: live.producer(0, 0),
        lanes: live.lanes().clone(),
        turns: Semaphore::new(JOBS_MAX),
        positions: Box::new(Application { asker: live.asker(), live: Mutex::new(Some(live)) }),
    };
    Ok((core, recovery))
}
