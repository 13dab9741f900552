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
pub mod key;
pub mod lane;
pub mod log;
pub mod operator;
pub mod router;
pub mod runner;
pub mod time;
pub mod wire;

pub use engine::{Engine, EpochResult, OutputOf, Topology};
pub use epoch::{Epoch, EpochClock};
pub use key::{Key, KeyRange, ShardTable};
pub use operator::{Letter, Mail, Operator};
pub use router::{RecordCounts, Router, Routes};
pub use time::{ParseTimeError, Timestamp};
