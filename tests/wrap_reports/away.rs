//! A bridge that goes away and comes back, freezes, or refuses: the session goes on, and what waited is counted once.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::await_some;
use crate::process::{Serving, program};
use crate::session::{Session, accepted, await_accepted, command, free_address, samples};
use crate::support::events::until;

fn serving(address: &str, dir: &std::path::Path) -> Serving {
    Serving::spawn(program().args(["serve", "--listen", address, "--data-dir"]).arg(dir))
}

fn signal(bridge: &Serving, name: &str) {
    assert!(Command::new("kill").arg(name).arg(bridge.id().to_string()).status().unwrap().success());
}

#[test]
fn a_bridge_that_is_stopped_and_started_again_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    // Not even there when the session starts.
    let mut session = Session::start(&address);
    session.ping(10);
    let bridge = serving(&address, dir.path());
    session.ping(40);
    // The start, the handshake, and the pings.
    await_accepted(&bridge, 52);
    bridge.stop("-TERM");
    session.ping(300);
    let bridge = serving(&address, dir.path());
    session.ping(50);
    await_accepted(&bridge, 350);
    let errors = session.close();
    assert_eq!(errors, "");
    await_accepted(&bridge, 351);
    assert_eq!(samples(&bridge).total("bridge_wrap_dropped_total"), 0.0);
}

#[test]
fn a_frozen_bridge_holds_nobody_up_and_counts_each_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[]);
    let mut session = Session::start(&bridge.address());
    session.ping(10);
    await_accepted(&bridge, 12);
    signal(&bridge, "-STOP");
    // Each ping is answered, although nobody takes the reports.
    let begun = Instant::now();
    session.ping(500);
    let took = begun.elapsed();
    // Long enough for a request to be given up and sent again.
    std::thread::sleep(Duration::from_secs(6));
    signal(&bridge, "-CONT");
    session.ping(10);
    await_accepted(&bridge, 522);
    session.close();
    await_accepted(&bridge, 523);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(samples(&bridge).total("bridge_events_rejected_total"), 0.0);
}

#[test]
fn what_has_no_room_is_dropped_and_counted_once_the_bridge_is_back() {
    const PINGS: u64 = 12_000;
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let mut session = Session::start(&address);
    // Written in blocks, so that it takes no longer than it must.
    for block in 0..PINGS / 1000 {
        let lines: String = (0..1000)
            .map(|n| format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}}\n", 100 + block * 1000 + n))
            .collect();
        session.server.write(lines.as_bytes());
        for _ in 0..1000 {
            session.server.line();
        }
    }
    let bridge = serving(&address, dir.path());
    let dropped = || samples(&bridge).total("bridge_wrap_dropped_total{reason=\"spool_full\"}");
    until("the account of the dropped", || dropped() > 0.0);
    // The start, the handshake, and one heartbeat with the account.
    until("the rest", || accepted(&bridge) + dropped() as u64 >= PINGS + 3);
    session.close();
    await_some(|| (accepted(&bridge) + dropped() as u64 >= PINGS + 4).then_some(()));
    assert_eq!(accepted(&bridge) + dropped() as u64, PINGS + 4);
    assert!(dropped() >= (PINGS - 10_000) as f64, "{}", dropped());
}

#[test]
fn a_refused_token_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut serve = program();
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir.path());
    let bridge = Serving::spawn(serve.env("MCP_OTEL_BRIDGE_TOKEN", "the-right-one-which-is-long"));
    let mut wrong = command();
    wrong.env("MCP_OTEL_BRIDGE_TOKEN", "a-wrong-one");
    let mut session = Session::with(wrong, &bridge.address());
    for _ in 0..3 {
        session.ping(10);
        std::thread::sleep(Duration::from_millis(60));
    }
    let errors = session.close();
    assert_eq!(errors.matches("asks for its token").count(), 1, "{errors}");
    // The other line tells how much was not delivered.
    assert_eq!(errors.matches("were not delivered").count(), 1, "{errors}");
    assert_eq!(errors.lines().count(), 2, "{errors}");
    let mut right = command();
    right.env("MCP_OTEL_BRIDGE_TOKEN", "the-right-one-which-is-long");
    let mut session = Session::with(right, &bridge.address());
    session.ping(1);
    assert_eq!(session.close(), "");
}
