//! The push against a real OTLP gRPC server on loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, which clippy does not see")]

mod bench;
#[path = "../support/collector.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod collector;
mod delivery;
mod faults;
mod parts;
mod retries;
mod secure;
mod shutdown;
