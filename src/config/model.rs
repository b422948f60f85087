//! What the bridge runs on: plain values, complete and valid.
//!
//! [`crate::config`] builds a [`Config`] from defaults, file, environment and flags; everything else only reads it.

mod auth;
mod durability;
mod live;
mod mcp;
mod skills;

pub use auth::{Auth, Basic, Right, TokenSource, Tokens};
pub use durability::Durability;
pub use live::Live;
pub use mcp::Mcp;
pub use skills::{Anomalies, Skills};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::catalog::{Group, Kind, Metric};

/// The name of the bridge's one meter, which views may select by.
pub const METER_NAME: &str = "mcp-otel-bridge";

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The one listener of HTTP/1.1, HTTP/2 and gRPC.
    pub listen: SocketAddr,
    /// A listener of gRPC alone, when set.
    pub grpc_listen: Option<SocketAddr>,
    /// TLS of the listeners; plain text when `None`.
    pub tls: Option<ListenerTls>,
    /// Where the bridge keeps what it remembers; the user's state directory when `None`.
    pub data_dir: Option<PathBuf>,
    /// Keep everything in memory: nothing outlives the process.
    pub ephemeral: bool,
    /// What an acknowledged event survives.
    pub durability: Durability,
    /// How the bridge logs.
    pub log: Log,
    /// What every request but `/livez` and `/readyz` must show; on `/live` the first message may carry the token.
    pub auth: Auth,
    /// Bounds on what clients may ask for.
    pub limits: Limits,
    /// The scrape and the metrics behind it.
    pub metrics: Metrics,
    /// What the telemetry describes: attributes of the OpenTelemetry resource, later ones win.
    pub resource: Vec<(String, String)>,
    /// User views, in order; the first that matches an instrument holds for it.
    pub views: Vec<View>,
    /// Which measurements leave exemplars.
    pub exemplar_filter: ExemplarFilter,
    /// Which sessions and calls are traced when they have no parent.
    pub sampler: Sampler,
    /// OTLP push of metrics; `None` is off.
    pub push_metrics: Option<PushMetrics>,
    /// OTLP push of spans; `None` is off.
    pub push_spans: Option<PushSpans>,
    /// What waits for the collector.
    pub outbox: Outbox,
    /// How sessions are remembered.
    pub sessions: Sessions,
    /// How repeated events are recognised.
    pub events: Events,
    /// How open requests of a hub are remembered.
    pub requests: Requests,
    /// The gauges of the machine.
    pub system: System,
    /// What `mcp_hub_app_info` tells.
    pub app: App,
    /// What is kept of calls through circuit breakers.
    pub circuit_breakers: CircuitBreakers,
    /// How skills are remembered and watched.
    pub skills: Skills,
    /// How the live feed is served.
    pub live: Live,
    /// Who may ask the bridge's own MCP server.
    pub mcp: Mcp,
}

/// What the listeners need for TLS. The files are read again when they change.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerTls {
    /// The listeners' own certificate and key.
    pub identity: KeyPair,
    /// The authorities, as a PEM file, of which clients must show a certificate; `None` asks for none.
    pub client_ca_file: Option<PathBuf>,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyPair {
    /// The certificate chain.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// How the bridge logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Lines for a person, or JSON.
    pub format: LogFormat,
    /// A `tracing` filter such as `info` or `mcp_otel_bridge=debug`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    Human,
    /// One JSON object a line.
    Json,
}

/// A value that must not be shown. `Debug` masks it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that compares or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

/// Bounds on what clients may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// The most connections at once, over all listeners.
    pub connections: usize,
    /// From the opening of a connection to its first bytes.
    pub first_bytes: Duration,
    /// From the first byte of a TLS handshake to its end.
    pub tls_handshake: Duration,
    /// From the first byte of a request's headers to their last; also closes connections that stay idle this long.
    pub headers: Duration,
    /// From the end of a request's headers to the start of its answer.
    pub request: Duration,
    /// How long a stream may stay silent.
    pub idle_stream: Duration,
    /// The most events that may wait for the writer.
    pub queue_events: usize,
    /// From the signal to stop to the end of the process.
    pub shutdown: Duration,
}

