//! Jaeger: takes spans by OTLP over gRPC, keeps them in memory, and answers what Grafana asks.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use super::{http, installed};

/// Its own configuration without one, but for the ports, and without what nobody asks here.
const CONFIGURATION: &str = r#"
receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:0"}}}}
exporters: {jaeger_storage_exporter: {trace_storage: memory}}
extensions:
  jaeger_storage: {backends: {memory: {memory: {max_traces: 10000}}}}
  jaeger_query:
    storage: {traces: memory}
    http: {endpoint: "127.0.0.1:0"}
    grpc: {endpoint: "127.0.0.1:0"}
service:
  extensions: [jaeger_storage, jaeger_query]
  telemetry: {metrics: {level: none}, logs: {encoding: json}}
  pipelines:
    traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}
"#;

/// A running Jaeger.
pub struct Jaeger {
    _process: Process,
    /// Where it takes OTLP over gRPC: host and port.
    pub otlp: String,
    /// Where it is asked: host and port.
    pub query: String,
    _dir: TempDir,
}

impl Jaeger {
    /// Starts it, and waits until it takes spans and questions.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("jaeger.yaml");
        std::fs::write(&config, CONFIGURATION).unwrap();
        let mut process = Process::start("Jaeger", Command::new(installed("bin/jaeger")).arg("--config").arg(&config));
        let told = |message: &'static str, component: &'static str| {
            move |line: &str| -> Option<Value> {
                let entry: Value = serde_json::from_str(line).ok()?;
                (entry["msg"] == message && entry["otelcol.component.id"] == component).then_some(entry)
            }
        };
        let receiver = process.find_line("where it takes spans", told("Starting GRPC server", "otlp"));
        let pages = process.find_line("where it answers", told("Starting HTTP server", "jaeger_query"));
        Self {
            _process: process,
            otlp: receiver["endpoint"].as_str().unwrap().to_owned(),
            query: format!("127.0.0.1:{}", pages["port"]),
            _dir: dir,
        }
    }

    /// The trace of that id, as Grafana's data source asks for it; none where it has none.
    pub fn trace(&self, id: &str) -> Option<Value> {
        let answer = http::get(&format!("http://{}/api/traces/{id}", self.query), "application/json").ok()?;
        (answer.status == 200).then(|| answer.json()["data"][0].take()).filter(|trace| !trace.is_null())
    }
}
