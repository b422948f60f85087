//! `wrap` as the bridge sees it: real sessions of a scripted server, and what stands on /metrics and arrives at a
//! collector of them. That the streams are unchanged is proved elsewhere.
#![cfg(target_os = "linux")]
#![allow(missing_docs, reason = "a test crate documents nothing")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod account;
#[path = "../support/authority.rs"]
mod authority;
mod away;
mod certificates;
#[path = "../wrap/support.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod client;
mod ends;
#[path = "../cli/process.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod process;
#[path = "../support/secured.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod secured;
mod session;
#[path = "../support/mod.rs"]
mod support;
