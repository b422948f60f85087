//! Series that nobody wants are forgotten with what docs/durability.md says, and leave their room to others.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, Metrics};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::process::{Serving, program, text};
use crate::support::events::send_all;
use crate::support::files::{open, tell};
use crate::support::samples::Samples;

const LIMIT: usize = 10;

/// The command or the statement of the page that begins so, as it stands there.
fn of_the_page(begins: &str, ends: char) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/durability.md")).unwrap();
    let (_, section) = page.split_once("\n## Forgetting series\n").unwrap();
    let at = section.find(begins).unwrap_or_else(|| panic!("nothing begins with {begins} in {section}"));
    section[at..].split(ends).next().unwrap().to_owned()
}

fn forget(dir: &Path, arguments: &[&str]) -> Output {
    program().arg("forget").args(arguments).env("MCP_OTEL_BRIDGE_DATA_DIR", dir).output().unwrap()
}

/// What `forget` says of what it has done.
#[track_caller]
fn says(dir: &Path, arguments: &[&str]) -> String {
    let output = forget(dir, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn emission(component: &str) -> Value {
    json!({"event_type": "mcp_event", "component_name": component, "emitted_type": "e", "duration_seconds": 1})
}

fn call(component: &str) -> Value {
    json!({"event_type": "circuit_breaker_call", "component": component, "latency_seconds": 0.125, "success": true})
}

fn stop(bridge: &Bridge) {
    bridge.shutdown(Duration::from_secs(10)).unwrap();
}

/// How many rows there are of what.
fn rows(dir: &Path, from: &str) -> i64 {
    let db = Connection::open(dir.join("bridge.db")).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn series_that_are_forgotten_as_the_page_says_leave_room() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { metrics: Metrics { series_limit: LIMIT, ..Metrics::default() }, ..Config::default() };
    let count = |bridge: &Bridge, component: &str| {
        let key = format!("mcp_event_emit_success_total{{component_name=\"{component}\",event_type=\"e\"}}");
        Samples::of(bridge).find(&key)
    };
    let bridge = open(dir.path(), &config);
    send_all(&bridge, &[emission("good")]);
    let bad: Vec<Value> = (0..LIMIT).map(|number| emission(&format!("bad-client-{number}"))).collect();
    send_all(&bridge, &bad);
    stop(&bridge);
    let bridge = open(dir.path(), &config);
    send_all(&bridge, &[emission("late")]);
    assert_eq!((count(&bridge, "good"), count(&bridge, "late")), (Some(1.0), None), "there is room already");
    stop(&bridge);
    drop(bridge);

    let most: (String, i64) = {
        let db = Connection::open(dir.path().join("bridge.db")).unwrap();
        db.query_row(&of_the_page("SELECT t.metric", '"'), [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert!(most.0.starts_with("mcp.event.emit") && most.1 >= LIMIT as i64, "{most:?}");
    let before = rows(dir.path(), "series");
    // The good one and nine bad ones found room.
    let bad = LIMIT - 1;
    for (dry, done) in [(true, "would be forgotten"), (false, "forgotten")] {
        let command = of_the_page(if dry { "mcp-otel-bridge forget --" } else { "mcp-otel-bridge forget 'c" }, '\n');
        let words: Vec<&str> = command.split_whitespace().skip(2).map(|word| word.trim_matches('\'')).collect();
        let told = says(dir.path(), &words);
        for metric in ["mcp_event_emit_duration_seconds", "mcp_event_emit_success_total"] {
            assert!(told.contains(&format!("{bad:>8}  {metric}\n")), "{told}");
        }
        assert!(told.ends_with(&format!("\n{} series and 0 circuit breakers {done}\n", 2 * bad)), "{told}");
        let gone = if dry { 0 } else { 2 * bad as i64 };
        assert_eq!(rows(dir.path(), "series"), before - gone);
    }
    let bridge = open(dir.path(), &config);
    assert_eq!(count(&bridge, "bad-client-1"), None);
    let overflow =
        |bridge: &Bridge| Samples::of(bridge).get("mcp_event_emit_success_total{otel_metric_overflow=\"true\"}");
    let before = overflow(&bridge);
    assert!(before > 0.0);
    send_all(&bridge, &[emission("late"), emission("good")]);
    assert_eq!((count(&bridge, "good"), count(&bridge, "late")), (Some(2.0), Some(1.0)));
    assert_eq!(overflow(&bridge), before);
}

#[test]
fn a_component_is_forgotten_with_its_circuit_breaker_and_no_other_is() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path(), &Config::default());
    send_all(&bridge, &[call("bad-1"), call("bad-2"), call("Bad-3"), call("good")]);
    stop(&bridge);
    drop(bridge);
    // A component's name is that of another label elsewhere.
    assert_eq!(says(dir.path(), &["component_name=bad-*"]), "0 series and 0 circuit breakers forgotten\n");
    let told = says(dir.path(), &["component=bad-*"]);
    assert!(told.contains("       2  circuit_breaker_calls_total\n"), "{told}");
    assert!(told.ends_with(" series and 2 circuit breakers forgotten\n"), "{told}");
    assert_eq!(rows(dir.path(), "breakers WHERE component LIKE 'bad-_'"), 1);
    assert_eq!(rows(dir.path(), "breaker_latencies"), 2);
    let bridge = open(dir.path(), &Config::default());
    let calls = |component: &str| {
        Samples::of(&bridge).find(&format!("circuit_breaker_calls_total{{component=\"{component}\"}}"))
    };
    assert_eq!(["bad-1", "bad-2", "Bad-3", "good"].map(calls), [None, None, Some(1.0), Some(1.0)]);
    // It begins anew, also in what is worked out of its last calls.
    send_all(&bridge, &[call("bad-1")]);
    assert_eq!(calls("bad-1"), Some(1.0));
}

#[test]
fn labels_are_named_as_on_the_page_of_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path(), &Config::default());
    let operation = json!({"event_type": "mcp_operation", "component_name": "c", "method": "tools/list",
        "direction": "to_server", "duration_seconds": 1, "transport": "stdio"});
    send_all(&bridge, &[operation]);
    stop(&bridge);
    drop(bridge);
    for label in ["mcp_method_name", "mcp.method.name"] {
        let told = says(dir.path(), &["--dry-run", &format!("{label}=tools/*")]);
        assert!(told.contains("       1  mcp_server_operation_duration_seconds\n"), "{told}");
    }
}

#[test]
fn nothing_is_forgotten_while_a_bridge_runs_nor_where_there_is_none_nor_of_a_damaged_database() {
    #[track_caller]
    fn fails(dir: &Path, argument: &str, code: i32, told: &str) {
        let output = forget(dir, &[argument]);
        let log = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), String::new()), "{log}");
        assert!(log.contains(told), "{log}");
    }
    let dir = tempfile::tempdir().unwrap();
    fails(&dir.path().join("nowhere"), "a=b", 2, "holds no database of a bridge");
    fails(dir.path(), "a=b", 2, "holds no database of a bridge");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was made");
    for wrong in ["component", "=b"] {
        fails(dir.path(), wrong, 2, "component_name=bad-client-*");
    }
    let bridge = Serving::start(dir.path(), &[]);
    fails(dir.path(), "component=*", 1, "stop it first");
    bridge.stop("-TERM");
    tell(dir.path(), "DROP TABLE series");
    let before = std::fs::read(dir.path().join("bridge.db")).unwrap();
    fails(dir.path(), "component=*", 1, "the database is damaged");
    assert!(before == std::fs::read(dir.path().join("bridge.db")).unwrap());
}
