//! One configuration: defaults, then file, then environment, then flags; the later wins, every error at once.
//!
//! [`load`] makes a [`Config`], [`show`] prints it as the file would say it, [`reference()`] lists every key, and
//! [`example`] is a file with all of them. The file
//! is YAML: the bridge's own keys, and a subset of OpenTelemetry's declarative configuration under its own names
//! (`resource`, `meter_provider`, `tracer_provider`). In the environment OTEL_* and SESSION_BUDDY_* come first, then
//! MCP_OTEL_BRIDGE_*, then flags.
//!
//! Where OpenTelemetry leaves a choice, or the bridge has less than the standard, it does this:
//!
//! - Push of a signal is on when the file has its `otlp_grpc` exporter, when a variable or flag sets its endpoint, or
//!   when its exporter list names `otlp`. A list without `otlp` turns it off. Without an endpoint it goes to
//!   `http://localhost:4317`.
//! - OTEL_METRICS_EXPORTER: `otlp` leaves the scrape as it is, `prometheus` turns it on, `none` turns both off.
//! - `disabled` and OTEL_SDK_DISABLED turn push and spans off, with a warning; the scrape goes on.
//! - The exemplar filter `always_on` is taken as `trace_based`, with a warning: an exemplar names a sampled trace.
//! - The temporality `low_memory` is `delta`, because every instrument is synchronous.
//! - A variable that cannot be understood is an error, where an SDK would warn and go on. An empty one is unset.
//! - A null in the file leaves what was there.

mod check;
mod codec;
mod data_dir;
mod draft;
mod environment;
mod error;
mod example;
mod key;
mod keys;
mod list;
mod load;
mod model;
mod reader;
mod secrets;
mod show;
mod substitute;
mod suggest;
mod tree;
mod wildcard;
mod yaml;

pub use data_dir::{NoDataDir, data_dir};
pub use environment::OTHER_VARIABLES;
pub use error::{ConfigError, ConfigErrors};
pub use example::example;
pub use load::{Flags, Loaded, Sources, environment, load};
pub use model::*;
pub use show::{KeyDoc, reference, reference_markdown, show};
