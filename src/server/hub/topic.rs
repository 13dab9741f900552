//! One query of the hub: what it told lately, and who follows it.
//!
//! ```text
//! ring         told · told · told · newest            who has seen one of these can go on after it
//! subscribers  buffer of 64 | behind: nothing until half the buffer is free, then the whole answer
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use dunlin_cep::topology::NamedReport;
use dunlin_query::topology::QueryAnswer;
use dunlin_stream::Timestamp;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::told::{Content, Event, EventKind, SharedEvent, Tag, Told};
use crate::server::json;

/// Events that wait for a subscriber.
pub(crate) const BUFFER: usize = 64;
/// Events that a subscriber who resumes is sent at most; more are worth a whole answer.
pub(crate) const REPLAY_MAX: usize = 1_024;
/// Reports that are kept, and that make the answer of a co-occurrence query.
pub(crate) const REPORTS_KEPT: usize = 1_000;
/// A subscriber who reads nothing for so long after falling behind is cut.
pub(crate) const BEHIND_MS_MAX: i64 = 30_000;

/// What kind of things a query tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicKind {
    /// Lists of objects, each instead of the last.
    Answers,
    /// Reports, one after the other.
    Reports,
}

#[derive(Debug)]
pub(super) struct Topic {
    kind: TopicKind,
    /// The number of the standing query that tells.
    number: Option<u32>,
    ring: VecDeque<Told>,
    /// The ring has everything that was told behind it.
    complete_after: Tag,
    subscribers: Vec<Subscriber>,
}

#[derive(Debug)]
struct Subscriber {
    id: u64,
    events: Sender<SharedEvent>,
    /// Since when it misses events.
    behind: Option<Timestamp>,
}

/// What became of an output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is the newest; the one before may be let go when memory is short.
    Replaced { bytes: usize },
    /// Nothing may be let go for it.
    Kept,
}

impl Topic {
    pub(super) fn new(kind: TopicKind, complete_after: Tag) -> Self {
        Self { kind, number: None, ring: VecDeque::new(), complete_after, subscribers: Vec::new() }
    }

    pub(super) fn kind(&self) -> TopicKind {
        self.kind
    }

    pub(super) fn subscriber_count(&self) -> usize {
        self.subscribers.len()
    }

    /// Bytes of all but the newest.
    pub(super) fn spare_bytes(&self) -> usize {
        let spare = self.ring.len().saturating_sub(1);
        self.ring.iter().take(spare).map(Told::bytes).sum()
    }

    /// How much was told before the newest.
    pub(super) fn spare_count(&self) -> usize {
        match self.kind {
            TopicKind::Answers => self.ring.len().saturating_sub(1),
            TopicKind::Reports => 0,
        }
    }

    /// Whether an answer is of a query that stood under the same id after this one.
    pub(super) fn is_older_than(&self, told: &Told) -> bool {
        match (&told.content, self.number) {
            (Content::Answer(answer), Some(number)) => answer.query > number,
            _ => false,
        }
    }

    /// Whether the topic has this, or something after it, already.
    pub(super) fn has(&self, told: &Told) -> bool {
        let is_stale = match (&told.content, self.number) {
            (Content::Answer(answer), Some(number)) => answer.query < number,
            _ => false,
        };
        is_stale || self.ring.back().is_some_and(|newest| newest.tag >= told.tag)
    }

    /// Takes what the query tells and passes it on.
    pub(super) fn take(&mut self, query: &str, told: Told) -> Taken {
        if let Content::Answer(answer) = &told.content {
            self.number = Some(answer.query);
        }
        let bytes = self.ring.back().map(Told::bytes);
        if !self.subscribers.is_empty() {
            let event = Arc::new(told.delta(query, self.ring.back()));
            self.publish(&event, told.time);
        }
        self.ring.push_back(told);
        match self.kind {
            TopicKind::Answers => bytes.map_or(Taken::Kept, |bytes| Taken::Replaced { bytes }),
            TopicKind::Reports => {
                if self.ring.len() > REPORTS_KEPT {
                    self.let_go();
                }
                Taken::Kept
            }
        }
    }

    /// Lets go what was told first; its bytes.
    pub(super) fn let_go(&mut self) -> usize {
        let Some(told) = self.ring.pop_front() else { return 0 };
        self.complete_after = told.tag;
        told.bytes()
    }

