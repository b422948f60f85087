//! A load of events of every type, what they must come to by an arithmetic of its own, and a bridge to kill under it.
//!
//! A [`workload::Workload`] makes events and keeps their account in a [`ledger::Ledger`]; the [`client`]s send them until
//! each is acknowledged; a [`watch::Watch`] looks at the numbers meanwhile; a [`bridge::Bridge`] is a process that can be killed and started again in its old place.

#![allow(dead_code, reason = "each test uses what it needs of this")]

#[allow(clippy::duplicate_mod, reason = "some tests use it by other ways too")]
#[path = "../books.rs"]
pub mod books;
pub mod bridge;
pub mod client;
pub mod dice;
pub mod ledger;
pub mod proto;
pub mod watch;
pub mod workload;