/// The scrape and the metrics behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Whether `/metrics` answers (`enable_prometheus_metrics`).
    pub enabled: bool,
    /// The path of the scrape (`prometheus_metrics_path`).
    pub path: String,
    /// The groups that are recorded.
    pub groups: Vec<Group>,
    /// The most series of one instrument, overflow apart, where no view sets another limit.
    pub series_limit: usize,
}

/// A user view, after OpenTelemetry's declarative configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// Which instruments it changes.
    pub selector: Selector,
    /// What it changes.
    pub stream: Stream,
}

/// Which instruments a view changes: those that match every part that is set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selector {
    /// The OpenTelemetry name, with `*` for any run of characters and `?` for one.
    pub instrument_name: Option<String>,
    /// The kind of instrument.
    pub instrument_type: Option<Kind>,
    /// The UCUM unit.
    pub unit: Option<String>,
}

impl Selector {
    /// Whether it selects the instrument of this metric.
    pub fn matches(&self, metric: &Metric) -> bool {
        self.instrument_name.as_deref().is_none_or(|pattern| super::wildcard::matches(pattern, metric.otel))
            && self.instrument_type.is_none_or(|kind| kind == metric.kind)
            && self.unit.as_deref().is_none_or(|unit| unit == metric.unit)
    }
}

/// What a view changes of a stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stream {
    /// The bounds of a histogram's buckets, rising.
    pub boundaries: Option<Vec<f64>>,
    /// Keep only these attribute keys.
    pub included: Option<Vec<String>>,
    /// Drop these attribute keys.
    pub excluded: Vec<String>,
    /// The most series, overflow apart.
    pub cardinality_limit: Option<usize>,
    /// Record nothing at all.
    pub drop: bool,
}

/// Which measurements leave exemplars (OTEL_METRICS_EXEMPLAR_FILTER).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExemplarFilter {
    /// Those made in a sampled span.
    TraceBased,
    /// None.
    AlwaysOff,
}

/// The sampler of spans that have no parent; where `parent_based`, a parent's decision is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether a remote parent's decision goes before the root's.
    pub parent_based: bool,
    /// The share of traces that are sampled, by trace id: 1 is all, 0 none.
    pub ratio: f64,
}

/// OTLP push of metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct PushMetrics {
    /// Where to and how.
    pub otlp: Otlp,
    /// From one push to the next.
    pub interval: Duration,
    /// How long one collection and export may take.
    pub timeout: Duration,
    /// What a point of a counter or histogram tells.
    pub temporality: Temporality,
}

/// What a pushed point of a counter or histogram tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporality {
    /// The total since the start.
    Cumulative,
    /// The change since the last push.
    Delta,
}

/// OTLP push of spans, after OTEL_BSP_*.
#[derive(Debug, Clone, PartialEq)]
pub struct PushSpans {
    /// Where to and how.
    pub otlp: Otlp,
    /// The longest that a span waits for others.
    pub schedule_delay: Duration,
    /// How long one export may take.
    pub export_timeout: Duration,
    /// The most spans of the SDK's tracers that may wait to be filed; the outbox has a budget of its own.
    pub max_queue_size: usize,
    /// The most spans in one export.
    pub max_export_batch_size: usize,
}

/// One OTLP endpoint over gRPC.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    /// `http://` or `https://`, host and port.
    pub endpoint: String,
    /// Metadata sent with each request; names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// The bound on one request, connecting included.
    pub timeout: Duration,
    /// Trust these roots rather than the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificate and key to show to the server, as PEM files.
    pub client: Option<KeyPair>,
}

/// What waits for the collector.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outbox {
    /// The most bytes of spans and metrics together; 1 GiB on disk and 64 MiB in memory when `None`.
    pub max_bytes: Option<usize>,
}

/// How sessions are remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Sessions {
    /// A session of which nothing was heard for so long has ended.
    pub timeout: Duration,
    /// The most sessions that may be active at once.
    pub max_active: usize,
    /// How long ended sessions are remembered.
    pub remember_ended: Duration,
    /// The most ended sessions that are remembered.
    pub max_ended: usize,
}

