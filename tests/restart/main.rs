//! What outlives a restart, and what happens when nothing can be kept.

#![allow(clippy::unwrap_used)]

mod faults;
mod memory;
#[path = "../support/mod.rs"]
mod support;
