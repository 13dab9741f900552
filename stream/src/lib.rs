//! The streaming core: time, epochs, operators and the runner that drives them.
//!
//! This crate knows no space and no query. A stream is cut into [`Epoch`]s by event time; an
//! [`Operator`] receives each epoch's records and says what follows from them; the [`runner`]
//! feeds one into the other. Everything here is a plain state machine: time is an argument, so
//! replaying the same records gives the same outputs for ever.

pub mod checkpoint;
pub mod cutter;
pub mod engine;
pub mod epoch;
pub mod event_time;
mod keeper;
pub mod key;
pub mod keyed;
pub mod lane;
pub mod log;
pub mod operator;
pub mod outputs;
pub mod overload;
pub mod process;
pub mod router;
pub mod runner;
pub mod source;
pub mod strings;
pub mod time;
pub mod wire;

pub use compact_str::CompactString;
pub use engine::{Engine, EpochResult, OutputOf, Topology};
pub use epoch::{Epoch, EpochClock};
pub use keeper::Kept;
pub use key::{Key, KeyRange, ShardTable};
pub use keyed::KeyedState;
pub use operator::{Letter, Mail, Operator, ShardLoad};
pub use process::{Guarantee, Process, Setup};
pub use router::{RecordCounts, Router, Routes};
pub use source::Source;
pub use strings::{AsStrings, ByHash, Strings};
pub use time::{ParseTimeError, Timestamp};
