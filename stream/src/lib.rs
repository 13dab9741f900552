//! The streaming core: time, epochs, operators and the runner that drives them.
//!
//! This crate knows no space and no query. A stream is cut into [`Epoch`]s by event time; an
//! [`Operator`] receives each epoch's records and says what follows from them; the [`runner`]
//! feeds one into the other. Everything here is a plain state machine: time is an argument, so
//! replaying the same records gives the same outputs for ever.

pub mod epoch;
pub mod log;
pub mod operator;
pub mod runner;
pub mod time;

pub use epoch::{Epoch, EpochClock};
pub use operator::Operator;
pub use time::{ParseTimeError, Timestamp};
