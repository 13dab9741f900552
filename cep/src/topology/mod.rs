//! Co-occurrence mining as a topology: lanes of passages by name, shards that share the sets.
//!
//! ```text
//! lane 0 ─ PassageRouter ─┐ all passages ┌─ CooccurrenceShard, keys [0, k)  ─┐ reports, by time
//! lane 1 ─ PassageRouter ─┼─────────────>├─ CooccurrenceShard, keys [k, l)  ─┼─────────────────>
//! lane 2 ─ PassageRouter ─┘ to each      └─ CooccurrenceShard, keys [l, …)  ─┘ and objects
//! ```
//!
//! A set belongs to the shard that owns the key of its first object, by name. Every shard holds all
//! events, since which sets are closed or maximal depends on larger ones, but looks only at arrivals
//! that may complete a set of its own. A shard mines what the watermark has passed; the epochs in
//! which reports come depend on the lanes, the reports and their order on the events alone.

mod batch;
mod names;
mod report;
mod router;
mod shard;
mod share;
mod state;

use std::cmp::Ordering;

use dunlin_stream::Topology;
use dunlin_stream::event_time::EventTimeRule;

use crate::rule::{Rule, RuleError};

pub use batch::{PassageBatch, PassageRow};
pub use report::{NamedOccurrence, NamedReport};
pub use router::{PassageRouter, Passages};
pub use shard::CooccurrenceShard;

/// Names that nothing uses are let go after this share of the time for which events are kept.
const SWEEPS: i64 = 8;

/// Which objects keep turning up together, as an application of the engine.
#[derive(Clone, Debug)]
pub struct CooccurrenceTopology {
    rule: Rule,
    event_time: EventTimeRule,
}

impl CooccurrenceTopology {
    /// Finds what `rule` asks for, in passages whose times are as `event_time` allows.
    ///
    /// # Errors
    /// A rule that makes no sense, or a lateness that is negative or beyond a hundred years: the
    /// watermark, which every report waits for, would never come.
    pub fn new(rule: Rule, event_time: EventTimeRule) -> Result<Self, RuleError> {
        rule.check()?;
        RuleError::check_span("lateness", event_time.lateness_ms)?;
        Ok(Self { rule, event_time })
    }

    /// What is asked for.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl Topology for CooccurrenceTopology {
    type Router = PassageRouter;
    type Operator = CooccurrenceShard;

    fn router(&self, _: usize) -> PassageRouter {
        PassageRouter
    }

    fn operator(&self) -> CooccurrenceShard {
        let kept_ms = self.rule.tau_ms + self.event_time.lateness_ms;
        CooccurrenceShard::new(self.rule.clone(), kept_ms / SWEEPS + 1)
    }

    fn event_time(&self) -> EventTimeRule {
        self.event_time
    }

    fn order(a: &NamedReport, b: &NamedReport) -> Ordering {
        NamedReport::order(a, b)
    }
}
