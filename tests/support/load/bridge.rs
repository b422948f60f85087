//! The bridge's own binary, always in the same place: killed and started again, it has its port and its data.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::dice::Dice;

/// How long a start may take, and with it what must be recovered.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to stop, by its configuration, and what a busy machine may add.
const STOP: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(3);
/// How many of the last lines of the log are shown when a test fails.
const SHOWN: usize = 25;

/// A bridge that can be killed.
pub struct Bridge {
    process: Option<Child>,
    pub address: SocketAddr,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    wrapper: Vec<String>,
    dir: tempfile::TempDir,
    /// When each process was started.
    pub starts: Vec<Instant>,
}

impl Bridge {
    /// One that pushes to that endpoint, often. It is not started yet.
    pub fn pushing_to(endpoint: &str, seed: u64) -> Self {
        let variables = [
            ("OTEL_METRIC_EXPORT_INTERVAL", "300"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("MCP_OTEL_BRIDGE_LIMITS_SHUTDOWN", "2s"),
            ("MCP_OTEL_BRIDGE_SKILLS_REFRESH_INTERVAL", "1s"),
            // What a search would find is not what this is about.
            ("MCP_OTEL_BRIDGE_SKILLS_ANOMALIES_ENABLED", "false"),
        ];
        Self {
            process: None,
            address: SocketAddr::from(([127, 0, 0, 1], quiet_port(seed))),
            arguments: vec!["--otlp-endpoint".to_owned(), endpoint.to_owned()],
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            wrapper: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
            starts: Vec::new(),
        }
    }

    /// With a variable of its environment, from its next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it by way of this command, from its next start on.
    pub fn wrap_in(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts it, and does not wait.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let mut words = self.wrapper.clone();
        words.push(env!("CARGO_BIN_EXE_mcp-otel-bridge").to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        for (name, _) in std::env::vars_os() {
            let known = name.to_string_lossy();
            if ["OTEL_", "MCP_OTEL_BRIDGE_", "SESSION_BUDDY_"].iter().any(|prefix| known.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(["serve", "--listen", &self.address.to_string(), "--data-dir"]).arg(self.data());
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(self.log());
        self.starts.push(Instant::now());
        self.process = Some(command.spawn().unwrap());
    }

    /// Starts it, and waits until it takes events.
    pub fn start(&mut self) {
        self.launch();
        self.await_ready();
    }

    /// Waits until it takes events.
    pub fn await_ready(&mut self) {
        let (url, started) = (self.url("/readyz"), Instant::now());
        while !ureq::get(&url).call().is_ok_and(|answer| answer.status() == 200) {
            if let Some(status) = self.process.as_mut().unwrap().try_wait().unwrap() {
                panic!("the bridge ended with {status}");
            }
            assert!(started.elapsed() < PATIENCE, "the bridge is not ready after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Asks it to stop, and waits until it has, in good order and in time.
    pub fn stop(&mut self) {
        let (mut process, asked_at) = (self.process.take().unwrap(), Instant::now());
        let asked = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let status = process.wait().unwrap();
        assert!(status.success(), "the bridge ended with {status}");
        assert!(asked_at.elapsed() < STOP + SLACK, "the bridge took {:?} to stop", asked_at.elapsed());
    }

    /// A number of `/proc/PID/status` in MiB.
    pub fn memory(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.as_ref().unwrap().id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    fn log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("-- the last lines of the bridge's log:");
            lines[lines.len().saturating_sub(SHOWN)..].iter().for_each(|line| eprintln!("   {line}"));
        }
    }
}

/// A free port that no connection is given by itself while the bridge is away.
fn quiet_port(seed: u64) -> u16 {
    let mut dice = Dice::new(seed);
    loop {
        let port = 12_000 + dice.below(18_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
