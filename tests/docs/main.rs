//! The pages say what is so: every command in them is run or is excused by name, every block of JSON and YAML is read,
//! every block of Rust is compiled, every link leads somewhere, and every flag that they name is there.
//!
//! What needs peers is run in tests/peer_docs. Whether the prose is true no test tells.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/authority.rs"]
mod authority;
mod blocks;
mod commands;
mod links;
#[path = "../support/pages/mod.rs"]
mod pages;
mod paths;
#[path = "../support/peers/mod.rs"]
mod peers;
mod rust;
mod troubles;
