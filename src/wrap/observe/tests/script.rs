//! A stream as a script: who says what and when, and what is reported of it.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::event::{ComponentName, Label, SessionStart};
use crate::wrap::observe::moment::Moment;
use crate::wrap::observe::names::Names;
use crate::wrap::observe::observer::Observer;
use crate::wrap::observe::session::{Report, Session};
use crate::wrap::report::Loss;
use crate::wrap::tap::{Piece, Way};

/// When every script begins, in seconds since 1970: 2026-02-06T12:34:56Z.
const BEGINNING: u64 = 1_770_381_296;

/// An operation's method, tool, duration in milliseconds, and error.
pub(super) type Operation<'a> = (&'a str, Option<&'a str>, u64, Option<&'a str>);

fn operation(event: &Value) -> Operation<'_> {
    let millis = (event["duration_seconds"].as_f64().unwrap() * 1000.0).round() as u64;
    (event["method"].as_str().unwrap(), event["tool_name"].as_str(), millis, event["error_type"].as_str())
}

pub(super) struct Script {
    observer: Observer,
    beginning: Instant,
    passed: Duration,
    /// What was reported so far, as it is sent.
    pub(super) events: Vec<Value>,
    pub(super) losses: Vec<Loss>,
}

impl Script {
    pub(super) fn new() -> Self {
        Self::of(None, "/usr/local/bin/notes server", None)
    }

    pub(super) fn of(component: Option<&str>, command: &str, parent: Option<&str>) -> Self {
        let beginning = Instant::now();
        let now = Moment::new(beginning, SystemTime::UNIX_EPOCH + Duration::from_secs(BEGINNING));
        let here = SessionStart::here(ComponentName::lossy(""), Label::lossy(""));
        let session = Session::new(here, parent.map(|parent| parent.parse().unwrap()), now.timestamp());
        let observer = Observer::new(Names::new(component, Some(OsStr::new(command))), session, now);
        Self { observer, beginning, passed: Duration::ZERO, events: Vec::new(), losses: Vec::new() }
    }

    /// A session of 2025-11-25 that has begun, and taken no time for it.
    pub(super) fn begun() -> Self {
        let mut script = Self::new();
        script.initialize();
        script.events.clear();
        script
    }

    pub(super) fn initialize(&mut self) {
        self.client(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "claude-ai", "version": "0.1.0"}}}));
        self.server(json!({"jsonrpc": "2.0", "id": 0, "result": {
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "@acme/Notes 2", "version": "3.1"}}}));
    }

    /// Lists the tools `search` and `add`.
    pub(super) fn list_tools(&mut self) {
        self.client(json!({"jsonrpc": "2.0", "id": "tools", "method": "tools/list"}));
        self.server(json!({"jsonrpc": "2.0", "id": "tools", "result": {"tools": [
            {"name": "search", "inputSchema": {"type": "object"}}, {"name": "add"}]}}));
        self.events.clear();
    }

    pub(super) fn call(&mut self, id: impl Into<Value>, tool: &str) {
        self.client(json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": {"name": tool}}));
    }

    pub(super) fn request(&mut self, id: impl Into<Value>, method: &str) {
        self.client(json!({"jsonrpc": "2.0", "id": id.into(), "method": method}));
    }

    pub(super) fn result(&mut self, id: impl Into<Value>, result: Value) {
        self.server(json!({"jsonrpc": "2.0", "id": id.into(), "result": result}));
    }

    pub(super) fn error(&mut self, id: impl Into<Value>, code: i64) {
        let error = json!({"code": code, "message": "no"});
        self.server(json!({"jsonrpc": "2.0", "id": id.into(), "error": error}));
    }

    pub(super) fn client(&mut self, message: Value) {
        self.bytes(Way::ToServer, format!("{message}\n").as_bytes());
    }

    pub(super) fn server(&mut self, message: Value) {
        self.bytes(Way::ToClient, format!("{message}\n").as_bytes());
    }

    pub(super) fn bytes(&mut self, way: Way, bytes: &[u8]) {
        let at = self.beginning + self.passed;
        self.piece(Piece::Bytes { way, at, bytes: bytes.to_vec() });
    }

    /// Time passes.
    pub(super) fn after(&mut self, millis: u64) -> &mut Self {
        self.passed += Duration::from_millis(millis);
        let now = self.now();
        self.observer.tick(now);
        self.collect();
        self
    }

    pub(super) fn piece(&mut self, piece: Piece) {
        let now = self.now();
        self.observer.piece(piece, now);
        self.collect();
    }

    /// The client closes its end, and the server ends so.
    pub(super) fn shut_down(&mut self, raw: i32) {
        self.piece(Piece::End { way: Way::ToServer });
        self.end(raw, true);
    }

    /// The server ends with this wait status.
    pub(super) fn exit(&mut self, raw: i32) {
        self.end(raw, false);
    }

    /// There is no time to read any more.
    pub(super) fn hurry(&mut self) {
        self.observer.hurry();
    }

    fn end(&mut self, raw: i32, asked: bool) {
        self.piece(Piece::End { way: Way::ToClient });
        self.piece(Piece::Exited { status: ExitStatus::from_raw(raw), asked });
        assert!(self.observer.is_over());
    }

    pub(super) fn of_type(&self, event_type: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event_type"] == event_type).collect()
    }

    /// The operations that were reported.
    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        self.of_type("mcp_operation").into_iter().map(operation).collect()
    }

    fn now(&self) -> Moment {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(BEGINNING) + self.passed;
        Moment::new(self.beginning + self.passed, time)
    }

    fn collect(&mut self) {
        for report in self.observer.reports() {
            match report {
                Report::Event(event) => self.events.push(serde_json::to_value(&event).unwrap()),
                Report::Lost(loss, count) => self.losses.extend((0..count).map(|_| loss)),
            }
        }
    }
}
