//! The live feed as its clients see it: a real server, and WebSockets on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admission;
mod bench;
mod feed;
mod peers;
