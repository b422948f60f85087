//! What `wrap` costs an MCP session: the latency of a small call, the throughput of a stream, memory.
//!
//!     cargo bench --bench wrap [latency|throughput]
//!
//! This program is the client, and in other roles the server. The peers are proxies that take stdio on both sides:
//! `fastmcp run` (PyPI fastmcp), and two of PyPI's mcp-proxy back to back, as one alone has HTTP on one side. They are
//! looked for in `target/peers/fastmcp/bin/fastmcp` and `target/peers/mcp-proxy/bin/mcp-proxy`, or where
//! `BENCH_FASTMCP` and `BENCH_MCP_PROXY` say.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Calls of one repetition, after as many tenths to warm up.
const CALLS: usize = 5000;
/// The same for the peers, which take as much longer.
const CALLS_OF_PEERS: usize = 500;
const REPETITIONS: usize = 9;
/// The bytes of the stream, in messages of a kilobyte.
const STREAM: usize = 100 * 1024 * 1024;
const MESSAGE: usize = 1024;
const BRIDGE: &str = env!("CARGO_BIN_EXE_mcp-otel-bridge");

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("echo-server") => return echo_server(),
        Some("flood-server") => return flood_server(),
        Some("drain-server") => return drain_server(),
        _ => {}
    }
    // `cargo test --benches` runs this too: then there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let bridge = Bridge::start();
    let asked = |part: &str| {
        let other = if part == "latency" { "throughput" } else { "latency" };
        !std::env::args().any(|argument| argument == other)
    };
    if asked("latency") {
        latency(&bridge.url);
    }
    if asked("throughput") {
        throughput(&bridge.url);
    }
}

// ---- the servers ----------------------------------------------------------

