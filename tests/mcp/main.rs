//! The bridge's own MCP server as its clients see it: raw JSON-RPC over HTTP and over the stdio of a child process, in
//! both revisions of the protocol.

#![allow(clippy::unwrap_used)]

#[path = "../serve/bench.rs"]
#[allow(dead_code)]
mod bench;
mod client;
mod disabled;
mod http;
#[path = "../cli/process.rs"]
#[allow(dead_code)]
mod process;
mod query;
mod record;
mod source;
mod stdio;
#[path = "../support/mod.rs"]
mod support;
mod tools;
mod traces;
