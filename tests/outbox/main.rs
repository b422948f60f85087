//! What waits for the collector, in a real process that is killed and started again: nothing is lost, nothing is sent
//! twice, and the book on `/metrics` balances in every scrape.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod budget;
#[path = "../support/collector.rs"]
#[allow(dead_code, reason = "each test uses what it needs of this")]
mod collector;
mod day;
mod deltas;
mod kills;
mod outages;
#[path = "../support/peers/mod.rs"]
mod peers;
mod yard;
