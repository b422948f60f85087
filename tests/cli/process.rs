//! A running bridge, and one run of the program to its end.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The program, with nothing of this environment that would configure it.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["OTEL_", "MCP_OTEL_BRIDGE_", "SESSION_BUDDY_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A bridge that serves; it is killed when dropped.
pub(crate) struct Serving {
    process: Child,
    /// What it printed at its start.
    pub(crate) banner: String,
}

impl Serving {
    pub(crate) fn start(data_dir: &Path, more: &[&str]) -> Self {
        Self::spawn(program().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir).args(more))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("\n  data ") {
            let before = banner.len();
            out.read_line(&mut banner).unwrap();
            if banner.len() == before {
                let mut log = String::new();
                process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
                panic!("the bridge did not start: {banner}{log}");
            }
        }
        Self { process, banner }
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> String {
        let line = self.banner.lines().find_map(|line| line.trim().strip_prefix("send")).unwrap();
        let (_, address) = line.split_once("://").unwrap();
        address.trim_end_matches("/v1/events").to_owned()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    pub(crate) fn get(&self, path: &str) -> String {
        ureq::get(self.url(path)).call().unwrap().body_mut().read_to_string().unwrap()
    }

    /// Sends it a signal by name, and waits for its end.
    pub(crate) fn stop(self, signal: &str) -> (Option<i32>, Duration, String) {
        let sent = Command::new("kill").arg(signal).arg(self.id().to_string()).status().unwrap();
        assert!(sent.success());
        self.wait()
    }

    /// Waits for its end: how it ended, how long that took, and what it logged.
    pub(crate) fn wait(mut self) -> (Option<i32>, Duration, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "it did not stop");
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut log = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), started.elapsed(), log)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