/// An MCP server with one tool, which gives back what it was given.
fn echo_server() {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let Ok(request) = serde_json::from_str::<Value>(&line.unwrap()) else { continue };
        let Some(id) = request.get("id") else { continue };
        let params = &request["params"];
        let result = match request["method"].as_str().unwrap_or_default() {
            "initialize" => json!({"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "echo", "version": "1"}}),
            "tools/list" => json!({"tools": [{"name": "echo", "description": "Says it again",
                "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}}]}),
            "tools/call" => json!({"content": [{"type": "text", "text": params["arguments"]["text"]}]}),
            "ping" => json!({}),
            _ => {
                let error = json!({"code": -32601, "message": "Method not found"});
                writeln!(out, "{}", json!({"jsonrpc": "2.0", "id": id, "error": error})).unwrap();
                out.flush().unwrap();
                continue;
            }
        };
        writeln!(out, "{}", json!({"jsonrpc": "2.0", "id": id, "result": result})).unwrap();
        out.flush().unwrap();
    }
}

fn message() -> Vec<u8> {
    let head = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":""#;
    let mut message = head.as_bytes().to_vec();
    message.resize(MESSAGE - 4, b'x');
    message.extend_from_slice(b"\"}}\n");
    message
}

/// Waits for a line, then writes the stream.
fn flood_server() {
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    flood(&mut std::io::stdout().lock());
}

fn flood(to: &mut impl std::io::Write) {
    let chunk = message().repeat(64);
    for _ in 0..STREAM / chunk.len() {
        to.write_all(&chunk).unwrap();
    }
    to.flush().unwrap();
}

/// Reads the stream, then answers with a line.
fn drain_server() {
    drain(&mut std::io::stdin().lock());
    println!("done");
    // Until the client has looked at the wrapper's memory.
    let _ = std::io::stdin().lock().read_line(&mut String::new());
}

fn drain(from: &mut impl std::io::Read) {
    let (mut left, mut buffer) = (STREAM, vec![0; 256 * 1024]);
    while left > 0 {
        let most = left.min(buffer.len());
        let read = from.read(&mut buffer[..most]).unwrap();
        assert!(read > 0, "the stream ended early");
        left -= read;
    }
}

// ---- how a server is started ----------------------------------------------

struct Bridge {
    process: Child,
    url: String,
}

impl Bridge {
    fn start() -> Self {
        let mut process = Command::new(BRIDGE)
            .args(["serve", "--listen", "127.0.0.1:0", "--ephemeral"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("the banner").unwrap();
            if let Some(url) = line.trim().strip_prefix("send") {
                break url.trim().trim_end_matches("/v1/events").to_owned();
            }
        };
        Self { process, url }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn this() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

fn bare(role: &str) -> Command {
    let mut command = Command::new(this());
    command.arg(role);
    command
}

fn wrapped(role: &str, bridge: &str) -> Command {
    let mut command = Command::new(BRIDGE);
    command.args(["wrap", "--bridge", bridge, "--", &this(), role]);
    command
}

/// A client's end of a server, and whatever else runs for it.
struct Session {
    server: Child,
    helper: Option<Child>,
    output: BufReader<std::process::ChildStdout>,
    line: String,
}

impl Session {
    fn start(mut command: Command, helper: Option<Child>) -> Self {
        let mut server =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the server");
        let output = BufReader::with_capacity(256 * 1024, server.stdout.take().unwrap());
        Self { server, helper, output, line: String::new() }
    }

    fn send(&mut self, line: &str) {
        self.server.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// Sends a request and waits for what is answered to it.
    fn ask(&mut self, line: &str, id: usize) {
        self.send(line);
        loop {
            self.line.clear();
            assert!(self.output.read_line(&mut self.line).unwrap() > 0, "the server ended");
            // Proxies write the members in another order, and notifications in between.
            if self.line.contains(&format!("\"id\":{id},")) || self.line.contains(&format!("\"id\":{id}}}")) {
                return;
            }
        }
    }

    fn initialize(&mut self) {
        let params =
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}});
        let request = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        self.ask(&format!("{request}\n"), 0);
        self.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
        self.ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n", 1);
    }

    /// The time of each call.
    fn calls(&mut self, count: usize) -> Vec<Duration> {
        let call = |id| {
            let params = json!({"name": "echo", "arguments": {"text": "hello"}});
            format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
        };
        let mut times = Vec::with_capacity(count);
        for id in 2..2 + count + count / 10 {
            let call = call(id);
            let started = Instant::now();
            self.ask(&call, id);
            times.push(started.elapsed());
        }
        times.split_off(count / 10)
    }

    /// The most memory that the process which was started had resident, in MiB.
    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("VmHWM: 0");
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
        if let Some(helper) = &mut self.helper {
            let _ = helper.kill();
            let _ = helper.wait();
        }
    }
}

/// Starts a session behind the program.
type Start = fn(&PathBuf) -> Session;

/// A proxy to compare with.
struct Peer {
    name: &'static str,
    program: PathBuf,
    start: Start,
}

fn peers() -> Vec<Peer> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let known: [(&'static str, &str, &str, Start); 2] = [
        ("fastmcp run", "BENCH_FASTMCP", "fastmcp/bin/fastmcp", fastmcp),
        ("mcp-proxy, twice", "BENCH_MCP_PROXY", "mcp-proxy/bin/mcp-proxy", mcp_proxy),
    ];
    known
        .into_iter()
        .filter_map(|(name, variable, path, start)| {
            let program = std::env::var_os(variable).map_or_else(|| root.join(path), PathBuf::from);
            if !program.exists() {
                println!("{name} is not measured: {} is missing ({variable} names another)\n", program.display());
                return None;
            }
            Some(Peer { name, program, start })
        })
        .collect()
}

fn fastmcp(program: &PathBuf) -> Session {
    let file = std::env::temp_dir().join(format!("bench-wrap-{}.json", std::process::id()));
    let config = json!({"mcpServers": {"echo": {"command": this(), "args": ["echo-server"]}}});
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--no-banner"]).arg(file);
    Session::start(command, None)
}

fn mcp_proxy(program: &PathBuf) -> Session {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let helper = Command::new(program)
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--", &this(), "echo-server"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "mcp-proxy does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut command = Command::new(program);
    command.args(["--transport", "streamablehttp"]).arg(format!("http://127.0.0.1:{port}/mcp"));
    Session::start(command, Some(helper))
}

// ---- what is measured -----------------------------------------------------

fn quantile(sorted: &[Duration], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The p50 and p99 of one repetition, in microseconds.
fn repetition(mut session: Session, calls: usize) -> (f64, f64) {
    session.initialize();
    let mut times = session.calls(calls);
    times.sort_unstable();
    (quantile(&times, 0.5), quantile(&times, 0.99))
}

fn latency(bridge: &str) {
    let peers = peers();
    let mut measured: Vec<(&str, Vec<(f64, f64)>)> =
        ["no wrapper", "wrap"].into_iter().chain(peers.iter().map(|peer| peer.name)).map(|n| (n, Vec::new())).collect();
    for _ in 0..REPETITIONS {
        measured[0].1.push(repetition(Session::start(bare("echo-server"), None), CALLS));
        measured[1].1.push(repetition(Session::start(wrapped("echo-server", bridge), None), CALLS));
    }
    for _ in 0..REPETITIONS.min(3) {
        for (at, peer) in peers.iter().enumerate() {
            measured[2 + at].1.push(repetition((peer.start)(&peer.program), CALLS_OF_PEERS));
        }
    }
    println!("| a small tools/call over stdio | p50, us | p99, us | added at p50, us | added at p99, us |");
    println!("|---|---:|---:|---:|---:|");
    let of = |repetitions: &[(f64, f64)]| {
        (
            median(repetitions.iter().map(|(p50, _)| *p50).collect()),
            median(repetitions.iter().map(|(_, p99)| *p99).collect()),
        )
    };
    let (bare50, bare99) = of(&measured[0].1);
    for (name, repetitions) in &measured {
        let (p50, p99) = of(repetitions);
        let added = if *name == "no wrapper" {
            "| |".to_owned()
        } else {
            format!("{:.1} | {:.1} |", p50 - bare50, p99 - bare99)
        };
        println!("| {name} | {p50:.1} | {p99:.1} | {added}");
    }
    println!();
}

/// Mebibytes a second, and the most memory of the process that was started, in MiB.
fn stream_to_client(command: Command) -> (f64, f64) {
    let mut session = Session::start(command, None);
    let started = Instant::now();
    session.send("go\n");
    drain(&mut session.output);
    let rate = STREAM as f64 / 1024.0 / 1024.0 / started.elapsed().as_secs_f64();
    (rate, session.memory())
}

fn stream_to_server(command: Command) -> (f64, f64) {
    let mut session = Session::start(command, None);
    let started = Instant::now();
    flood(session.server.stdin.as_mut().unwrap());
    session.output.read_line(&mut session.line).unwrap();
    let rate = STREAM as f64 / 1024.0 / 1024.0 / started.elapsed().as_secs_f64();
    (rate, session.memory())
}

/// The server with a `cat` on the way.
fn through_cat(role: &str) -> Command {
    let script = match role {
        "flood-server" => "\"$0\" \"$1\" | cat",
        _ => "cat | \"$0\" \"$1\"",
    };
    let mut command = Command::new("sh");
    command.args(["-c", script, &this(), role]);
    command
}

fn throughput(bridge: &str) {
    println!(
        "| 100 MiB of messages | no wrapper, MiB/s | through cat | through wrap | wrap / cat | memory of wrap, MiB |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, role, measure) in [
        ("to the client", "flood-server", stream_to_client as fn(Command) -> (f64, f64)),
        ("to the server", "drain-server", stream_to_server),
    ] {
        let (mut direct, mut cat, mut wrap, mut ratios, mut memory) = (vec![], vec![], vec![], vec![], 0.0_f64);
        for _ in 0..REPETITIONS {
            direct.push(measure(bare(role)).0);
            let by_cat = measure(through_cat(role)).0;
            let (by_wrap, used) = measure(wrapped(role, bridge));
            cat.push(by_cat);
            wrap.push(by_wrap);
            ratios.push(by_wrap / by_cat);
            memory = memory.max(used);
        }
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.2} | {memory:.1} |",
            median(direct),
            median(cat),
            median(wrap),
            median(ratios)
        );
    }
    println!("\nMemory of wrap before: {:.1} MiB.", {
        let mut session = Session::start(wrapped("echo-server", bridge), None);
        session.initialize();
        session.memory()
    });
}
