//! The real peers of the peer tests, and the bridge's own binary, as processes on free loopback ports.
//!
//! What is started is stopped by its own process id when its guard goes, also when a test fails; then the last lines
//! that each process logged are printed. Nothing waits for a fixed time: [`until`] asks again until a deadline.

// Each test file uses a part of this.
#![allow(dead_code)]

#[allow(clippy::duplicate_mod, reason = "some tests use it by other ways too")]
#[path = "../books.rs"]
pub mod books;
pub mod bridge;
pub mod collector;
pub mod everything;
pub mod fleet;
pub mod http;
pub mod jaeger;
pub mod process;
pub mod prometheus;
pub mod promql;
pub mod raw;
pub mod reader;
pub mod relay;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Labels or attributes, by name.
pub type Labels = BTreeMap<String, String>;

/// How long a peer may take for anything: generous, because the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Labels from pairs.
pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Asks until there is an answer.
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    until_within(DEADLINE, what, ask)
}

/// Asks until there is an answer to what may take as long as that.
pub fn until_within<T>(time: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {time:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks both until they give the same; in the end they must.
pub fn until_equal<T: Ord + std::fmt::Debug>(
    mut one: impl FnMut() -> BTreeSet<T>,
    mut other: impl FnMut() -> BTreeSet<T>,
) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (one, other) = (one(), other());
        if one == other {
            return;
        }
        let apart: Vec<_> = [one.difference(&other), other.difference(&one)].into_iter().map(Vec::from_iter).collect();
        assert!(Instant::now() < deadline, "only the one: {:#?}\nonly the other: {:#?}", apart[0], apart[1]);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program that `tests/peers/install` installs.
pub fn installed(program: &str) -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers")).join(program);
    assert!(path.exists(), "there is no {}: run tests/peers/install", path.display());
    path
}

/// A free port of the loopback interface, for a peer that must come back on the same one.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
