//! The server over real sockets, in this process and as one of its own.

#![allow(clippy::disallowed_methods, reason = "tests of a live server wait by the clock")]

mod abuse;
mod access;
mod follow;
mod grpc;
mod http;
mod overload;
mod process;
mod serving;
