//! Patterns over streams of events: which objects keep turning up together.
//!
//! | what | module |
//! |---|---|
//! | the question: ξ, τ, θ, sizes, which sets are told | [`rule`] |
//! | the answer: a set, when it became frequent, where it was seen | [`report`] |
//! | what an algorithm is | [`miner`] |
//! | the default algorithm, by bit masks | [`bitmask`] |
//! | CooMine, on a Seg-tree | [`coomine`] |
//! | DIMine, Apriori on an inverted index | [`dimine`] |
//! | MatrixMine, pair by pair | [`matrixmine`] |
//! | mining as an operator of a stream | [`operator`] |
//! | mining by name, in lanes and shards | [`topology`] |

pub mod bitmask;
pub mod coomine;
pub mod dimine;
pub mod matrixmine;
pub mod miner;
pub mod operator;
pub mod report;
pub mod rule;
pub mod topology;

mod exact;
mod lists;
mod maximal;
mod refine;
mod share;
mod span;
mod window;

pub use bitmask::Bitmask;
pub use coomine::CooMine;
pub use dimine::DiMine;
pub use matrixmine::MatrixMine;
pub use miner::{Arrival, Miner};
pub use operator::{CooccurrenceOperator, Counts, EventBatch};
pub use report::{Occurrence, Report};
pub use rule::{ReportKind, Rule, RuleError};
pub use topology::{CooccurrenceTopology, NamedReport, PassageBatch};
