//! `check`, `config`, `catalog`, `events`, `completions`, and the banner of `serve`.

use std::fs;

use crate::process::{Serving, program, run, text};

#[test]
fn serve_says_where_to_scrape_where_to_send_and_where_it_pushes_to() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(&dir.path().join("data"), &["--otlp-endpoint", "http://127.0.0.1:9"]);
    let address = bridge.address();
    for line in [
        format!("  scrape  http://{address}/metrics"),
        format!("  send    http://{address}/v1/events"),
        "metrics every 60s to http://127.0.0.1:9".to_owned(),
        "spans to http://127.0.0.1:9".to_owned(),
        dir.path().join("data").display().to_string(),
    ] {
        assert!(bridge.banner.contains(&line), "{line:?} is missing in\n{}", bridge.banner);
    }
    assert!(bridge.get("/metrics").contains("bridge_build_info{"));
    assert!(bridge.get("/api/get_prometheus_metrics_service").contains("bridge_build_info{"));
}

#[test]
fn without_a_command_it_serves() {
    let bridge = Serving::spawn(program().args(["--listen", "127.0.0.1:0", "--ephemeral"]));
    assert!(bridge.banner.contains("in memory only"), "{}", bridge.banner);
    assert_eq!(ureq::get(bridge.url("/livez")).call().unwrap().status(), 200);
}

#[test]
fn check_tells_every_mistake_at_once_and_exits_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bridge.yaml");
    fs::write(
        &file,
        "listen: nowhere\n\
         lissten: 127.0.0.1:1\n\
         ephemeral: perhaps\n\
         limits: {connections: 0, body_bytes: -1}\n\
         sessions: {timeout: 24}\n\
         metrics: {groups: {sesion: true}}\n\
         log: {format: xml}\n\
         prometheus_metrics_path: metrics\n\
         meter_provider: {views: [{selector: {instrument_name: no.such}, stream: {}}]}\n",
    )
    .unwrap();
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let log = text(&output.stderr);
    let told = log.lines().filter(|line| line.contains("bridge.yaml: ")).count();
    assert_eq!(told, 10, "{log}");
    for place in ["listen", "lissten", "limits.connections", "sessions.timeout", "views[0]"] {
        assert!(log.contains(place), "{place} is missing in\n{log}");
    }
    let serve = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!((serve.status.code(), text(&serve.stderr)), (Some(2), log));
}

#[test]
fn a_good_configuration_is_called_good() {
    let output = run(&["check"]);
    assert_eq!((output.status.code(), text(&output.stdout).contains("good")), (Some(0), true));
}

#[test]
fn config_shows_what_is_in_force_and_masks_secrets() {
    let output = program()
        .args(["config"])
        .env("MCP_OTEL_BRIDGE_TOKEN", "a-secret-token")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=another-secret")
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("http://collector:4317") && shown.contains("api-key"), "{shown}");
    assert!(!shown.contains("secret-token") && !shown.contains("another-secret"), "{shown}");
}

#[test]
fn the_catalog_is_shown_in_three_forms() {
    assert!(text(&run(&["catalog"]).stdout).starts_with("METRIC"));
    assert!(text(&run(&["catalog", "--format", "markdown"]).stdout).contains("| `session_start_total` |"));
    let json: serde_json::Value = serde_json::from_slice(&run(&["catalog", "--format", "json"]).stdout).unwrap();
    assert!(json["metrics"].as_array().unwrap().iter().any(|metric| metric["prometheus"] == "session_start_total"));
}

#[test]
fn the_types_of_events_are_shown_as_the_schema_that_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(&dir.path().join("data"), &[]);
    let shown = text(&run(&["events", "--format", "json"]).stdout);
    assert!(shown.contains("\"$defs\"") && shown == bridge.get("/v1/events/schema"), "{shown}");
}

#[test]
fn the_pages_that_the_program_makes_are_fresh() {
    for (page, command) in [
        ("docs/metrics.md", ["catalog", "--format", "markdown"].as_slice()),
        ("docs/events.md", &["events"]),
        ("docs/configuration.md", &["config", "--reference"]),
        ("otel-config/bridge.yaml", &["config", "--example"]),
    ] {
        let path = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
        let documented = fs::read_to_string(path).unwrap_or_default();
        let made = text(&run(command).stdout);
        assert!(documented == made, "{page} is stale: mcp-otel-bridge {} > {page}", command.join(" "));
    }
}

#[test]
fn completions_are_written_for_a_shell() {
    assert!(text(&run(&["completions", "bash"]).stdout).contains("mcp-otel-bridge"));
}

#[test]
fn wrong_usage_exits_with_2() {
    assert_eq!(run(&["--no-such-flag"]).status.code(), Some(2));
    assert_eq!(run(&["serve", "--listen", "nowhere"]).status.code(), Some(2));
}
