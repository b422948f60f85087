//! The bridge's own MCP server as its clients see it: raw JSON-RPC over HTTP and over the stdio of a child process, in
//! both revisions of the protocol.

#![allow(clippy::unwrap_used)]

#[path = "../support/authority.rs"]
mod authority;
#[path = "../serve/bench.rs"]
#[allow(dead_code)]
mod bench;
mod certificates;
mod client;
mod disabled;
mod http;
#[path = "../cli/process.rs"]
#[allow(dead_code)]
mod process;
mod query;
mod record;
#[path = "../support/secured.rs"]
#[allow(dead_code)]
mod secured;
mod source;
mod stdio;
#[path = "../support/mod.rs"]
mod support;
mod tools;
mod traces;
