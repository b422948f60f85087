//! A client of the MCP server that writes the very messages, over either transport and in either revision.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::bench::{Answer, Bench, LONG};
use crate::process::program;

/// A revision of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// 2025-11-25: a handshake comes first.
    Handshake,
    /// 2026-07-28: every request stands for itself.
    Stateless,
}

impl Revision {
    pub const ALL: [Self; 2] = [Self::Handshake, Self::Stateless];

    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "2025-11-25",
            Self::Stateless => "2026-07-28",
        }
    }

    /// What a request of this revision looks like.
    pub fn request(self, id: u64, method: &str, mut params: Value) -> Value {
        if self == Self::Stateless {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = self.name().into();
            meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "test", "version": "1"});
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        }
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    }
}

/// The first request of the older revision.
pub fn initialize() -> Value {
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": Revision::Handshake.name(), "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

/// Sends a message to `POST /mcp` with these headers beside the usual ones.
pub fn post(bench: &Bench, message: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Answer {
    let usual = [
        ("Host", "127.0.0.1"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    let given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let mut all: Vec<_> = usual.into_iter().filter(|(name, _)| !given(name)).collect();
    all.extend(headers);
    bench.request("POST", "/mcp", &all, message.as_ref())
}

/// `mcp-otel-bridge mcp` as a client runs it. It is killed when dropped.
pub struct Command {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    log: Option<JoinHandle<String>>,
}

impl Command {
    pub fn start(url: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = program();
        command.arg("mcp").envs(environment.iter().copied()).env("MCP_OTEL_BRIDGE_URL", url);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (line, lines) = channel();
        std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|l| line.send(l)));
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            let _ = err.read_to_string(&mut log);
            log
        });
        Self { input: child.stdin.take(), child, lines, log: Some(log) }
    }

    pub fn write(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    /// The next message, which is all that stands on its line.
    pub fn read(&mut self) -> Value {
        let line = self.lines.recv_timeout(LONG).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Closes its input and waits for its end: the exit code, the messages that still came, and its log.
    pub fn finish(mut self) -> (Option<i32>, Vec<Value>, String) {
        drop(self.input.take());
        let mut rest = Vec::new();
        // The output ends with the process.
        while let Ok(line) = self.lines.recv_timeout(LONG) {
            rest.push(serde_json::from_str(&line).unwrap());
        }
        let status = self.child.wait().unwrap();
        (status.code(), rest, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

enum Transport<'a> {
    Http(&'a Bench),
    Stdio(Box<Command>),
}

/// A client that has said hello.
pub struct Client<'a> {
    transport: Transport<'a>,
    revision: Revision,
    id: u64,
}

impl<'a> Client<'a> {
    pub fn http(bench: &'a Bench, revision: Revision) -> Self {
        let mut client = Self { transport: Transport::Http(bench), revision, id: 0 };
        client.hello();
        client
    }

    pub fn stdio(url: &str, environment: &[(&str, &str)], revision: Revision) -> Self {
        let command = Box::new(Command::start(url, environment));
        let mut client = Self { transport: Transport::Stdio(command), revision, id: 0 };
        client.hello();
        client
    }

    fn hello(&mut self) {
        if self.revision == Revision::Handshake {
            let answer = self.exchange(&initialize());
            assert_eq!(answer["result"]["protocolVersion"], self.revision.name(), "{answer}");
            assert_eq!(answer["result"]["serverInfo"]["name"], "mcp-otel-bridge");
            let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            match &mut self.transport {
                Transport::Http(bench) => assert_eq!(post(bench, done.to_string(), &[]).status, 202),
                Transport::Stdio(command) => command.write(&done.to_string()),
            }
        } else {
            let answer = self.request("server/discover", json!({}));
            let versions = answer["result"]["supportedVersions"].as_array().unwrap();
            assert!(Revision::ALL.iter().all(|revision| versions.contains(&revision.name().into())), "{answer}");
        }
    }

    /// Sends a request and gives its whole answer.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        let answer = self.exchange(&self.revision.request(self.id, method, params));
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(self.id)), "{answer}");
        answer
    }

    fn exchange(&mut self, message: &Value) -> Value {
        match &mut self.transport {
            Transport::Http(bench) => {
                let mut headers = vec![("MCP-Protocol-Version", self.revision.name())];
                if self.revision == Revision::Stateless {
                    headers.push(("Mcp-Method", message["method"].as_str().unwrap()));
                    headers.extend(message["params"]["name"].as_str().map(|name| ("Mcp-Name", name)));
                }
                post(bench, message.to_string(), &headers).json()
            }
            Transport::Stdio(command) => {
                command.write(&message.to_string());
                command.read()
            }
        }
    }

    /// Calls a tool and gives its result.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }

    /// Calls a tool under this parent and gives its result.
    pub fn call_under(&mut self, parent: &str, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"traceparent": parent}});
        self.request("tools/call", params)["result"].clone()
    }

    /// Calls a tool that succeeds, and gives its structured answer, which its text tells too.
    pub fn structured(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], false, "{result}");
        let told: Value = serde_json::from_str(text(&result)).unwrap();
        assert_eq!(told, result["structuredContent"]);
        told
    }

    /// Calls a tool that fails; gives what it says.
    pub fn failed(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        text(&result).to_owned()
    }
}

/// The text of a tool's result.
pub fn text(result: &Value) -> &str {
    assert_eq!((&result["content"][0]["type"], &result["content"][1]), (&json!("text"), &Value::Null), "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

/// Runs the test with a client of each transport and revision, each with a bridge of its own.
pub fn every_way(test: impl Fn(&mut Client, &Bench)) {
    for revision in Revision::ALL {
        let bench = Bench::start();
        test(&mut Client::http(&bench, revision), &bench);
        let bench = Bench::start();
        test(&mut Client::stdio(&format!("http://{}", bench.addr), &[], revision), &bench);
    }
}