/// How repeated events are recognised.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// How long an event's id is remembered.
    pub dedupe_horizon: Duration,
    /// The most ids that are remembered.
    pub dedupe_max: usize,
}

/// How open requests of a hub are remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Requests {
    /// A request that has not ended for so long has failed, with the error type `timeout`.
    pub timeout: Duration,
    /// The most requests that may be open at once, and the most ended ones that are remembered.
    pub max_active: usize,
}

/// The gauges of the machine: CPU, memory, disk and uptime.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    /// Whether they are shown, where the program asks for them at all ([`crate::Builder::system_gauges`]).
    pub enabled: bool,
    /// From one sample to the next.
    pub interval: Duration,
}

/// What `mcp_hub_app_info` tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct App {
    /// The application's name; the resource's `service.name` when `None`.
    pub name: Option<String>,
    /// The application's version; the resource's `service.version` when `None`.
    pub version: Option<String>,
}

/// What is kept of calls through circuit breakers.
#[derive(Debug, Clone, PartialEq)]
pub struct CircuitBreakers {
    /// Quantiles and means of latency are those of so many calls of a component, the last ones.
    pub max_latency_samples: usize,
    /// Whether each request to the bridge's own listeners is recorded as a call.
    pub observe_requests: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090),
            grpc_listen: None,
            tls: None,
            data_dir: None,
            ephemeral: false,
            durability: Durability::default(),
            log: Log::default(),
            auth: Auth::default(),
            limits: Limits::default(),
            metrics: Metrics::default(),
            resource: Vec::new(),
            views: Vec::new(),
            exemplar_filter: ExemplarFilter::TraceBased,
            sampler: Sampler::default(),
            push_metrics: None,
            push_spans: None,
            outbox: Outbox::default(),
            sessions: Sessions::default(),
            events: Events::default(),
            requests: Requests::default(),
            system: System::default(),
            app: App::default(),
            circuit_breakers: CircuitBreakers::default(),
            skills: Skills::default(),
            live: Live::default(),
            mcp: Mcp::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Human, filter: "info".to_owned() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 * 1024 * 1024,
            connections: 1024,
            first_bytes: Duration::from_secs(10),
            tls_handshake: Duration::from_secs(10),
            // Above the common scrape intervals: the same clock closes idle keep-alive connections.
            headers: Duration::from_secs(90),
            request: Duration::from_secs(30),
            idle_stream: Duration::from_secs(300),
            queue_events: 65_536,
            shutdown: Duration::from_secs(10),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: true, path: "/metrics".to_owned(), groups: Group::ALL.to_vec(), series_limit: 2000 }
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self { parent_based: true, ratio: 1.0 }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(24 * 3600),
            max_active: 100_000,
            remember_ended: Duration::from_secs(7 * 24 * 3600),
            max_ended: 250_000,
        }
    }
}

impl Default for CircuitBreakers {
    fn default() -> Self {
        Self { max_latency_samples: 1000, observe_requests: false }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self { dedupe_horizon: Duration::from_secs(7 * 24 * 3600), dedupe_max: 1_000_000 }
    }
}

impl Default for Requests {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(3600), max_active: 100_000 }
    }
}

impl Default for System {
    fn default() -> Self {
        Self { enabled: true, interval: Duration::from_secs(15) }
    }
}

impl Otlp {
    /// An endpoint with the standard's defaults: no headers, no compression, 10 s.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            headers: Vec::new(),
            gzip: false,
            timeout: Duration::from_secs(10),
            ca_file: None,
            client: None,
        }
    }
}

impl PushMetrics {
    /// Push to `otlp` with the standard's defaults: every 60 s, within 30 s, cumulative.
    pub fn new(otlp: Otlp) -> Self {
        Self {
            otlp,
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            temporality: Temporality::Cumulative,
        }
    }
}

impl PushSpans {
    /// Push to `otlp` with the standard's defaults: after 5 s or 512 spans, within 30 s.
    pub fn new(otlp: Otlp) -> Self {
        Self {
            otlp,
            schedule_delay: Duration::from_secs(5),
            export_timeout: Duration::from_secs(30),
            max_queue_size: 2048,
            max_export_batch_size: 512,
        }
    }
}
