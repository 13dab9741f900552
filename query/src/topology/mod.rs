//! Standing queries as a topology of the streaming core: sharded by x, durable, exact.
//!
//! ```text
//! lanes    PositionRouter: names ──> ids, each object's last report  ──┐ entered, moved, left
//! shards   StandingShard:  the objects of a range of x, the queries    │ by shard
//!          at home there  <────────────────────────────────────────────┘
//! round 0  home answers from its own objects; a disc that reaches over its borders asks those
//! round 1  they say what they have inside the disc, k objects at most
//! round 2  home merges                                   (Z. Yu et al., TKDE 2015: DKNN)
//! ```
//!
//! Every shard knows all queries; each query has one home, which alone speaks of it: the shard of its
//! point, of its area's least x, or the shard that has the object that it looks from now. A query
//! whose object goes to another shard goes with it, and takes along what it last told. One that looks
//! from an object that nobody has is at home nowhere: its answer is empty, and was told.
//!
//! Answers do not depend on lanes, shards, or their splits and merges: they are those of
//! [`StandingQueries`](crate::StandingQueries) over all objects. With one shard nothing else runs.

mod batch;
mod catalog;
mod columns;
mod message;
mod output;
mod read;
mod router;
mod shard;
mod state;
mod tell;
mod times;

use std::cmp::Ordering;
use std::marker::PhantomData;

use dunlin_index::Space;
use dunlin_stream::Topology;
use dunlin_stream::event_time::EventTimeRule;

pub use self::batch::{Command, PositionBatch};
pub use self::message::ShardMessage;
pub use self::output::{QueryAnswer, StandingOutput};
pub use self::read::{Located, Reader, ShardSummary, StandingText, StripSummary, ViewSample};
pub use self::router::{PositionOps, PositionRouter};
pub use self::shard::StandingShard;

/// Standing queries over the positions of a log; see the module documentation.
///
/// ```
/// use dunlin_index::Plane;
/// use dunlin_query::topology::{Command, PositionBatch, StandingOutput, StandingTopology};
/// use dunlin_stream::log::Entry;
/// use dunlin_stream::lane::Envelope;
/// use dunlin_stream::{Engine, Epoch, ShardTable, Timestamp, wire};
///
/// let topology = StandingTopology::<Plane>::new(1);
/// let mut engine = Engine::new(topology, 2, ShardTable::default()); // a lane, and control
/// let at = Timestamp::from_millis(5)?;
/// let entry = |batch| {
///     let payload = wire::encode(&Envelope { producer: 1, sequence: 0, batch });
///     vec![Entry { sequence: 0, stamp: at, payload: payload.into() }]
/// };
/// let (mut positions, mut control) = (PositionBatch::default(), PositionBatch::default());
/// positions.push("taxi 7", at, (3.0, 4.0).into());
/// let query = r#"{"id":"q","knn":{"k":1,"at":[0,0]}}"#.to_owned();
/// control.command(Command::Register { query });
///
/// let end = Timestamp::from_millis(20)?;
/// let result = engine.step(Epoch(0), end, &[entry(positions), entry(control)]);
/// let [StandingOutput::Answer(answer)] = &result.outputs[..] else { panic!("one answer") };
/// assert_eq!(&*answer.id, "q");
/// assert_eq!(answer.objects().next(), Some(("taxi 7", Some(5.0), (3.0, 4.0).into())));
/// # Ok::<(), dunlin_stream::ParseTimeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StandingTopology<S: Space> {
    lanes: u32,
    ttl_ms: Option<i64>,
    event_time: EventTimeRule,
    space: PhantomData<S>,
}

impl<S: Space> StandingTopology<S> {
    /// Positions come in `lanes` lanes; commands in any, and in the lanes after them, which take no
    /// positions. Objects stay for ever.
    #[must_use]
    pub fn new(lanes: u32) -> Self {
        Self { lanes, ttl_ms: None, event_time: EventTimeRule::ANY, space: PhantomData }
    }

    /// Lets objects go that were silent for longer than `ttl_ms` milliseconds.
    #[must_use]
    pub fn with_ttl_ms(mut self, ttl_ms: i64) -> Self {
        self.ttl_ms = Some(ttl_ms);
        self
    }

    /// Sets what is allowed of event times; otherwise anything is.
    #[must_use]
    pub fn with_event_time(mut self, rule: EventTimeRule) -> Self {
        self.event_time = rule;
        self
    }
}

impl<S: Space> Topology for StandingTopology<S> {
    type Router = PositionRouter<S>;
    type Operator = StandingShard<S>;

    fn router(&self, lane: usize) -> PositionRouter<S> {
        let lane = u32::try_from(lane).expect("fewer than 2^32 lanes");
        PositionRouter::new(lane, self.lanes, self.ttl_ms)
    }

    fn operator(&self) -> StandingShard<S> {
        StandingShard::default()
    }

    fn event_time(&self) -> EventTimeRule {
        self.event_time
    }

    fn order(a: &StandingOutput, b: &StandingOutput) -> Ordering {
        a.order(b)
    }
}
