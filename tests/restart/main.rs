//! What outlives a restart, and what happens when nothing can be kept.

#![allow(clippy::unwrap_used)]

mod ephemeral;
mod faults;
mod forget;
mod killed;
mod memory;
#[allow(dead_code, reason = "other tests use the rest of this")]
#[path = "../cli/process.rs"]
mod process;
mod rejected;
mod series;
#[path = "../support/mod.rs"]
mod support;
mod torn;
#[path = "../support/workload.rs"]
mod workload;
