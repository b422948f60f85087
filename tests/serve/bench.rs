//! A bridge that is served on a free port, and a plain HTTP/1.1 client that sends and reads the very bytes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::Config;
use mcp_otel_bridge::serve::Server;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Longer than anything here takes; what waits for so long has failed.
pub const LONG: Duration = Duration::from_secs(20);

/// A served bridge. It stops when dropped.
pub struct Bench {
    pub bridge: Bridge,
    pub addr: SocketAddr,
    pub grpc_addr: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bench {
    pub fn start() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
        config.limits.shutdown = Duration::from_secs(3);
        change(&mut config);
        let bridge = Bridge::builder().config(config.clone()).build().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (bound, addrs) = std::sync::mpsc::channel();
        let served = bridge.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let server = Server::bind(served, &config).await.unwrap();
                bound.send((server.local_addr(), server.grpc_addr())).unwrap();
                server.run(async { drop(stopped.await) }).await;
            });
        });
        let (addr, grpc_addr) = addrs.recv_timeout(LONG).unwrap();
        Self { bridge, addr, grpc_addr, stop: Some(stop), thread: Some(thread) }
    }

    /// Tells the server to stop, and does not wait for it.
    pub fn signal(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for the end of the server; how long it took.
    pub fn join(&mut self) -> Duration {
        let began = Instant::now();
        self.thread.take().unwrap().join().unwrap();
        began.elapsed()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Sends a request and reads its answer. The body goes with its length.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        write_request(&mut stream, method, path, headers, body);
        Answer::read(&mut stream)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, headers, b"")
    }

    pub fn post(&self, content_type: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request("POST", "/v1/events", &[("Content-Type", content_type)], body.as_ref())
    }

    /// Sends one event.
    pub fn event(&self, event: &Value) -> Answer {
        self.post("application/json", event.to_string())
    }

    /// What /metrics shows.
    pub fn metrics(&self) -> String {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// The sum of the samples that begin like this.
    pub fn sum(&self, start: &str) -> f64 {
        sum(&self.metrics(), start)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.signal();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

pub fn sum(text: &str, start: &str) -> f64 {
    let samples = text.lines().filter(|line| line.starts_with(start));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

pub fn write_request(stream: &mut TcpStream, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str("Host: bridge\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // The server may answer and close before it has read all of a body that it does not want.
    let _ = stream.write_all(body);
}

/// An answer, as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer up to the end of the connection or, where it has a length, of its body.
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(answer) = Self::parse(&bytes) {
                return answer;
            }
            match stream.read(&mut chunk) {
                Ok(0) => panic!("the answer ended early: {:?}", String::from_utf8_lossy(&bytes)),
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
                Err(error) => panic!("{error}, after {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Self { status, headers, body: bytes[end + 4..].to_vec() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if answer.body.len() < length {
            return None;
        }
        answer.body.truncate(length);
        Some(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }
}

/// Waits until it holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A session's start, with an id of its own.
pub fn session_start(component: &str) -> Value {
    json!({
        "event_type": "session_start",
        "event_version": "1.0",
        "event_id": uuid::Uuid::new_v4().to_string(),
        "timestamp": "2026-03-01T10:00:00Z",
        "component_name": component,
        "shell_type": "TestShell",
        "pid": 1,
        "user": {"username": "u", "home": "/home/u"},
        "hostname": "h",
        "environment": {"platform": "linux", "cwd": "/"},
    })
}

/// An MCP event of a component.
pub fn mcp_event(component: &str) -> Value {
    json!({"event_type": "mcp_event", "component_name": component, "emitted_type": "tool_list", "duration_seconds": 0.5})
}
