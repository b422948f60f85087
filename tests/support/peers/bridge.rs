//! The bridge's own binary, serving.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use serde_json::Value;
use tempfile::TempDir;

use super::books::assert_balanced;
use super::collector::Collector;
use super::http::{self, Answer};
use super::process::Process;

/// What asks for each format on `/metrics`.
pub const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";
/// The text format, 1.0.0.
pub const TEXT_100: &str = "text/plain;version=1.0.0;escaping=underscores";
/// The text format, 0.0.4.
pub const TEXT_004: &str = "text/plain;version=0.0.4";

/// A bridge yet to be started: in memory and pushing nothing, unless told otherwise.
#[derive(Default)]
pub struct Options {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    config: Option<String>,
    data_dir: Option<PathBuf>,
    port: u16,
}

/// A bridge that serves.
pub struct Bridge {
    /// The process.
    pub process: Process,
    /// The host and port of its listener.
    pub address: String,
    _dir: TempDir,
}

impl Options {
    /// Pushes metrics and spans there, often.
    pub fn push_to(self, collector: &Collector) -> Self {
        self.push_to_url(&collector.endpoint())
    }

    /// Pushes to whatever is or is not at this URL, often.
    pub fn push_to_url(self, url: &str) -> Self {
        self.argument("--otlp-endpoint", url)
            .variable("OTEL_METRIC_EXPORT_INTERVAL", "200")
            .variable("OTEL_BSP_SCHEDULE_DELAY", "50")
    }

    /// With a variable of its environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a configuration file that holds this.
    pub fn config(mut self, yaml: &str) -> Self {
        self.config = Some(yaml.to_owned());
        self
    }

    /// Remembering in this directory.
    pub fn data_dir(mut self, dir: &Path) -> Self {
        self.data_dir = Some(dir.to_owned());
        self
    }

    /// On this port, which it must be able to have again after a stop.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// Starts it, and waits until it serves.
    pub fn start(self) -> Bridge {
        let dir = tempfile::tempdir().unwrap();
        let mut command = binary();
        command.args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)]).args(&self.arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(yaml) = &self.config {
            let file = dir.path().join("bridge.yaml");
            std::fs::write(&file, yaml).unwrap();
            command.arg("--config").arg(file);
        }
        match &self.data_dir {
            Some(data_dir) => command.arg("--data-dir").arg(data_dir),
            None => command.arg("--ephemeral"),
        };
        let mut process = Process::start("the bridge", &mut command);
        let address = process.find_line("where it listens", |line| {
            let (_, address) = line.trim().strip_prefix("send")?.split_once("://")?;
            address.strip_suffix("/v1/events").map(str::to_owned)
        });
        Bridge { process, address, _dir: dir }
    }
}

impl Bridge {
    /// Yet to be started.
    pub fn options() -> Options {
        Options::default()
    }

    /// A page of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends events as one batch; gives its answer.
    pub fn send(&self, events: &[Value]) -> Value {
        let body = serde_json::to_string(events).unwrap();
        http::post(&self.url("/v1/events"), "application/json", &body).unwrap().json()
    }

    /// Sends the lines of a file with `mcp-otel-bridge send`; gives the exit code and what it printed.
    pub fn send_file(&self, file: &Path) -> (Option<i32>, String) {
        let output = binary().arg("send").arg("--bridge").arg(self.url("")).arg(file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// What `/metrics` answers to who accepts this.
    pub fn scrape(&self, accept: &str) -> Answer {
        let answer = http::get(&self.url("/metrics"), accept).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    /// The samples on `/metrics`, as they are written. The bridge's own books are balanced in each scrape.
    pub fn samples(&self) -> BTreeMap<String, f64> {
        let text = self.scrape(TEXT_004).body;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        let samples: BTreeMap<String, f64> = samples.collect();
        assert_balanced(samples.iter().map(|(series, value)| (series.as_str(), *value)));
        samples
    }

    /// Asks it to stop; it must do so in good order.
    pub fn stop(&mut self) {
        let status: ExitStatus = self.process.terminate();
        assert!(status.success(), "the bridge ended with {status}");
    }

    /// The lines of its log that hold this.
    pub fn log_lines(&self, with: &str) -> Vec<String> {
        self.process.lines().into_iter().filter(|line| line.contains(with)).collect()
    }
}

/// The binary, without the settings that whoever runs the tests may have in their environment.
fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    for (name, _) in std::env::vars_os() {
        let known = name.to_string_lossy();
        if ["OTEL_", "MCP_OTEL_BRIDGE_", "SESSION_BUDDY_"].iter().any(|prefix| known.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}
