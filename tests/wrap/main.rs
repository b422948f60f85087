//! `wrap` as a client sees it: real processes on real pipes, beside the same server without a wrapper.
//!
//! The servers are scripts for the shell. What is seen and reported of a session is not proved here.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod bridge;
mod ends;
mod inject;
mod serve;
mod stream;
mod support;
