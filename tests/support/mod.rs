//! What several tests need: samples read from the metrics, events made from JSON, a collector to push to.

#![allow(dead_code, reason = "each test uses what it needs of this")]

pub mod books;
pub mod collector;
pub mod events;
pub mod files;
pub mod samples;
pub mod traced;
