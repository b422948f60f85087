//! The end of a session is reported, whatever waits before it, and says who brought it about.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::client::{Wrapped, wrap};
use crate::process::Serving;
use crate::session::samples;
use crate::support::events::until;

/// Less than the two seconds that clients wait for a server's end.
const IN_TIME: Duration = Duration::from_millis(1950);

fn start(bridge: &Serving, component: &str, server: &str) -> Wrapped {
    let mut command = wrap(&["--component", component], server);
    command.env("MCP_OTEL_BRIDGE_URL", format!("http://{}", bridge.address()));
    Wrapped::start(command)
}

/// Waits until so many sessions of the component have ended; each must have ended so.
fn await_ended(bridge: &Serving, component: &str, status: &str, count: u32) {
    let key = |status| format!("session_end_total{{component_name=\"{component}\",status=\"{status}\"}}");
    let ended = |status| samples(bridge).total(&key(status));
    until("the end", || ended("success") + ended("error") >= f64::from(count));
    assert_eq!(ended(status), f64::from(count), "{component}");
}

#[test]
fn a_backlog_that_nobody_can_read_in_time_does_not_cost_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[]);
    let mut wrapped = start(&bridge, "burst", "cat");
    let mut burst = String::new();
    let mut id = 0;
    while burst.len() < 6_000_000 {
        writeln!(burst, "{{\"id\":{id},\"method\":\"ping\"}}").unwrap();
        id += 1;
    }
    let mut stdin = wrapped.stdin.take().unwrap();
    let sent = burst.clone();
    let writing = std::thread::spawn(move || {
        std::io::Write::write_all(&mut stdin, sent.as_bytes()).unwrap();
    });
    let output = wrapped.output();
    let passed_on = Instant::now();
    writing.join().unwrap();
    assert!(output == burst.as_bytes());
    assert!(wrapped.wait().success());
    let took = passed_on.elapsed();
    assert!(took < IN_TIME, "{took:?}");
    await_ended(&bridge, "burst", "success", 1);
    // Far more requests than can be followed or read: what was left out is told with the end.
    let dropped = samples(&bridge).total("bridge_wrap_dropped_total");
    assert!(dropped > 0.0, "{dropped}");
    // The newest have room beside the end: those that the server asked.
    let operations = ["mcp_server", "mcp_client"]
        .map(|side| format!("{side}_operation_duration_seconds_count{{component_name=\"burst\""));
    let aborted = samples(&bridge).named(&operations.each_ref().map(String::as_str));
    assert!(aborted.keys().all(|key| key.contains("error_type=\"aborted\"")) && !aborted.is_empty(), "{aborted:?}");
}

#[test]
fn a_server_that_is_killed_has_crashed_though_its_client_closes_as_soon_as_it_sees_that() {
    const TIMES: u32 = 10;
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[]);
    for _ in 0..TIMES {
        let mut wrapped = start(&bridge, "killed", "read line; kill -9 $$");
        wrapped.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
        assert_eq!(wrapped.output(), b"");
        wrapped.close_stdin();
        wrapped.wait();
    }
    await_ended(&bridge, "killed", "error", TIMES);
}

#[test]
fn a_server_that_is_killed_once_its_client_has_left_was_shut_down() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[]);
    // As one that has to be forced, and one that notices at its next write that nobody reads.
    let mut forced = start(&bridge, "forced", "cat >/dev/null; kill -9 $$");
    forced.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
    forced.close_stdin();
    forced.wait();
    await_ended(&bridge, "forced", "success", 1);
    let mut unread = start(&bridge, "unread", "exec yes");
    assert_eq!(unread.line(), "y");
    unread.stdout = None;
    unread.wait();
    await_ended(&bridge, "unread", "success", 1);
}
