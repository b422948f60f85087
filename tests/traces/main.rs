//! The spans of events as a collector receives them, and the exemplars that lead to them.

#![allow(clippy::unwrap_used)]

mod exemplars;
mod llm;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
