//! Bad input: each gets a clear answer, costs nothing else, and the account of events comes out even.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::bench::{Answer, Bench, mcp_event, session_start};
use crate::grpc;

/// A session's start with one field changed.
fn start_with(field: &str, value: Value) -> Value {
    let mut start = session_start("a");
    start[field] = value;
    start
}

fn start_without(field: &str) -> Value {
    let mut start = session_start("a");
    start.as_object_mut().unwrap().remove(field);
    start
}

#[test]
fn each_mistake_is_named_with_its_field() {
    let bench = Bench::start();
    let cases = [
        (json!({"event_type": "session_star"}), "event_type", "must be one of session_start"),
        (json!({"component_name": "a"}), "event_type", "is missing"),
        (start_with("pid", json!("1")), "pid", "got"),
        (start_without("hostname"), "hostname", "is missing"),
        (start_without("event_id"), "event_id", "is missing"),
        (start_with("event_id", json!("not-a-uuid")), "event_id", "UUID"),
        (start_with("event_version", json!("2.0")), "event_version", "1.0"),
        (start_with("timestamp", json!("yesterday")), "timestamp", "RFC 3339"),
        (start_with("timestamp", json!("2026-02-30T10:00:00Z")), "timestamp", "RFC 3339"),
        (start_with("component_name", json!("a b")), "component_name", "got"),
        (start_with("component_name", json!("a".repeat(10_000))), "component_name", "got"),
        (start_with("shell_type", json!("a".repeat(10_000))), "shell_type", "128"),
        (start_with("shell_type", json!("a\u{7}b")), "shell_type", "got"),
        (start_with("shell_type", json!("a\nb")), "shell_type", "got"),
        (start_with("user", json!({"username": "u"})), "user.home", "is missing"),
        (start_with("quality_score", json!(100.5)), "quality_score", "100"),
        (start_with("traceparent", json!("00-0-0-00")), "traceparent", "traceparent"),
    ];
    let count = cases.len();
    for (event, field, says) in cases {
        let answer = bench.event(&event);
        assert_eq!(answer.status, 400, "{event}");
        // However long the value, the answer is a line.
        assert!(answer.body.len() < 1000, "{}", answer.text());
        let answer = answer.json();
        assert_eq!((&answer["status"], &answer["field"]), (&json!("error"), &json!(field)), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(says), "{answer} should say {says:?}");
    }
    assert_eq!(bench.sum("bridge_events_rejected_total{source=\"http\""), count as f64);
    assert_eq!(bench.sum("session_start_total{"), 0.0);
}

#[test]
fn what_is_no_json_is_refused_as_a_whole_and_counted() {
    let bench = Bench::start();
    let bodies: [&[u8]; 7] = [
        b"",
        b"{\"event_type\": ",
        b"[{\"event_type\": \"mcp_event\"}",
        b"{\"event_type\": NaN}",
        b"\xff{}",
        b"{\"event_type\": \"mcp_event\", \"component_name\": \"\xc3\x28\"}",
        b"{} {}",
    ];
    for body in bodies {
        let answer = bench.post("application/json", body);
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(body));
        assert_eq!(answer.json()["status"], "error");
        assert!(answer.json()["error"].as_str().unwrap().contains("not valid JSON"), "{}", answer.text());
    }
    assert_eq!(bench.sum("bridge_events_rejected_total{source=\"http\",reason=\"malformed\"}"), 7.0);
    // Numbers that no float holds, too.
    let mut event = mcp_event("a").to_string();
    event = event.replace("0.5", "1e999");
    let answer = bench.post("application/json", event);
    assert_eq!((answer.status, answer.json()["field"].as_str()), (400, Some("duration_seconds")));
}

#[test]
fn an_unknown_field_is_a_warning() {
    let bench = Bench::start();
    let mut event = mcp_event("a");
    event["componentname"] = json!("b");
    let answer = bench.event(&event);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["warnings"][0]["reason"], "unknown_field");
    assert_eq!(answer.json()["warnings"][0]["field"], "componentname");
    assert_eq!(bench.sum("bridge_event_warnings_total{reason=\"unknown_field\"}"), 1.0);
}

#[test]
fn a_body_that_says_it_is_too_large_is_not_read() {
    let bench = Bench::start();
    let mut stream = bench.connect();
    stream
        .write_all(b"POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\n\r\n")
        .unwrap();
    // Not a byte of the body was sent.
    let answer = Answer::read(&mut stream);
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    assert!(answer.json()["error"].as_str().unwrap().contains("4194304 bytes"), "{}", answer.text());
    assert_eq!(bench.sum("bridge_events_rejected_total{source=\"http\",reason=\"too_large\"}"), 1.0);
}

