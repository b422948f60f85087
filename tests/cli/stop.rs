//! SIGTERM and Ctrl-C: what was acknowledged is kept, and the process ends in time.

use std::time::Duration;

use crate::process::Serving;

#[test]
fn sigterm_ends_it_in_time_with_0() {
    for signal in ["-TERM", "-INT"] {
        let dir = tempfile::tempdir().unwrap();
        let bridge = Serving::start(dir.path(), &[]);
        assert_eq!(ureq::get(bridge.url("/readyz")).call().unwrap().status(), 200);
        let (code, took, log) = bridge.stop(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[test]
fn a_collector_that_is_away_does_not_hold_it_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &["--otlp-endpoint", &endpoint]);
    let (code, took, log) = bridge.stop("-TERM");
    assert!(took < Duration::from_secs(11), "{took:?} {code:?} {log}");
}

#[test]
fn sessions_outlive_it() {
    let dir = tempfile::tempdir().unwrap();
    let start = r#"{"event_type":"session_start","event_version":"1.0","event_id":"550e8400-e29b-41d4-a716-446655440000",
        "component_name":"a","shell_type":"Shell","timestamp":"2026-02-06T12:34:56.789Z","pid":1,"hostname":"h",
        "user":{"username":"u","home":"/h"},"environment":{"platform":"linux","cwd":"/"}}"#;
    let bridge = Serving::start(dir.path(), &[]);
    let post = |bridge: &Serving| {
        ureq::post(bridge.url("/v1/events"))
            .header("content-type", "application/json")
            .send(start)
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap()
    };
    let answer = post(&bridge);
    assert!(answer.contains("\"status\":\"tracked\""), "{answer}");
    bridge.stop("-KILL");
    let again = Serving::start(dir.path(), &[]);
    assert!(again.get("/metrics").contains("active_sessions{component_name=\"a\"} 1.0\n"));
    assert_eq!(post(&again), answer);
    assert!(again.get("/metrics").contains("bridge_events_duplicate_total{source=\"http\"} 1\n"));
}
