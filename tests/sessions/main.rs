//! Sessions, sentence by sentence: their ids, their ends, what repeats, what times out, and what all of it counts.

#![allow(clippy::unwrap_used)]

mod account;
mod ends;
mod ids;
#[path = "../support/mod.rs"]
mod support;
mod timeouts;
