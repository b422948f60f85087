//! Sessions of a real client with a real server, bare or through `wrap`, and what is left of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::peers::bridge::Bridge;
use crate::peers::process::Process;
use crate::peers::{DEADLINE, installed, until_within};
use crate::servers::Server;

/// A real client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Client {
    /// PyPI `mcp`.
    Python,
    /// npm `@modelcontextprotocol/sdk`.
    Node,
}

/// A session to come.
#[derive(Debug, Clone)]
pub struct Session {
    /// What it is called, and its component where it is wrapped.
    pub name: String,
    /// The bridge that `wrap` reports to; bare where there is none.
    pub bridge: Option<String>,
    /// How the client in Python negotiates the protocol: `legacy`, `auto` or a version.
    pub mode: &'static str,
    /// Barriers of the steps at which the client must wait for [`Playing::at`]; it walks through the others.
    pub barriers: &'static [&'static str],
    /// What is asked, where it is not what is always asked of the server.
    pub steps: Option<Vec<Value>>,
}

impl Session {
    /// Without `wrap`.
    pub fn bare(mode: &'static str) -> Self {
        Self { name: "bare".to_owned(), bridge: None, mode, barriers: &[], steps: None }
    }

    /// Through `wrap`, as this component.
    pub fn wrapped(bridge: &Bridge, name: &str, mode: &'static str) -> Self {
        let bridge = Some(bridge.url(""));
        Self { name: name.to_owned(), bridge, mode, barriers: &[], steps: None }
    }

    /// With these steps.
    pub fn steps(self, steps: Vec<Value>) -> Self {
        Self { steps: Some(steps), ..self }
    }

    /// By another name.
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Waiting at these barriers.
    pub fn waiting_at(self, barriers: &'static [&'static str]) -> Self {
        Self { barriers, ..self }
    }
}

/// Sessions that are being played, one after the other.
pub struct Playing<'a> {
    client: Process,
    sessions: Vec<Session>,
    /// How long all of them may take.
    time: Duration,
    /// Its folder is what the sessions are played in.
    _server: &'a Server,
    dir: TempDir,
}

/// What is left of a session.
#[derive(Debug)]
pub struct Played {
    /// The session.
    pub name: String,
    /// The lines that the client wrote of what its API gave.
    pub transcript: String,
    /// The lines that the client wrote of the requests that were made.
    pub ledger: Vec<Value>,
    /// What the server printed on stderr.
    pub stderr: String,
    /// What the client's side of the wrapper saw.
    pub outer: Value,
    /// What the server's side of the wrapper saw.
    pub inner: Value,
}

/// Has a client play these sessions with a server. Each finds the server's folder as it was prepared.
pub fn play<'a>(client: Client, server: &'a Server, sessions: &[Session]) -> Playing<'a> {
    let dir = tempfile::tempdir().unwrap();
    let plans: Vec<Value> = sessions.iter().map(|session| plan(session, server, dir.path())).collect();
    let file = dir.path().join("plan.json");
    fs::write(&file, json!({"sessions": plans}).to_string()).unwrap();
    let mut command = match client {
        Client::Python => Command::new(installed("mcp-python/bin/python")),
        Client::Node => Command::new(installed("bin/node")),
    };
    match client {
        Client::Python => command.arg(of_the_peers("mcp-python/client.py")),
        Client::Node => command.current_dir(installed("mcp-node")).arg(of_the_peers("node/wrap/client.mjs")),
    };
    let client = Process::start(&format!("the client ({client:?})"), command.arg(&file));
    let time = DEADLINE * (1 + sessions.len()) as u32;
    Playing { client, sessions: sessions.to_vec(), time, _server: server, dir }
}

/// A file of `tests/peers`.
pub fn of_the_peers(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(file)
}

/// The command that stands for a server's: through `wrap`, where there is a bridge.
pub fn through_wrap(bridge: Option<&str>, component: &str, command: &[String]) -> Vec<String> {
    let Some(bridge) = bridge else { return command.to_vec() };
    let wrap = [env!("CARGO_BIN_EXE_mcp-otel-bridge"), "wrap", "--bridge", bridge, "--component", component, "--"];
    [wrap.map(str::to_owned).as_slice(), command].concat()
}

fn plan(session: &Session, server: &Server, dir: &Path) -> Value {
    let out = dir.join(&session.name);
    fs::create_dir(&out).unwrap();
    for barrier in server.barriers().iter().filter(|barrier| !session.barriers.contains(&barrier.as_str())) {
        fs::write(out.join(format!("{barrier}.passed")), "").unwrap();
    }
    let inner = tee(&out.join("inner.json"), &server.command);
    let wrapped = through_wrap(session.bridge.as_deref(), &session.name, &inner);
    json!({
        "before": server.before(),
        "command": tee(&out.join("outer.json"), &wrapped),
        "env": server.variables,
        "cwd": server.folder(),
        "root": server.folder(),
        "mode": session.mode,
        "steps": server.steps_for(session.mode, session.steps.as_ref()),
        "out": out,
    })
}

/// A command with a tee in its stdio. The bare ones have two as well, so that they differ in the wrapper alone.
fn tee(report: &Path, command: &[String]) -> Vec<String> {
    let python = installed("mcp-python/bin/python");
    let tee =
        [&python, Path::new("-IS"), &of_the_peers("mcp-python/tee.py"), report].map(|part| part.display().to_string());
    [tee.as_slice(), command].concat()
}

impl Playing<'_> {
    /// Does something while a session waits at a barrier, which it then passes.
    pub fn at<T>(&mut self, session: &str, barrier: &str, action: impl FnOnce() -> T) -> T {
        let reached = self.out(session).join(format!("{barrier}.reached"));
        until_within(self.time, &format!("{session} to come to its {barrier}"), || {
            assert!(
                self.client.is_running() || reached.exists(),
                "the client ended before {session} came to {barrier}"
            );
            reached.exists().then_some(())
        });
        let done = action();
        fs::write(self.out(session).join(format!("{barrier}.passed")), "").unwrap();
        done
    }

    /// Waits until all have been played.
    pub fn finish(mut self) -> Vec<Played> {
        let status = self.client.wait(self.time);
        assert!(status.success(), "the client ended with {status}");
        self.sessions.iter().map(|session| self.played(session)).collect()
    }

    fn played(&self, session: &Session) -> Played {
        let read = |name: &str| {
            let file = self.out(&session.name).join(name);
            let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            String::from_utf8(bytes).unwrap()
        };
        let json = |name| serde_json::from_str(&read(name)).unwrap();
        Played {
            name: session.name.clone(),
            transcript: read("transcript.jsonl"),
            ledger: read("ledger.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            stderr: read("stderr"),
            outer: json("outer.json"),
            inner: json("inner.json"),
        }
    }

    fn out(&self, session: &str) -> PathBuf {
        self.dir.path().join(session)
    }
}

impl Played {
    /// The wrapper gave on what it got, byte for byte, and how the server ended.
    pub fn assert_passed_through(&self) {
        for way in ["stdin", "stdout"] {
            assert_eq!(self.outer[way], self.inner[way], "{} of {}", way, self.name);
        }
        assert_eq!(self.outer["status"], self.inner["status"], "how {} ended", self.name);
    }

    /// Lines of the transcript.
    pub fn lines(&self) -> impl Iterator<Item = Value> {
        self.transcript.lines().map(|line| serde_json::from_str(line).unwrap())
    }
}