    /// Uses an answer that was read from the engine if nothing is known of the query.
    pub(super) fn fill(&mut self, fresh: Told) {
        if self.kind == TopicKind::Answers && self.ring.is_empty() {
            self.take("", fresh);
        }
    }

    fn publish(&mut self, event: &SharedEvent, time: Timestamp) {
        self.subscribers.retain_mut(|subscriber| {
            if subscriber.behind.is_some() {
                return true;
            }
            match subscriber.events.try_send(event.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    subscriber.behind = Some(time);
                    true
                }
                Err(TrySendError::Closed(_)) => false,
            }
        });
    }

    /// Gives those who were behind and have read the whole answer, and cuts those who do not read;
    /// whether anybody is still behind.
    pub(super) fn catch_up(&mut self, query: &str, now: Timestamp) -> bool {
        let ready = |it: &Subscriber| it.events.capacity() >= BUFFER / 2;
        let wanted = self.subscribers.iter().any(|it| it.behind.is_some() && ready(it));
        let whole = wanted.then(|| Arc::new(self.whole(query, now)));
        self.subscribers.retain_mut(|subscriber| {
            let Some(since) = subscriber.behind else { return true };
            if ready(subscriber) {
                subscriber.behind = None;
                return whole.iter().all(|whole| subscriber.events.try_send(whole.clone()).is_ok());
            }
            now.as_millis() - since.as_millis() <= BEHIND_MS_MAX
        });
        self.is_anybody_behind()
    }

    pub(super) fn is_anybody_behind(&self) -> bool {
        self.subscribers.iter().any(|subscriber| subscriber.behind.is_some())
    }

    /// The whole answer.
    pub(super) fn whole(&self, query: &str, now: Timestamp) -> Event {
        let (kind, newest) = (EventKind::Answer, self.ring.back());
        let tag = newest.map_or(self.complete_after, |newest| newest.tag);
        let text = match (self.kind, newest.map(|newest| (newest.time, &newest.content))) {
            (TopicKind::Answers, Some((time, Content::Answer(answer)))) => {
                json::answer(time, answer)
            }
            (TopicKind::Answers, _) => json::answer(now, &QueryAnswer::of(0, query, [])),
            (TopicKind::Reports, _) => json::reports(query, now, self.reports()),
        };
        Event { kind, tag, text }
    }

    /// The last reports, the newest last.
    pub(super) fn reports(&self) -> impl DoubleEndedIterator<Item = &NamedReport> {
        self.ring.iter().filter_map(|told| match &told.content {
            Content::Report(report) => Some(report),
            Content::Answer(_) => None,
        })
    }

    /// Adds a subscriber: it gets what was told after `resume`, as far as that is known and not too
    /// much, or else the whole answer; and then everything.
    pub(super) fn subscribe(
        &mut self,
        (query, id): (&str, u64),
        resume: Option<Tag>,
        now: Timestamp,
    ) -> Receiver<SharedEvent> {
        let missed = resume.and_then(|after| self.missed(query, after));
        let first = missed.unwrap_or_else(|| vec![Arc::new(self.whole(query, now))]);
        let (events, receiver) = channel(BUFFER + first.len());
        for event in first {
            events.try_send(event).expect("there is room for the first events");
        }
        self.subscribers.push(Subscriber { id, events, behind: None });
        receiver
    }

    /// The deltas after a place, if they are known and not too many.
    fn missed(&self, query: &str, after: Tag) -> Option<Vec<SharedEvent>> {
        let seen = self.ring.partition_point(|told| told.tag <= after);
        let is_known = match self.kind {
            TopicKind::Answers => seen > 0,
            TopicKind::Reports => self.complete_after <= after,
        };
        if !is_known || self.ring.len() - seen > REPLAY_MAX {
            return None;
        }
        let event = |place: usize| {
            let before = place.checked_sub(1).map(|before| &self.ring[before]);
            Arc::new(self.ring[place].delta(query, before))
        };
        Some((seen..self.ring.len()).map(event).collect())
    }

    pub(super) fn unsubscribe(&mut self, id: u64) {
        self.subscribers.retain(|subscriber| subscriber.id != id);
    }
}
