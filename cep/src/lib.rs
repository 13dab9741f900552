//! Patterns over streams of events: which objects keep turning up together.
//!
//! | what | module |
//! |---|---|
//! | the question: ξ, τ, θ, sizes, which sets are told | [`rule`] |
//! | the answer: a set, when it became frequent, where it was seen | [`report`] |
//! | what an algorithm is | [`miner`] |
//! | the default algorithm, by bit masks | [`bitmask`] |
//! | mining as an operator of a stream | [`operator`] |

pub mod bitmask;
pub mod miner;
pub mod operator;
pub mod report;
pub mod rule;

mod exact;
mod maximal;
mod span;

pub use bitmask::Bitmask;
pub use miner::{Arrival, Miner};
pub use operator::{CooccurrenceOperator, Counts, EventBatch};
pub use report::{Occurrence, Report};
pub use rule::{ReportKind, Rule, RuleError};