#[test]
fn who_sends_too_large_a_body_all_the_same_can_read_the_answer() {
    let bench = Bench::start();
    let mut stream = bench.connect();
    let head =
        "POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // A client that sends all before it reads is not reset meanwhile, and finds the answer.
    stream.write_all(&vec![b' '; 10 * 1024 * 1024]).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 413);

    // In chunks, which say nothing of their length before.
    let mut stream = bench.connect();
    stream
        .write_all(b"POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let mut chunk = b"10000\r\n".to_vec();
    chunk.resize(7 + 0x10000, b' ');
    chunk.extend_from_slice(b"\r\n");
    for _ in 0..160 {
        stream.write_all(&chunk).unwrap();
    }
    assert_eq!(Answer::read(&mut stream).status, 413);
}

/// In a process of its own, because what it measures is the memory of the process.
#[test]
fn a_hundred_thousand_components_overflow_into_one_series() {
    const ALONE: &str = "TEST_RUNS_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "bad_input::a_hundred_thousand_components_overflow_into_one_series";
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let output = command.args([name, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let bench = Bench::with(|config| config.metrics.series_limit = 500);
    let events = |from: u32| -> String {
        (from..from + 10_000).map(|n| format!("{}\n", mcp_event(&format!("component-{n}")))).collect()
    };
    for from in (0..20_000).step_by(10_000) {
        let answer = bench.post("application/x-ndjson", events(from)).json();
        assert_eq!(answer["accepted"], 10_000);
    }
    // The bridge counts its scrapes too: the first ones make series.
    let (_, _, length) = (bench.metrics(), bench.metrics(), bench.metrics().len());
    let before = memory();
    for from in (20_000..100_000).step_by(10_000) {
        let answer = bench.post("application/x-ndjson", events(from)).json();
        assert_eq!(answer["accepted"], 10_000);
    }
    let metrics = bench.metrics();
    let name = "mcp_event_emit_success_total";
    assert_eq!(metrics.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count(), 501);
    assert!(metrics.contains(&format!("{name}{{otel_metric_overflow=\"true\"}} 99500\n")), "{metrics}");
    let overflow = crate::bench::sum(&metrics, "bridge_series_overflow_total{instrument=\"mcp.event.emit.success\"}");
    assert_eq!(overflow, 99_500.0);
    assert!(metrics.len() < length + 1000);
    // 80,000 names more would be tens of megabytes, were they kept.
    let (Some(before), Some(after)) = (before, memory()) else { return };
    println!("{before} KiB before, {after} KiB after");
    assert!(after < before + 16 * 1024, "{before} KiB before, {after} KiB after");
}

/// The memory of this process in KiB, where the system tells it.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn what_is_no_http_is_closed() {
    let bench = Bench::start();
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"NONSENSE\r\n\r\n", b"GET\0 / HTTP/1.1\r\n\r\n"]
    {
        let mut stream = bench.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A reset will do as well.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(bench.get("/livez").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_of_events_comes_out_even() {
    let bench = Bench::start();
    let start = session_start("a");
    let lines = format!("{start}\n{start}\n{}\nnonsense\n{}\n", mcp_event("a"), json!({"event_type": "no"}));
    bench.post("application/x-ndjson", lines);
    bench.post("application/json", "nonsense");
    bench.post("application/json", vec![b' '; 5_000_000]);
    bench.event(&json!({"event_type": "session_end", "session_id": "a-20260101-000000-00000000", "timestamp": "2026-03-01T10:00:00Z"}));
    let mut client = grpc::client(&bench).await;
    let events = vec![grpc::event("a", 1.0), grpc::event("a", f64::NAN), grpc::event("b c", 1.0)];
    client.record(grpc::batch(1, events)).await.unwrap();
    let metrics = bench.metrics();
    for (source, accepted, duplicates, rejected) in [("http", 3.0, 1.0, 4.0), ("grpc", 1.0, 0.0, 2.0)] {
        let sum = |name: &str| crate::bench::sum(&metrics, &format!("bridge_events_{name}_total{{source=\"{source}\""));
        assert_eq!((sum("accepted"), sum("duplicate"), sum("rejected")), (accepted, duplicates, rejected), "{source}");
        assert_eq!(sum("received"), accepted + duplicates + rejected, "{source}");
    }
}
