//! A secret in arguments, results, prompts, errors, names and the environment is nowhere in what the wrapper sends to the
//! bridge, nor in what the bridge holds or sends: its pages, its data, its push, its log.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::ledger::assert_counted;
use crate::peers::bridge::{Bridge, OPENMETRICS, TEXT_004, TEXT_100};
use crate::peers::collector::Collector;
use crate::peers::{http, until};
use crate::servers::{Server, ask, call, everything, faulty, time, with};
use crate::stage::{Client, Session, play};

/// What must not be found.
const SECRET: &str = "hunter2-S3CR3T";

#[test]
fn a_secret_is_recorded_nowhere() {
    let data = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let mut bridge = Bridge::options()
        .data_dir(data.path())
        .push_to(&collector)
        .variable("MCP_OTEL_BRIDGE_LOG_FILTER", "trace")
        .start();
    let tap = Tap::before(&bridge.address);
    let plant = |mut server: Server, steps: Vec<Value>| {
        // The servers take no notice of what else stands in their command, but for the one that knows its flags.
        if !server.command[0].ends_with("mcp-server-time") {
            server.command.extend(["stdio".to_owned(), SECRET.to_owned()]);
        }
        server.variable("PEER_TOKEN", SECRET).steps(steps)
    };
    let mut played = Vec::new();
    for (name, server, steps) in
        [("everything", everything(), of_everything()), ("faulty", faulty(), of_faulty()), ("time", time(), of_time())]
    {
        let session = |client| Session {
            bridge: Some(tap.url()),
            ..Session::wrapped(&bridge, &format!("{name}-{client:?}"), "legacy")
        };
        let server = plant(server, steps);
        for client in [Client::Python, Client::Node] {
            played.extend(play(client, &server, &[session(client)]).finish());
        }
    }
    for one in &played {
        assert_counted(&bridge, one);
        // The client knows it from its own questions and from the answers, so the steps are those that plant it.
        assert!(one.transcript.contains(SECRET), "{}", one.name);
    }

    let reports = tap.heard();
    assert!(String::from_utf8_lossy(&reports).contains("everything-Python"), "the tap heard nothing that can be read");
    assert_clean("the reports", &reports);
    for page in ["/v1/sessions", "/v1/metrics/summary", "/v1/metrics/catalog", "/health/metrics", "/readyz"] {
        assert_clean(page, http::get(&bridge.url(page), "*/*").unwrap().body.as_bytes());
    }
    for format in [OPENMETRICS, TEXT_100, TEXT_004] {
        assert_clean(format, bridge.scrape(format).body.as_bytes());
    }
    until("the spans of all sessions", || {
        let sessions = collector.spans().iter().filter(|span| span.name.starts_with("session ")).count();
        (sessions == played.len()).then_some(())
    });
    bridge.stop();
    assert_clean("the log", bridge.process.lines().join("\n").as_bytes());
    assert_clean("what was pushed", collector.raw().as_bytes());
    assert!(assert_clean_files(data.path()), "there were no files in the data directory");
}

/// Stands before a bridge and hears what it is sent. Its listener goes with the process.
struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn before(bridge: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (bridge, keep) = (bridge.to_owned(), Arc::clone(&heard));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&bridge) else { continue };
                let (back_from, back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(back_from, back_to, |_| ()));
                let keep = Arc::clone(&keep);
                thread::spawn(move || pass(client, server, |bytes| keep.lock().unwrap().extend_from_slice(bytes)));
            }
        });
        Self { address, heard }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, hear: impl Fn(&[u8])) {
    let mut buffer = [0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        hear(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side may have closed it already.
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Looks through all files of a folder; says whether there were any.
fn assert_clean_files(folder: &Path) -> bool {
    let mut any = false;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            any |= assert_clean_files(&path);
        } else {
            assert_clean(&path.display().to_string(), &fs::read(&path).unwrap());
            any = true;
        }
    }
    any
}

fn assert_clean(what: &str, bytes: &[u8]) {
    let at = bytes.windows(SECRET.len()).position(|window| window == SECRET.as_bytes());
    if let Some(at) = at {
        let around = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
        panic!("the secret is in {what}: {}", String::from_utf8_lossy(around));
    }
}

fn of_everything() -> Vec<Value> {
    let prompt = |name: &str, arguments: Value| json!({"request": "prompts/get", "name": name, "arguments": arguments});
    vec![
        json!({"await": "roots/list"}),
        ask("tools/list"),
        call("echo", json!({"message": SECRET})),
        call("echo", json!({"message": [SECRET]})),
        with(call("echo", json!({"message": "hello"})), json!({"meta": {"example.org/key": SECRET}})),
        call(SECRET, json!({})),
        call("get-env", json!({})),
        call("trigger-sampling-request", json!({"prompt": SECRET})),
        prompt("args-prompt", json!({"city": SECRET})),
        prompt(SECRET, json!({})),
        json!({"request": "resources/read", "uri": format!("demo://resource/{SECRET}")}),
        json!({"request": "completion/complete", "prompt": "completable-prompt",
               "argument": {"name": "department", "value": SECRET}}),
    ]
}

fn of_faulty() -> Vec<Value> {
    let text = |tool: &str| call(tool, json!({"text": SECRET}));
    vec![
        ask("tools/list"),
        text("echo"),
        text("fail"),
        text("refuse"),
        with(text("hang"), json!({"timeout": 0.3})),
        text("crash"),
    ]
}

fn of_time() -> Vec<Value> {
    vec![
        ask("tools/list"),
        call("get_current_time", json!({"timezone": SECRET})),
        json!({"request": "prompts/get", "name": SECRET}),
    ]
}
