//! What a mining algorithm is: one trait, four algorithms, the same answers.

use dunlin_index::{Event, EventStore};

use crate::report::Report;
use crate::rule::Rule;

/// An event in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The event.
    pub event: Event,
    /// Its number in the ring of its stream.
    pub number: u32,
}

/// Finds the sets that become frequent as events arrive.
///
/// Only sets that contain an arriving object can become frequent, and only in its stream; so each
/// algorithm looks at the arrivals one after the other and tells the sets that one completes.
pub trait Miner {
    /// Tells every set that becomes frequent with one of `arrivals`, in any order, a set perhaps
    /// more than once; says for how many arrivals the search was cut short.
    ///
    /// `arrivals` are ordered by (time, stream, object), without repetition, and no event of their
    /// times is missing; each is later than those of the call before. `store` holds the arrivals
    /// and all events that are not older than `τ` and a millisecond before the first of them.
    fn mine(
        &mut self,
        store: &EventStore,
        rule: &Rule,
        arrivals: &[Arrival],
        out: &mut Vec<Report>,
    ) -> u64;
}

impl<M: Miner + ?Sized> Miner for Box<M> {
    fn mine(
        &mut self,
        store: &EventStore,
        rule: &Rule,
        arrivals: &[Arrival],
        out: &mut Vec<Report>,
    ) -> u64 {
        (**self).mine(store, rule, arrivals, out)
    }
}
