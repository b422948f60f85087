//! The program itself, as a person at a terminal or a service manager meets it: what it prints and how it exits.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod faults;
mod health;
mod process;
mod send;
mod show;
mod stop;
