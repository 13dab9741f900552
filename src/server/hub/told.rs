//! What queries tell, and where in their stories it stands.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dunlin_cep::topology::NamedReport;
use dunlin_query::topology::QueryAnswer;
use dunlin_stream::Timestamp;

use super::TopicKind;
use crate::server::json;

/// A place among all that is told: the epoch, and the place among its outputs. It prints and reads
/// as `EPOCH.INDEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tag {
    pub(crate) epoch: i64,
    pub(crate) index: u32,
}

impl Tag {
    /// Before everything.
    pub(crate) const START: Self = Self { epoch: i64::MIN, index: 0 };

    /// Behind everything of an epoch.
    pub(crate) fn behind(epoch: i64) -> Self {
        Self { epoch, index: u32::MAX }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.index)
    }
}

/// A text is no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write EPOCH.INDEX, as the id of the last event says it")]
pub(crate) struct NoTag;

impl FromStr for Tag {
    type Err = NoTag;

    fn from_str(text: &str) -> Result<Self, NoTag> {
        let (epoch, index) = text.trim().split_once('.').ok_or(NoTag)?;
        Ok(Self {
            epoch: epoch.parse().map_err(|_| NoTag)?,
            index: index.parse().map_err(|_| NoTag)?,
        })
    }
}

/// What a query told at a time.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) tag: Tag,
    pub(crate) time: Timestamp,
    pub(crate) content: Content,
}

/// An answer, or one more report.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Answer(QueryAnswer),
    Report(NamedReport),
}

impl Told {
    /// What kind of query tells it.
    pub(super) fn kind(&self) -> TopicKind {
        match self.content {
            Content::Answer(_) => TopicKind::Answers,
            Content::Report(_) => TopicKind::Reports,
        }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        match &self.content {
            Content::Answer(answer) => size_of::<Self>() + answer.bytes(),
            Content::Report(_) => size_of::<Self>(),
        }
    }

    /// The event that leads here from what was told before.
    pub(super) fn delta(&self, query: &str, before: Option<&Self>) -> Event {
        let Self { tag, time, content } = self;
        let text = match (content, before.map(|before| &before.content)) {
            (Content::Answer(next), Some(Content::Answer(previous))) => {
                json::delta(*time, previous, next)
            }
            (Content::Answer(first), _) => {
                let text = json::answer(*time, first);
                return Event { kind: EventKind::Answer, tag: *tag, text };
            }
            (Content::Report(report), _) => json::report_delta(query, *time, report),
        };
        Event { kind: EventKind::Delta, tag: *tag, text }
    }
}

/// What a subscriber gets; many share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) tag: Tag,
    /// Its JSON.
    pub(crate) text: String,
}

/// Which kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// The whole answer: forget what came before.
    Answer,
    /// What changed.
    Delta,
}

impl EventKind {
    /// Its name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Delta => "delta",
        }
    }
}

/// An event that is shared.
pub(crate) type SharedEvent = Arc<Event>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_back_and_are_ordered() {
        let tag = Tag { epoch: -3, index: 7 };
        assert_eq!(tag.to_string().parse(), Ok(tag));
        assert!(
            Tag::START < tag
                && tag < Tag::behind(-3)
                && Tag::behind(-3) < Tag { epoch: -2, index: 0 }
        );
        for text in ["", "3", "3.", ".3", "a.b", "1.2.3", "99999999999999999999.0", "1.-1"] {
            assert_eq!(text.parse::<Tag>(), Err(NoTag), "{text}");
        }
    }
}
