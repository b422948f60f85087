//! The files of `otel-config/`, each read and run by the program that it is for.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/peers/mod.rs"]
mod peers;

mod collectors;
mod prometheus;
mod rules;

use std::path::PathBuf;

/// A file of `otel-config/`.
fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/otel-config")).join(name)
}
