//! `mcp`: the MCP server on standard input and output, whose tools ask a running bridge over HTTP.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use mcp_otel_bridge::client::{Client, EVENTS, Patience, Reply};
use mcp_otel_bridge::event::TraceParent;
use mcp_otel_bridge::mcp::{Backend, Unanswered, serve_stdio};
use serde_json::Value;
use tokio::sync::Semaphore;
use ureq::http::{StatusCode, Uri};

use super::Failure;
use super::input::BridgeArgs;

/// How long the bridge may take for an answer; a client of MCP waits about twice as long.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(10), whole: Duration::from_secs(30) };
/// So many requests to the bridge at once; further calls of tools wait.
const AT_ONCE: usize = 16;
/// Answers the scrape wherever the bridge's own path of it is.
const METRICS: &str = "/api/get_prometheus_metrics_service";

/// What `mcp` is told.
#[derive(Debug, Args)]
pub(super) struct McpArgs {
    #[command(flatten)]
    bridge: BridgeArgs,
}

/// A running bridge in another process.
#[derive(Debug, Clone)]
struct Remote {
    client: Client,
    places: Arc<Semaphore>,
}

/// Serves until standard input is closed.
pub(super) fn mcp(args: &McpArgs) -> Result<(), Failure> {
    let client = args.bridge.client()?.with_source("mcp").with_patience(PATIENCE);
    let url = client.url("");
    let schemes = [Some("http"), Some("https")];
    if !url.parse::<Uri>().is_ok_and(|uri| schemes.contains(&uri.scheme_str()) && uri.authority().is_some()) {
        return Err(Failure::Usage(format!(
            "{url:?} is no URL of a bridge; right would be, say, http://127.0.0.1:9090"
        )));
    }
    // Whoever sees no metrics in a client looks into its log first. The tools say the same, each time.
    let asked = client.clone();
    std::thread::spawn(move || drop(ask_for(&asked, "/v1/metrics/catalog").inspect_err(tell)));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::Fault(format!("the threads of the server could not be started: {error}")))?;
    let remote = Remote { client, places: Arc::new(Semaphore::new(AT_ONCE)) };
    let served = runtime.block_on(serve_stdio(remote));
    // A read of standard input, or a request that nobody waits for any more, must not hold the process.
    runtime.shutdown_background();
    served.map_err(|error| Failure::Fault(error.to_string()))
}

impl Remote {
    /// Asks on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Client) -> Result<T, Unanswered> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let stopping = || Unanswered("the MCP server is stopping".to_owned());
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| stopping())?;
        let client = self.client.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let answer = ask(&client);
            drop(place);
            answer
        });
        asked.await.map_err(|_| stopping())?.inspect_err(tell)
    }
}

impl Backend for Remote {
    async fn catalog(&self) -> Result<Value, Unanswered> {
        self.ask(|client| json(client, &ask_for(client, "/v1/metrics/catalog")?)).await
    }

    async fn exposition(&self, names: Vec<String>) -> Result<String, Unanswered> {
        self.ask(move |client| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(names.iter().map(|name| ("name[]", name)));
            ask_for(client, &format!("{METRICS}?{}", query.finish())).map(|reply| reply.body)
        })
        .await
    }

    async fn summary(&self) -> Result<Value, Unanswered> {
        self.ask(|client| json(client, &ask_for(client, "/v1/metrics/summary")?)).await
    }

    async fn record(&self, event: Value, parent: Option<TraceParent>) -> Result<Value, Unanswered> {
        let parent = parent.map(|parent| parent.to_string());
        self.ask(move |client| {
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(parent.as_deref().map(|parent| ("traceparent", parent)));
            let reply = client.post(EVENTS, &headers, &event.to_string());
            let reply = reply.map_err(|error| away(client, &error))?;
            match reply.status {
                // An event that was rejected is answered too.
                StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => json(client, &reply),
                _ => Err(refused(client, &reply)),
            }
        })
        .await
    }
}

/// What is at a path, where the bridge shows it.
fn ask_for(client: &Client, path: &str) -> Result<Reply, Unanswered> {
    let reply = client.get(path).map_err(|error| away(client, &error))?;
    if reply.status == StatusCode::OK { Ok(reply) } else { Err(refused(client, &reply)) }
}

fn json(client: &Client, reply: &Reply) -> Result<Value, Unanswered> {
    let object = serde_json::from_str(&reply.body).ok().filter(Value::is_object);
    object.ok_or_else(|| stranger(client, reply))
}

fn away(client: &Client, error: &ureq::Error) -> Unanswered {
    Unanswered(client.distrust(error).unwrap_or_else(|| {
        format!(
            "no bridge answers at {} ({}): start one with `mcp-otel-bridge serve`, or name another one with \
             MCP_OTEL_BRIDGE_URL or --bridge",
            client.url(""),
            client.away(error)
        )
    }))
}

fn refused(client: &Client, reply: &Reply) -> Unanswered {
    if let Some(why) = client.refusal(reply) {
        return Unanswered(why);
    }
    let url = client.url("");
    match reply.status {
        StatusCode::SERVICE_UNAVAILABLE => {
            Unanswered(format!("the bridge at {url} cannot answer now: {}; try again", reply.body.trim()))
        }
        _ => stranger(client, reply),
    }
}

/// Something else listens there, such as a Prometheus, whose port is the same.
fn stranger(client: &Client, reply: &Reply) -> Unanswered {
    let (url, status) = (client.url(""), reply.status);
    Unanswered(format!(
        "what answers at {url} is no mcp-otel-bridge of this version ({status}): name the bridge with \
         MCP_OTEL_BRIDGE_URL or --bridge"
    ))
}

/// Standard output is the client's.
fn tell(unanswered: &Unanswered) {
    // Nobody may read it.
    let _ = writeln!(std::io::stderr(), "mcp-otel-bridge: {unanswered}");
}
