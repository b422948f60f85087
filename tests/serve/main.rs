//! The bridge as clients see it: a real server on a loopback port, spoken to over sockets.

#![allow(clippy::unwrap_used)]

#[path = "../support/authority.rs"]
mod authority;
mod bad_input;
mod bench;
mod certificates;
mod events;
mod grpc;
mod limits;
mod rights;
mod scrape;
mod secure;
mod status;
mod stop;
