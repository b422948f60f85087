//! The keys of the file, declared once: reading, printout and reference all come from these tables.

mod auth;
mod hub;
mod live;
mod mcp;
mod metrics;
mod otlp;
mod own;
mod pages;
mod resource;
mod skills;
mod traces;
mod view;

use super::draft::Draft;
use super::key::{Table, section, value};

pub(super) use auth::{PASSWORD, TOKEN};
pub(super) use own::LOOSE_BOOL;
pub(super) use resource::set as set_attribute;

/// The whole file.
pub(super) static FILE: Table<Draft> = Table::<Draft>::new(&[
    value!("listen", super::codec::ADDRESS, |d| d.config.listen, "Where HTTP/1.1, HTTP/2 and gRPC are served."),
    section!("grpc", own::GRPC, |d| *d, "A listener of gRPC alone."),
    section!("tls", own::TLS, |d| d.tls, "TLS of the listeners."),
    own::DATA_DIR,
    value!(
        "ephemeral",
        super::codec::BOOL,
        |d| d.config.ephemeral,
        "Keep everything in memory: nothing outlives the process."
    ),
    value!(
        "durability",
        own::DURABILITY,
        |d| d.config.durability,
        "What an acknowledged event survives (docs/durability.md): a loss of power (`full`), or only a kill of the bridge (`normal`, `off`)."
    ),
    section!("log", own::LOG, |d| d.config.log, "How the bridge logs."),
    section!("auth", auth::AUTH, |d| d.auth, "What requests must show (docs/security.md)."),
    section!("limits", own::LIMITS, |d| d.config.limits, "Bounds on what clients may ask for."),
    section!("metrics", own::METRICS, |d| *d, "What is recorded."),
    section!("outbox", own::OUTBOX, |d| d.config.outbox, "What waits for the collector."),
    section!("sessions", own::SESSIONS, |d| d.config.sessions, "How sessions are remembered."),
    section!("events", own::EVENTS, |d| d.config.events, "How repeated events are recognised."),
    section!("requests", hub::REQUESTS, |d| d.config.requests, "How open requests of a hub are remembered."),
    section!("system", hub::SYSTEM, |d| d.config.system, "The gauges of the machine."),
    section!("app", hub::APP, |d| d.config.app, "What `mcp_hub_app_info` tells."),
    section!(
        "circuit_breakers",
        own::CIRCUIT_BREAKERS,
        |d| d.config.circuit_breakers,
        "What is kept of calls through circuit breakers."
    ),
    section!("skills", skills::SKILLS, |d| d.config.skills, "How skills are remembered and watched."),
    section!("live", live::LIVE, |d| *d, "The live feed (docs/live-feed.md)."),
    section!("mcp", mcp::MCP, |d| d.config.mcp, "The bridge's own MCP server (docs/mcp.md)."),
    own::FILE_FORMAT,
    value!("disabled", super::codec::BOOL, |d| d.disabled, "Turn off push and traces; the scrape goes on."),
    section!("resource", resource::RESOURCE, |d| d.config.resource, "What the telemetry describes."),
    section!("meter_provider", metrics::METER_PROVIDER, |d| *d, "Metrics: push, views, exemplars."),
    section!("tracer_provider", traces::TRACER_PROVIDER, |d| *d, "Traces: push, sampling."),
    value!(
        "enable_prometheus_metrics",
        super::codec::BOOL,
        |d| d.config.metrics.enabled,
        "Whether the scrape answers."
    ),
    own::PROMETHEUS_METRICS_PORT,
    value!("prometheus_metrics_path", own::SCRAPE_PATH, |d| d.config.metrics.path, "The path of the scrape."),
])
.refuse(&[
    ("attribute_limits", "the bridge bounds attributes itself; leave it out"),
    ("distribution", "the bridge is no SDK distribution; leave it out"),
    ("instrumentation/development", "the bridge instruments nothing; leave it out"),
    ("log_level", "the bridge's own logs are set by `log.filter`"),
    ("logger_provider", "the bridge sends no logs; leave it out"),
    ("propagator", "the bridge always takes W3C trace context; leave it out"),
    ("token", "put the token in a file that `auth.token_file` names, or in the environment"),
]);
