//! The configuration through the library's door: what each source sets, which one wins, and every message.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod environment;
mod file;
mod otlp;
mod precedence;
mod printout;
mod security;
mod support;
mod views;
