//! The program itself, as a person at a terminal or a service manager meets it: what it prints and how it exits.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/authority.rs"]
mod authority;
mod certificates;
mod faults;
mod health;
mod process;
#[path = "../support/secured.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod secured;
mod send;
mod show;
mod stop;
