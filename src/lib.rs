//! Turns what MCP servers and AI agents do into OpenTelemetry metrics and traces.

pub mod catalog;
pub mod config;
pub mod event;
pub mod expose;
pub mod proto;
pub mod serve;
pub mod telemetry;

mod bridge;
mod ingest;
mod record;
mod state;

pub use bridge::{
    Bridge, BuildError, Builder, EventTimer, Health, Incoming, LlmCallGuard, RecordError, Refused, SessionGuard, Source,
};
pub use state::{Session, SpanIds, SpanValue, StoreError};
