//! A served bridge with a quick feed, and a client of it.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::Config;
use mcp_otel_bridge::expose::exposition::Format;
use mcp_otel_bridge::serve::Server;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything here takes; what waits for so long has failed.
pub const LONG: Duration = Duration::from_secs(20);

/// A served bridge. It stops when dropped.
pub struct Bench {
    pub bridge: Bridge,
    pub addr: SocketAddr,
    pub live_addr: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
}

impl Bench {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
        config.limits.shutdown = Duration::from_secs(5);
        config.live.interval = Duration::from_millis(20);
        change(&mut config);
        let bridge = Bridge::builder().config(config.clone()).build().unwrap();
        let server = Server::bind(bridge.clone(), &config).await.unwrap();
        let (addr, live_addr) = (server.local_addr(), server.live_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(server.run(async { drop(stopped.await) }));
        Self { bridge, addr, live_addr, stop: Some(stop), served: Some(served) }
    }

    /// Tells the server to stop, and does not wait for it.
    pub fn signal(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for the end of the server; how long it took.
    pub async fn ended(&mut self) -> Duration {
        let began = Instant::now();
        self.served.take().unwrap().await.unwrap();
        began.elapsed()
    }

    pub async fn client(&self) -> Client {
        self.client_with(&[]).await.unwrap()
    }

    /// A client with these headers; else the status of the refusal.
    pub async fn client_with(&self, headers: &[(&'static str, &str)]) -> Result<Client, u16> {
        Client::connect(self.addr, "/live", headers).await
    }

    /// The value of that sample.
    pub fn sample(&self, series: &str) -> Option<f64> {
        let text = self.bridge.render(Format::Text004).unwrap();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    pub fn lost(&self) -> f64 {
        self.sample("bridge_live_dropped_total").unwrap_or(0.0)
    }

    /// Uses a skill so often.
    pub async fn use_skill(&self, name: &str, times: usize) {
        let (bridge, name) = (self.bridge.clone(), name.to_owned());
        let uses =
            move || (0..times).for_each(|_| drop(bridge.skill_invocation(&name, None, true, Some(0.5)).unwrap()));
        tokio::task::spawn_blocking(uses).await.unwrap();
    }
}

/// A client of the feed.
#[derive(Debug)]
pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
}

impl Client {
    pub async fn connect(addr: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        Self::over(TcpStream::connect(addr).await.unwrap(), addr, path, headers).await
    }

    pub async fn over(
        stream: TcpStream,
        addr: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let mut request = format!("ws://{addr}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match timeout(LONG, client_async(request, stream)).await.unwrap() {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message; else the code of the close.
    pub async fn next(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match timeout(LONG, self.socket.next()).await.expect("the feed is silent") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next message of that type; what comes before it is left out.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.unwrap();
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The data of the first update of which this is true.
    pub async fn until(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let update = self.next_of("metrics_update").await;
            if is(&update["data"]) {
                return update["data"].clone();
            }
            assert!(began.elapsed() < LONG, "{update}");
        }
    }

    /// The code that it is closed with, whatever comes before.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    pub async fn say(&mut self, message: Value) {
        self.say_text(&message.to_string()).await;
    }

    pub async fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Whether it is still answered.
    pub async fn is_served(&mut self) -> bool {
        self.say(json!({"type": "ping"})).await;
        self.next_of("pong").await["timestamp"].is_string()
    }
}
