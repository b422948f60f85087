//! Turns what MCP servers and AI agents do into OpenTelemetry metrics and traces.

pub mod catalog;
pub mod client;
pub mod config;
pub mod event;
pub mod expose;
pub mod mcp;
pub mod proto;
pub mod serve;
pub mod skills;
pub mod telemetry;
#[cfg(unix)]
pub mod wrap;

mod breaker;
mod bridge;
mod files;
mod http_layer;
mod ingest;
mod record;
mod state;

pub use breaker::{BreakerError, BreakerOpen, BreakerSettings, CallError, CallGuard, CircuitBreaker};
pub use bridge::{
    Answer, Breakers, Bridge, BuildError, Builder, EventTimer, Health, Incoming, LlmCallGuard, RecordError, Refused,
    RequestGuard, SessionGuard, Source,
};
pub use http_layer::{HttpFuture, HttpLayer, HttpService};
pub use state::{
    BreakerSummary, ForgetError, Forgotten, Labelled, LatencyPercentiles, Session, SpanIds, SpanValue, StoreError,
    forget,
};
