//! `mcp-otel-bridge wrap` between real MCP clients and real MCP servers: nothing changes for either, and the numbers,
//! spans and labels are those of what they said.
//!
//! The clients are the official ones in Python and for Node.js, each a small program in `tests/peers/` that takes a
//! plan of sessions and writes down what came ([`stage`]). The servers, and what is asked of them, are in [`servers`].

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/peers/mod.rs"]
mod peers;

mod ends;
mod faults;
mod ledger;
mod raw;
mod restart;
mod revisions;
mod secret;
mod servers;
mod stage;
mod traces;
mod transparent;
