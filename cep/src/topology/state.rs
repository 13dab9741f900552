//! The state of a shard in columns, as a checkpoint holds it.
//!
//! Names stand by slot, so a restored shard uses the very slots of the one that was saved. Events
//! that count stand stream by stream, in the order of their rings, and as the gap to the time of
//! the row before: about five bytes each.

use dunlin_index::{Event, Slot};
use dunlin_stream::wire::DecodeError;
use dunlin_stream::{Strings, Timestamp};
use serde::{Deserialize, Serialize};

use super::names::Names;
use crate::operator::Counts;

/// All that a shard knows.
#[derive(Serialize, Deserialize)]
pub(super) struct ShardState {
    pub(super) watermark: Option<Timestamp>,
    pub(super) swept: Option<Timestamp>,
    pub(super) counts: Counts,
    pub(super) streams: Strings,
    pub(super) objects: Strings,
    /// Those that count, stream by stream.
    pub(super) stored: EventColumns,
    /// Those that wait, in the order in which they came.
    pub(super) pending: EventColumns,
}

/// Events in columns.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EventColumns {
    /// How much later each is than the one before it, in milliseconds; the first than 1970.
    gaps: Vec<i64>,
    streams: Vec<u32>,
    objects: Vec<u32>,
}

impl FromIterator<Event> for EventColumns {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        let (mut columns, mut last) = (Self::default(), 0);
        for Event { time, stream, object } in events {
            columns.gaps.push(time.as_millis() - last);
            columns.streams.push(stream.0);
            columns.objects.push(object.0);
            last = time.as_millis();
        }
        columns
    }
}

impl EventColumns {
    /// The events, which must have names and times that can be.
    pub(super) fn events(&self, names: [&Names; 2]) -> Result<Vec<Event>, DecodeError> {
        let Self { gaps, streams, objects } = self;
        if gaps.len() != streams.len() || gaps.len() != objects.len() {
            return Err(wrong("columns of events are not of one length"));
        }
        let mut last = 0_i64;
        let mut event = |((&gap, &stream), &object)| {
            last = last.checked_add(gap)?;
            let time = Timestamp::from_millis(last).ok()?;
            let [stream, object] = [Slot(stream), Slot(object)];
            let are_named = names[0].has(stream) && names[1].has(object);
            are_named.then_some(Event { time, stream, object })
        };
        let events: Option<Vec<Event>> =
            gaps.iter().zip(streams).zip(objects).map(&mut event).collect();
        events.ok_or_else(|| wrong("an event without a name or out of all times"))
    }
}

impl ShardState {
    /// The events that count and those that wait, which must be on their sides of the watermark.
    pub(super) fn events(&self, names: [&Names; 2]) -> Result<[Vec<Event>; 2], DecodeError> {
        let (stored, pending) = (self.stored.events(names)?, self.pending.events(names)?);
        let is_before = |event: &Event| Some(event.time) < self.watermark;
        let can_be = |at: Timestamp| (Timestamp::MIN..=Timestamp::END).contains(&at);
        if self.watermark.into_iter().chain(self.swept).all(can_be)
            && stored.iter().all(is_before)
            && !pending.iter().any(is_before)
        {
            Ok([stored, pending])
        } else {
            Err(wrong("events on the wrong side of the watermark"))
        }
    }
}

fn wrong(what: &str) -> DecodeError {
    DecodeError::Value(what.to_owned())
}
