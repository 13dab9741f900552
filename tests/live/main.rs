//! A running application: its sources, its figures, and questions to it.

#![allow(clippy::disallowed_methods, reason = "whether the clock goes on is a matter of the clock")]

mod ask;
mod sources;
