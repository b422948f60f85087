//! The bridge as clients see it: a real server on a loopback port, spoken to over sockets.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod bench;
mod events;
mod grpc;
mod limits;
mod scrape;
mod secure;
mod status;
mod stop;
