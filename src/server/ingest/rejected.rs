//! Rows that were rejected: how many for which reason, and the first few in words.

use std::fmt;

use dunlin_index::PositionError;
use dunlin_stream::ParseTimeError;

/// Rows that are told in words.
const TOLD: usize = 5;

/// Why a row is no good.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reason {
    /// It does not read.
    Form(String),
    NoName,
    LongName,
    Position(PositionError),
    Time(ParseTimeError),
    /// Its time is too far ahead of the server's clock.
    Future {
        skew_ms: i64,
    },
    /// Its time is so far back that the object would be forgotten at once.
    Past {
        ttl_ms: i64,
    },
}

impl Reason {
    /// Its label in the figures.
    fn label(&self) -> &'static str {
        match self {
            Self::Form(_) => "form",
            Self::NoName | Self::LongName => "name",
            Self::Position(_) => "position",
            Self::Time(_) => "time",
            Self::Future { .. } => "future",
            Self::Past { .. } => "past",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(what) => f.write_str(what),
            Self::NoName => f.write_str("a name is missing or empty"),
            Self::LongName => f.write_str("a name is too long"),
            Self::Position(error) => error.fmt(f),
            Self::Time(error) => error.fmt(f),
            Self::Future { skew_ms } => {
                let seconds = *skew_ms as f64 / 1_000.0;
                write!(f, "the time is more than {seconds} s ahead of the server's clock")
            }
            Self::Past { ttl_ms } => {
                let seconds = *ttl_ms as f64 / 1_000.0;
                write!(f, "the time is more than {seconds} s ago: so silent, objects leave")
            }
        }
    }
}

/// The rejected rows of a request.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    pub(crate) count: u64,
    /// The first: number of the row, and the reason.
    pub(crate) first: Vec<(u64, String)>,
    labels: Vec<(&'static str, u64)>,
}

impl Rejected {
    pub(super) fn add(&mut self, row: u64, reason: &Reason) {
        self.count += 1;
        let label = reason.label();
        match self.labels.iter_mut().find(|it| it.0 == label) {
            Some((_, count)) => *count += 1,
            None => self.labels.push((label, 1)),
        }
        if self.first.len() < TOLD {
            self.first.push((row, reason.to_string()));
        }
    }

    /// Adds the counts to the server's figures.
    pub(super) fn publish(&self) {
        for &(reason, count) in &self.labels {
            metrics::counter!("dunlin_rejected_rows_total", "reason" => reason).increment(count);
        }
    }
}
