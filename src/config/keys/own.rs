//! The bridge's own keys, and the three that Session-Buddy's configuration has.

use serde_json::Value;

use crate::catalog::Group;
use crate::config::codec::{ADDRESS, BOOL, COUNT, Codec, DURATION, FILTER, PATH, PORT, SIZE, TEXT, Wrong, choice};
use crate::config::draft::{Draft, Tls};
use crate::config::key::{Inside, Key, Table, optional, section, value};
use crate::config::model::{CircuitBreakers, Durability, Events, Limits, Log, LogFormat, Outbox, Sessions};

/// Ten years: longer waits overflow clocks, and mean "never" anyway.
pub(super) const LONGEST: u64 = 3_650 * 86_400_000;
/// Waits of a single connection or request.
const LONG: u64 = 86_400_000;
const GIB: u64 = 1 << 30;

pub(super) static GRPC: Table<Draft> = Table::<Draft>::new(&[optional!(
    "listen",
    ADDRESS,
    |draft| draft.grpc_listen,
    "Where gRPC alone is served, beside `listen`."
)]);

pub(super) static TLS: Table<Tls> = Table::<Tls>::new(&[
    optional!("cert_file", PATH, |tls| tls.pair.cert_file, "The certificate chain, PEM; read again when it changes."),
    optional!("key_file", PATH, |tls| tls.pair.key_file, "The private key, PEM; read again when it changes."),
    optional!(
        "client_ca_file",
        PATH,
        |tls| tls.client_ca_file,
        "Clients must show a certificate of an authority in this file, PEM, for all but `/livez` and `/readyz`."
    ),
]);

pub(super) const DATA_DIR: Key<Draft> = Key {
    name: "data_dir",
    doc: "Where the bridge keeps what it remembers; the user's state directory by default.",
    read: |draft, node, reader| {
        if let Some(path) = reader.value(node, &PATH) {
            draft.config.data_dir = Some(path);
        }
    },
    show: |draft| draft.config.data_dir.as_ref().map(PATH.show),
    inside: Inside::Value(|| PATH.describe()),
};

choice! {
    DURABILITY: Durability, "a durability", [
        "full" => Durability::Full, "normal" => Durability::Normal, "off" => Durability::Off
    ]
}

choice! {
    FORMAT: LogFormat, "a log format", ["human" => LogFormat::Human, "json" => LogFormat::Json]
}

pub(super) static LOG: Table<Log> = Table::<Log>::new(&[
    value!("format", FORMAT, |log| log.format, "Lines for a person, or JSON: `human` or `json`."),
    value!("filter", FILTER, |log| log.filter, "What is logged: a level, or a `tracing` filter."),
]);

pub(super) static LIMITS: Table<Limits> = Table::<Limits>::new(&[
    value!("body_bytes", SIZE.within(1, GIB), |l| l.body_bytes, "The largest request body."),
    value!("connections", COUNT.within(1, 1_000_000), |l| l.connections, "The most connections at once."),
    value!(
        "first_bytes",
        DURATION.within(1, LONG),
        |l| l.first_bytes,
        "From the opening of a connection to its first bytes."
    ),
    value!(
        "tls_handshake",
        DURATION.within(1, LONG),
        |l| l.tls_handshake,
        "From the first byte of a TLS handshake to its end."
    ),
    value!(
        "headers",
        DURATION.within(1, LONG),
        |l| l.headers,
        "From the first byte of a request's headers to their last; closes idle connections too, so keep it above the scrape interval."
    ),
    value!(
        "request",
        DURATION.within(1, LONG),
        |l| l.request,
        "From the end of a request's headers to the start of its answer."
    ),
    value!("idle_stream", DURATION.within(1, LONG), |l| l.idle_stream, "How long a stream may stay silent."),
    value!(
        "queue_events",
        COUNT.within(1, 16_777_216),
        |l| l.queue_events,
        "The most events that may wait for the writer."
    ),
    value!("shutdown", DURATION.within(1, LONG), |l| l.shutdown, "From the signal to stop to the end of the process."),
]);

pub(super) static OUTBOX: Table<Outbox> = Table::<Outbox>::new(&[Key {
    name: "max_bytes",
    doc: "The most bytes of spans and metrics that wait for the collector; beyond it the oldest go first. By default \
          1GiB where they wait on disk, 64MiB where nothing outlives the process.",
    read: |outbox, node, reader| {
        if let Some(size) = reader.value(node, &OUTBOX_SIZE) {
            outbox.max_bytes = Some(size);
        }
    },
    show: |outbox| outbox.max_bytes.as_ref().map(OUTBOX_SIZE.show),
    inside: Inside::Value(|| OUTBOX_SIZE.describe()),
}]);

/// From what one batch of spans may take to what one file should.
const OUTBOX_SIZE: Codec<usize> = SIZE.within(1 << 20, 1024 * GIB);

pub(super) static METRICS: Table<Draft> = Table::<Draft>::new(&[
    section!("groups", GROUPS, |d| d.groups, "The groups of metrics, each on or off."),
    value!(
        "series_limit",
        COUNT.within(1, 1_000_000),
        |d| d.config.metrics.series_limit,
        "The most series of one instrument, overflow apart, where no view sets another limit."
    ),
]);

