//! What becomes of positions while the engine is behind: whoever sends them says so for its own.
//!
//! ```text
//! block      wait; nothing is lost                            what who says nothing gets
//! latest     keep the newest of each object, outside the log, until there is credit
//! shed:80    drop while 80 per cent of the credit or more are in use; shed is shed:50
//! ```
//!
//! A [`Source`] for each of them stands between the requests and the log. All requests of one policy
//! share it, so that what they keep is bounded once.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use dunlin_query::topology::PositionBatch;
use dunlin_stream::overload::Policy;

use crate::live::{AskError, Source, locked};
use crate::server::core::Core;

/// What becomes of positions while the engine is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overload {
    /// The sender waits.
    #[default]
    Block,
    /// The newest of each object waits.
    Latest,
    /// They are dropped while so much of the credit is in use.
    Shed {
        /// From 1 to 100.
        from_percent: u8,
    },
}

/// A text that names no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write block, latest, shed, or shed:PERCENT with a whole number from 1 to 100")]
pub struct OverloadError;

impl Overload {
    /// The header under which a request over HTTP says it.
    pub const HEADER: &str = "Dunlin-Overload";
    /// The same as metadata of a stream over gRPC.
    pub const METADATA: &str = "dunlin-overload";

    /// Share of the credit from which on rows are shed, if nothing else is said, in per cent.
    const SHED_FROM: u8 = 50;

    fn policy(self, objects_max: usize) -> Policy {
        match self {
            Self::Block => Policy::Block,
            Self::Latest => Policy::Latest { objects_max },
            Self::Shed { from_percent } => Policy::Shed { from_percent },
        }
    }
}

impl FromStr for Overload {
    type Err = OverloadError;

    fn from_str(text: &str) -> Result<Self, OverloadError> {
        match text.trim() {
            "block" => Ok(Self::Block),
            "latest" => Ok(Self::Latest),
            "shed" => Ok(Self::Shed { from_percent: Self::SHED_FROM }),
            other => {
                let percent = other.strip_prefix("shed:").and_then(|text| text.parse().ok());
                let percent = percent.filter(|percent| (1..=100).contains(percent));
                Ok(Self::Shed { from_percent: percent.ok_or(OverloadError)? })
            }
        }
    }
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block => f.write_str("block"),
            Self::Latest => f.write_str("latest"),
            Self::Shed { from_percent } => write!(f, "shed:{from_percent}"),
        }
    }
}

/// The sources of requests that do not wait, each made when it is first asked for.
pub(crate) struct Sources {
    objects_max: usize,
    made: Mutex<BTreeMap<Overload, Source<PositionBatch>>>,
}

impl Sources {
    /// None yet; of `objects_max` objects the newest position may wait.
    pub(crate) fn new(objects_max: usize) -> Self {
        Self { objects_max, made: Mutex::default() }
    }

    /// The source of a policy; none for who waits, and sends to the log itself.
    pub(crate) fn of(
        &self,
        core: &Core,
        overload: Overload,
    ) -> Result<Option<Source<PositionBatch>>, AskError> {
        if overload == Overload::Block {
            return Ok(None);
        }
        let mut made = locked(&self.made);
        if let Some(source) = made.get(&overload) {
            return Ok(Some(source.clone()));
        }
        let policy = overload.policy(self.objects_max);
        let source = core.source(&overload.to_string(), policy).ok_or(AskError::Ended)?;
        made.insert(overload, source.clone());
        Ok(Some(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_as_they_print() {
        for text in ["block", "latest", "shed:1", "shed:100"] {
            assert_eq!(text.parse::<Overload>().map(|it| it.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("shed".parse(), Ok(Overload::Shed { from_percent: 50 }));
        for text in ["", "Latest", "shed:", "shed:0", "shed:101", "shed:-1", "shed:5%", "drop"] {
            assert_eq!(text.parse::<Overload>(), Err(OverloadError), "{text}");
        }
    }
}
