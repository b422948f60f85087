//! A session of a scripted server behind `wrap`, and the numbers of a bridge.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Wrapped, wrap};
use crate::process::Serving;
use crate::support::events::until;
use crate::support::samples::Samples;

/// Answers each request by its method and its tool; nothing at all to the tool `silent`.
const SERVER: &str = r#"exec sed -u -n -E '
s/.*"id":([0-9]+),"method":"initialize".*/{"jsonrpc":"2.0","id":\1,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"Notes 2"}}}/p; t
s/.*"id":([0-9]+),"method":"tools.list".*/{"jsonrpc":"2.0","id":\1,"result":{"tools":[{"name":"search"},{"name":"fail"},{"name":"silent"}]}}/p; t
s/.*"id":([0-9]+),.*"name":"fail".*/{"jsonrpc":"2.0","id":\1,"result":{"isError":true,"content":[{"text":"hunter2"}]}}/p; t
s/.*"id":([0-9]+),"method":"prompts.*/{"jsonrpc":"2.0","id":\1,"error":{"code":-32602,"message":"hunter2"}}/p; t
/"name":"silent"/d
s/.*"id":([0-9]+),.*/{"jsonrpc":"2.0","id":\1,"result":{"text":"hunter2"}}/p'"#;

/// The component that its name makes.
pub(crate) const COMPONENT: &str = "Notes-2";

pub(crate) struct Session {
    pub(crate) server: Wrapped,
    next: i64,
}

impl Session {
    /// A session that reports to that address and has shaken hands.
    pub(crate) fn start(address: &str) -> Self {
        Self::with(command(), address)
    }

    pub(crate) fn with(mut command: Command, address: &str) -> Self {
        command.env("MCP_OTEL_BRIDGE_URL", format!("http://{address}"));
        Self::of(command)
    }

    /// A session of a command that knows where to report, with its hands shaken.
    pub(crate) fn of(command: Command) -> Self {
        let mut session = Self { server: Wrapped::start(command), next: 0 };
        let client = json!({"name": "claude-ai", "version": "1"});
        session.ask("initialize", json!({"protocolVersion": "2025-11-25", "clientInfo": client}));
        session
    }

    /// Sends a request; its id.
    pub(crate) fn send(&mut self, method: &str, params: Value) -> i64 {
        self.next += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params});
        self.server.write(format!("{request}\n").as_bytes());
        self.next
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let answer: Value = serde_json::from_str(&self.server.line()).unwrap();
        assert_eq!(answer["id"], id);
        answer
    }

    pub(crate) fn ping(&mut self, times: usize) {
        for _ in 0..times {
            self.ask("ping", json!({}));
        }
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        let notification = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.server.write(format!("{notification}\n").as_bytes());
    }

    /// Closes it as a client does; what was on standard error.
    pub(crate) fn close(mut self) -> String {
        self.server.close_stdin();
        assert!(self.server.wait().success());
        self.server.errors()
    }
}

/// The command of a session.
pub(crate) fn command() -> Command {
    command_with(&[])
}

/// The same with flags of `wrap`.
pub(crate) fn command_with(flags: &[&str]) -> Command {
    wrap(flags, SERVER)
}

/// An address where nobody listens yet.
pub(crate) fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

pub(crate) fn samples(bridge: &Serving) -> Samples {
    Samples::parse(&openmetrics(bridge))
}

fn openmetrics(bridge: &Serving) -> String {
    let request = ureq::get(bridge.url("/metrics")).header("accept", "application/openmetrics-text;version=1.0.0");
    request.call().unwrap().body_mut().read_to_string().unwrap()
}

/// How many of the wrapper's events the bridge has accepted since its start.
pub(crate) fn accepted(bridge: &Serving) -> u64 {
    samples(bridge).get("bridge_events_accepted_total{source=\"wrap\"}") as u64
}

pub(crate) fn await_accepted(bridge: &Serving, count: u64) {
    until(&format!("{count} accepted"), || accepted(bridge) >= count);
    assert_eq!(accepted(bridge), count);
}