/// A switch for each group; its place in the array is that of [`Group::ALL`], which is the order of the enum.
macro_rules! group {
    ($group:ident, $doc:literal) => {
        value!(Group::$group.name(), BOOL, |groups| groups[Group::$group as usize], $doc)
    };
}

static GROUPS: Table<[bool; Group::ALL.len()]> = Table::<[bool; Group::ALL.len()]>::new(&[
    group!(Session, "Sessions and the emission of MCP events."),
    group!(Skill, "Skills and anomalies."),
    group!(CircuitBreaker, "Circuit breakers."),
    group!(McpHub, "Requests, calls and the machine of an MCP hub."),
    group!(GenAi, "LLM calls."),
    group!(Mcp, "MCP operations."),
    group!(Bridge, "The bridge about itself."),
]);

pub(super) static SESSIONS: Table<Sessions> = Table::<Sessions>::new(&[
    value!(
        "timeout",
        DURATION.within(1, LONGEST),
        |s| s.timeout,
        "A session of which nothing was heard for so long has ended."
    ),
    value!(
        "max_active",
        COUNT.within(1, 10_000_000),
        |s| s.max_active,
        "The most sessions that may be active at once."
    ),
    value!(
        "remember_ended",
        DURATION.within(1, LONGEST),
        |s| s.remember_ended,
        "How long ended sessions are remembered."
    ),
    value!(
        "max_ended",
        COUNT.within(1, 10_000_000),
        |s| s.max_ended,
        "The most ended sessions that are remembered; those that ended first are forgotten first."
    ),
]);

pub(super) static EVENTS: Table<Events> = Table::<Events>::new(&[
    value!(
        "dedupe_horizon",
        DURATION.within(1, LONGEST),
        |e| e.dedupe_horizon,
        "How long an event's id is remembered."
    ),
    value!("dedupe_max", COUNT.within(1, 100_000_000), |e| e.dedupe_max, "The most ids that are remembered."),
]);

pub(super) static CIRCUIT_BREAKERS: Table<CircuitBreakers> = Table::<CircuitBreakers>::new(&[
    value!(
        "max_latency_samples",
        COUNT.within(1, 100_000),
        |c| c.max_latency_samples,
        "Latency quantiles and means are those of so many calls of a component, the last ones; 16 bytes each."
    ),
    value!(
        "observe_requests",
        BOOL,
        |c| c.observe_requests,
        "Record each request to the bridge's own listeners as a call of the component `METHOD_/route`."
    ),
]);

pub(super) const FILE_FORMAT: Key<Draft> = Key {
    name: "file_format",
    doc: "The version of OpenTelemetry's declarative configuration that the file follows; accepted and not needed.",
    read: |_, node, reader| {
        let _ = reader.value(node, &TEXT);
    },
    show: |_| None,
    inside: Inside::Value(|| TEXT.describe()),
};

pub(super) const PROMETHEUS_METRICS_PORT: Key<Draft> = Key {
    name: "prometheus_metrics_port",
    doc: "The port of `listen`; its address stays.",
    read: |draft, node, reader| {
        if let Some(port) = reader.value(node, &PORT) {
            draft.config.listen.set_port(port);
        }
    },
    show: |_| None,
    inside: Inside::Value(|| PORT.describe()),
};

/// Booleans of the seeds' environment, where pydantic takes all of these.
pub(in crate::config) const LOOSE_BOOL: Codec<bool> = Codec {
    help: "`true` or `false`",
    parse: |text| match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "on" | "t" => Ok(true),
        "false" | "0" | "no" | "n" | "off" | "f" => Ok(false),
        _ => Err(Wrong::Type),
    },
    ..BOOL
};

/// The path of the scrape: one that no other endpoint answers.
pub(super) const SCRAPE_PATH: Codec<String> = Codec {
    what: "a path",
    help: "a path such as /metrics",
    parse: |text| {
        let wrong = |problem: &str| {
            Err(Wrong::value(format!("{} {problem}", crate::config::codec::quote(text)), "a path such as /metrics"))
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        if !text.starts_with('/') {
            return wrong("does not begin with `/`");
        }
        if !text.chars().all(plain) {
            return wrong("holds characters other than letters, digits and / - . _ ~");
        }
        let taken = |path: &str| text == path || text.strip_suffix('/') == Some(path);
        if text == "/" || TAKEN.into_iter().any(taken) || UNDER.into_iter().any(|under| text.starts_with(under)) {
            return wrong("is another endpoint of the bridge");
        }
        Ok(text.to_owned())
    },
    show: |path| Value::from(path.as_str()),
    ..TEXT
};

const TAKEN: [&str; 8] = [
    "/v1",
    "/livez",
    "/readyz",
    "/health/metrics",
    "/prometheus/query",
    "/live",
    "/mcp",
    // Answers as the scrape does, whatever the scrape's own path.
    "/api/get_prometheus_metrics_service",
];

/// Where the event API and the gRPC services are.
const UNDER: [&str; 3] = ["/v1/", "/mcp_otel_bridge.", "/grpc."];
