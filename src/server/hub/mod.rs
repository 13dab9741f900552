//! The hub: what all queries tell, and who follows them.
//!
//! ```text
//! epochs ─ told ─> topics: ring of what was told ─ deltas ─> subscribers, each with a bounded buffer
//!                          └─ oldest go first when all rings together are too large
//! ```
//!
//! A plain state machine: it is fed with outputs in order, whether they come from the engine or, when
//! a server starts, from the end of the output lane. A subscriber resumes after a place that its
//! query's ring reaches back to; else it gets the whole answer. One that does not read misses deltas
//! and gets the whole answer when it reads again, or is cut. Invariants: a ring holds the newest of its
//! topic always; `order` has one entry for everything else in the rings of answers, oldest first.

mod told;
mod topic;

use std::collections::VecDeque;
use std::sync::Arc;

use dunlin_cep::topology::NamedReport;
use dunlin_stream::Timestamp;
use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};
use tokio::sync::mpsc::Receiver;

pub(crate) use told::{Content, EventKind, NoTag, SharedEvent, Tag, Told};
pub(crate) use topic::TopicKind;
use topic::{Taken, Topic};

/// How much a hub may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HubLimits {
    /// Bytes of what was told before the newest, over all queries.
    pub(crate) ring_bytes_max: usize,
    /// Subscribers of one query.
    pub(crate) subscribers_per_query_max: usize,
    /// Subscribers of all queries.
    pub(crate) subscribers_max: usize,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self { ring_bytes_max: 64 << 20, subscribers_per_query_max: 1_000, subscribers_max: 20_000 }
    }
}

/// Why there is no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SubscribeError {
    /// Nothing of that name.
    #[error("there is no such query")]
    Unknown,
    /// The query has too many.
    #[error("the query has {0} subscribers already")]
    PerQuery(usize),
    /// The server has too many.
    #[error("the server has {0} subscribers already")]
    All(usize),
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    topics: IndexMap<Arc<str>, Topic, RandomState>,
    limits: HubLimits,
    /// Whose oldest goes next, and how much there is to go.
    order: VecDeque<Arc<str>>,
    ring_bytes: usize,
    /// Entries of `order` whose topic is gone, by topic.
    gone: IndexMap<Arc<str>, usize>,
    behind: IndexSet<Arc<str>>,
    next_subscriber: u64,
    subscribers: usize,
    deltas: u64,
}

impl Hub {
    pub(crate) fn new(limits: HubLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Makes room for what a query will tell after a place.
    pub(crate) fn open(&mut self, query: &str, kind: TopicKind, after: Tag) {
        self.topics.entry(query.into()).or_insert_with(|| Topic::new(kind, after));
    }

    /// Takes the next thing that a query tells; one that the hub does not know yet is new.
    pub(crate) fn tell(&mut self, query: &Arc<str>, told: Told) {
        let mut place = self.topics.get_index_of(query);
        if place.is_some_and(|place| self.topics[place].is_older_than(&told)) {
            self.close(query);
            place = None;
        }
        let topic = match place {
            Some(place) => &mut self.topics[place],
            None => {
                let new = || Topic::new(told.kind(), Tag::START);
                self.topics.entry(query.clone()).or_insert_with(new)
            }
        };
        if topic.has(&told) {
            return;
        }
        self.deltas += 1;
        if let Taken::Replaced { bytes } = topic.take(query, told) {
            self.ring_bytes += bytes;
            self.order.push_back(query.clone());
        }
        if topic.is_anybody_behind() {
            self.behind.insert(query.clone());
        }
        while self.ring_bytes > self.limits.ring_bytes_max && self.let_go() {}
    }

    /// Lets the oldest go; whether there was any.
    fn let_go(&mut self) -> bool {
        let Some(query) = self.order.pop_front() else { return false };
        if let Some(left) = self.gone.get_mut(&query) {
            *left -= 1;
            if *left == 0 {
                self.gone.swap_remove(&query);
            }
        } else if let Some(topic) = self.topics.get_mut(&query) {
            self.ring_bytes -= topic.let_go();
        }
        true
    }

    /// Ends an epoch: those who were behind are looked after.
    pub(crate) fn end_epoch(&mut self, now: Timestamp) {
        let topics = &mut self.topics;
        self.behind
            .retain(|query| topics.get_mut(query).is_some_and(|topic| topic.catch_up(query, now)));
    }

    /// Forgets a query; its subscribers' streams end.
    pub(crate) fn close(&mut self, query: &str) {
        let Some(topic) = self.topics.swap_remove(query) else { return };
        self.ring_bytes -= match topic.kind() {
            TopicKind::Answers => topic.spare_bytes(),
            TopicKind::Reports => 0,
        };
        if topic.spare_count() > 0 {
            *self.gone.entry(query.into()).or_default() += topic.spare_count();
        }
        self.behind.swap_remove(query);
        self.forget_gone();
    }

    /// Shortens the order when most of it is of topics that are gone.
    fn forget_gone(&mut self) {
        let gone: usize = self.gone.values().sum();
        if gone <= self.order.len() / 2 {
            return;
        }
        let mut gone = std::mem::take(&mut self.gone);
        self.order.retain(|query| match gone.get_mut(query) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        });
    }

    /// Keeps only some queries.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let gone: Vec<Arc<str>> = self.topics.keys().filter(|it| !keep(it)).cloned().collect();
        gone.iter().for_each(|query| self.close(query));
    }

    /// Follows a query after a place, or from its whole answer on. `fresh` is its answer as the
    /// engine has it, for a query that told nothing since the hub began.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub(crate) fn subscribe(
        &mut self,
        query: &str,
        resume: Option<Tag>,
        fresh: Option<Told>,
        now: Timestamp,
    ) -> Result<(u64, Receiver<SharedEvent>), SubscribeError> {
        let all = self.subscribers;
        let topic = self.topics.get_mut(query).ok_or(SubscribeError::Unknown)?;
        let of_query = topic.subscriber_count();
        if of_query >= self.limits.subscribers_per_query_max {
            return Err(SubscribeError::PerQuery(of_query));
        }
        if all >= self.limits.subscribers_max {
            return Err(SubscribeError::All(all));
        }
        if let Some(fresh) = fresh {
            topic.fill(fresh);
        }
        let id = self.next_subscriber;
        self.next_subscriber += 1;
        self.subscribers += 1;
        Ok((id, topic.subscribe((query, id), resume, now)))
    }

    /// Takes a subscriber away; whoever holds a subscription, cut or not, does so once.
    pub(crate) fn unsubscribe(&mut self, query: &str, id: u64) {
        self.subscribers -= 1;
        if let Some(topic) = self.topics.get_mut(query) {
            topic.unsubscribe(id);
        }
    }

    /// The last reports of a co-occurrence query, the newest last.
    pub(crate) fn reports(&self, query: &str) -> impl DoubleEndedIterator<Item = &NamedReport> {
        self.topics.get(query).into_iter().flat_map(Topic::reports)
    }

    /// How many subscribers there are.
    pub(crate) fn subscriber_count(&self) -> usize {
        self.subscribers
    }

    /// How much was told since the hub began.
    pub(crate) fn told_count(&self) -> u64 {
        self.deltas
    }

    /// Ends all streams.
    pub(crate) fn close_all(&mut self) {
        self.retain(|_| false);
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
