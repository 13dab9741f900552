//! What the algorithms with a filter share: the setting of an arrival, and the refine step.
//!
//! A filter on whole segments lets sets through whose events are too far apart. The refine step
//! asks the definition, on the events' own times, and tells a set if it becomes frequent with the
//! arrival and stands out among its supersets.

use dunlin_index::{EventStore, Slot};

use crate::exact;
use crate::maximal::with;
use crate::miner::Arrival;
use crate::report::Report;
use crate::rule::{ReportKind, Rule};
use crate::span::Span;

/// An arrival and those that are in its stream within ξ and τ.
pub(crate) struct Setting<'a> {
    pub(crate) store: &'a EventStore,
    pub(crate) rule: &'a Rule,
    pub(crate) arrival: &'a Arrival,
    /// The other objects, sorted.
    pub(crate) together: Vec<Slot>,
}

impl<'a> Setting<'a> {
    pub(crate) fn of(store: &'a EventStore, rule: &'a Rule, arrival: &'a Arrival) -> Self {
        let Arrival { event, number } = arrival;
        let near = Span::at(event.time, rule).near(event.time, rule.xi_ms);
        let passages = store.ring(event.stream).near(*number, near.from, near.to);
        let others = passages.iter().map(|passage| passage.object);
        let mut together: Vec<Slot> = others.filter(|object| *object != event.object).collect();
        together.sort_unstable();
        together.dedup();
        Self { store, rule, arrival, together }
    }

    /// The other objects whose sets are told at this arrival: not those that arrived in the same
    /// stream at the same instant before it.
    pub(crate) fn candidates(&self) -> Vec<Slot> {
        let Arrival { event, number } = self.arrival;
        let ring = self.store.ring(event.stream);
        let at_once = ring.near(*number, event.time, event.time);
        let is_elsewhere = |object: &Slot| {
            *object < event.object && at_once.iter().any(|passage| passage.object == *object)
        };
        self.together.iter().copied().filter(|object| !is_elsewhere(object)).collect()
    }

    /// Whether a sorted set with the arriving object is frequent; tells it if it becomes so.
    pub(crate) fn refine(&self, objects: &[Slot], out: &mut Vec<Report>) -> bool {
        let Self { store, rule, arrival, together } = self;
        let (event, theta) = (&arrival.event, rule.theta as usize);
        let now = Span::at(event.time, rule);
        let here = exact::occurrences(store, rule, objects, now);
        if here.len() < theta {
            return false;
        }
        let before = exact::occurrences(store, rule, objects, Span::before(event.time, rule));
        let was_here = before.iter().any(|occurrence| occurrence.stream == event.stream);
        if before.len() >= theta || was_here || !rule.takes(objects.len()) {
            return true;
        }
        let least = match rule.report {
            ReportKind::All => None,
            ReportKind::Closed => Some(here.len()),
            ReportKind::Maximal => Some(theta),
        };
        let is_covered = least.is_some_and(|least| {
            let mut grown = together.iter().filter_map(|object| with(objects, *object));
            grown.any(|grown| exact::support(store, rule, &grown, now) >= least)
        });
        if !is_covered {
            let (time, objects) = (event.time, objects.to_vec());
            out.push(Report { time, objects, occurrences: here });
        }
        true
    }
}

/// Groups of arrivals of one time.
pub(crate) fn by_time(arrivals: &[Arrival]) -> impl Iterator<Item = &[Arrival]> {
    arrivals.chunk_by(|a, b| a.event.time == b.event.time)
}
