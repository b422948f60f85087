//! Disks that fill up, fail or are taken away, databases that are damaged, starts that are killed, and ends under load:
//! of a running bridge, as a client sees it.
//!
//! Linux has what it takes to make a disk fail without being root: namespaces, limits and `/proc`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod client;
mod damaged;
mod files;
mod full;
mod full_outbox;
mod killed_starts;
#[path = "../support/load/mod.rs"]
mod load;
#[path = "../cli/process.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line")]
mod process;
mod read_only;
mod recovery;
mod small;
mod stop;
#[path = "../support/mod.rs"]
mod support;
