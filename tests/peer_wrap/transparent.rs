//! Each client with each server, once bare, once wrapped, and once wrapped with the bridge frozen in the middle.
//!
//! The client sees the same, byte for byte but for what the servers tell of their clocks; both pipes hold the same
//! before and behind the wrapper; the server ends the same way; and `/metrics` counts what the client's ledger has.

use std::thread;

use crate::ledger::{assert_counted, value};
use crate::peers::bridge::Bridge;
use crate::servers::{self, Server};
use crate::stage::{Client, Played, Session, play};

#[test]
fn everything() {
    with_both_clients(servers::everything, "auto");
}

#[test]
fn filesystem() {
    with_both_clients(servers::filesystem, "legacy");
}

#[test]
fn git() {
    with_both_clients(servers::git, "auto");
}

#[test]
fn time() {
    with_both_clients(servers::time, "auto");
}

/// `mode` is the Python client's.
fn with_both_clients(server: fn() -> Server, mode: &'static str) {
    // A scope ends after both, also where one fails: what they started is stopped.
    thread::scope(|scope| {
        scope.spawn(|| nothing_changes(Client::Python, &server(), mode));
        nothing_changes(Client::Node, &server(), "legacy");
    });
}

fn nothing_changes(client: Client, server: &Server, mode: &'static str) {
    let bridge = Bridge::options().start();
    let mut playing = play(
        client,
        server,
        &[
            Session::bare(mode),
            Session::wrapped(&bridge, "wrapped", mode),
            Session::wrapped(&bridge, "frozen", mode).waiting_at(&["middle"]),
        ],
    );
    let frozen = playing.at("frozen", "middle", || bridge.process.freeze());
    let played = playing.finish();
    drop(frozen);

    let [bare, wrapped, frozen] = &played[..] else { panic!("{played:?}") };
    for other in [wrapped, frozen] {
        assert_same(server, bare, other);
        other.assert_passed_through();
    }
    assert_counted(&bridge, wrapped);
    let component = ("component_name", "wrapped");
    assert_eq!(value(&bridge, "bridge_wrap_dropped_total", &[]), 0.0);
    assert_eq!(value(&bridge, "session_start_total", &[component]), 1.0);
    assert_eq!(value(&bridge, "session_end_total", &[component, ("status", "success")]), 1.0);
    assert_eq!(value(&bridge, "active_sessions", &[component]), 0.0);
}

/// The client saw the same, but for what the server tells of its clock.
fn assert_same(server: &Server, bare: &Played, other: &Played) {
    let (one, two) = (server.without_clock(&bare.transcript), server.without_clock(&other.transcript));
    for (one, two) in one.lines().zip(two.lines()) {
        assert!(one == two, "bare:\n{}\n{}:\n{}", shown(one), other.name, shown(two));
    }
    let (count, others) = (one.lines().count(), two.lines().count());
    let more = one.lines().skip(others).chain(two.lines().skip(count)).map(shown).collect::<Vec<_>>();
    assert!(more.is_empty(), "bare: {count} lines, {}: {others} lines; more:\n{}", other.name, more.join("\n"));
    assert_eq!(bare.stderr, of_the_server(&other.stderr), "what {} printed on stderr", other.name);
}

/// What is on stderr, without the line of a wrapper whose bridge took no more reports: it begins with its time, of 26
/// characters and a Z.
pub fn of_the_server(stderr: &str) -> &str {
    match stderr.rfind("Z  WARN ").filter(|at| stderr[*at..].contains("were not delivered")) {
        Some(at) => &stderr[..at - 26],
        None => stderr,
    }
}

/// As much of a line as a person can read.
fn shown(line: &str) -> String {
    line.chars().take(2000).collect()
}
