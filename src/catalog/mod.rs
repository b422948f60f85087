//! Every instrument of the bridge, declared once, a file a group.
//!
//! From a declaration come the instrument, its view (buckets, cardinality limit), its HELP, its row in the
//! documentation and the checks on dashboards and rules. To add a metric, add it to its group's file: nothing else
//! declares metrics.

mod bridge;
mod circuit_breaker;
mod gen_ai;
mod mcp;
mod mcp_hub;
mod name;
mod session;
mod show;
mod skill;

pub use name::{label_name, prometheus_name, unit_suffix};
pub(crate) use show::json;
pub use show::{ShowFormat, show};

/// The declarations, by group, for the code that records them.
pub mod metrics {
    pub use super::bridge::*;
    pub use super::circuit_breaker::*;
    pub use super::gen_ai::*;
    pub use super::mcp::*;
    pub use super::mcp_hub::*;
    pub use super::session::*;
    pub use super::skill::*;
}

/// What belongs together, and is turned on and off together (`metrics.groups`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Sessions and the emission of MCP events.
    Session,
    /// Skills and anomalies.
    Skill,
    /// Circuit breakers.
    CircuitBreaker,
    /// Requests, calls and the machine of an MCP hub.
    McpHub,
    /// LLM calls, by OpenTelemetry's GenAI semantic conventions.
    GenAi,
    /// MCP operations, by OpenTelemetry's MCP semantic conventions.
    Mcp,
    /// The bridge about itself.
    Bridge,
}

impl Group {
    /// All groups, in the order of the catalog.
    pub const ALL: [Group; 7] =
        [Group::Session, Group::Skill, Group::CircuitBreaker, Group::McpHub, Group::GenAi, Group::Mcp, Group::Bridge];

    /// The name in the configuration and the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Session => "session",
            Group::Skill => "skill",
            Group::CircuitBreaker => "circuit_breaker",
            Group::McpHub => "mcp_hub",
            Group::GenAi => "gen_ai",
            Group::Mcp => "mcp",
            Group::Bridge => "bridge",
        }
    }

    /// The group of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }
}

/// The kind of an instrument, as OpenTelemetry names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A sum that only rises.
    Counter,
    /// A sum that rises and falls; a gauge to Prometheus.
    UpDownCounter,
    /// A value that is set.
    Gauge,
    /// A distribution over fixed buckets.
    Histogram,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::Counter, Kind::UpDownCounter, Kind::Gauge, Kind::Histogram];

    /// OpenTelemetry's name.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::UpDownCounter => "up_down_counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    /// The type that Prometheus gives it.
    pub const fn prometheus_type(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::UpDownCounter | Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One instrument.
#[derive(Debug)]
pub struct Metric {
    /// The family's name on `/metrics`: a counter's ends in `_total`.
    pub prometheus: &'static str,
    /// The instrument's name in the OpenTelemetry metrics API.
    pub otel: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The UCUM unit; units in braces and the empty one add no suffix to the name.
    pub unit: &'static str,
    /// The attribute keys, all bounded sets.
    pub labels: &'static [&'static str],
    /// The upper bounds of a histogram's buckets, the infinite one left out; empty for other kinds.
    pub buckets: &'static [f64],
    /// What it counts, for HELP and the documentation.
    pub help: &'static str,
    /// Where it belongs.
    pub group: Group,
}

/// Gauges that a start sets: from the machine, and from the configuration.
const OF_THE_PROCESS: [&Metric; 7] = [
    &mcp_hub::MCP_HUB_APP_INFO,
    &mcp_hub::MCP_HUB_CPU_USAGE,
    &mcp_hub::MCP_HUB_MEMORY_USAGE,
    &mcp_hub::MCP_HUB_MEMORY_AVAILABLE,
    &mcp_hub::MCP_HUB_DISK_USAGE,
    &mcp_hub::MCP_HUB_DISK_FREE,
    &mcp_hub::MCP_HUB_UPTIME,
];

impl Metric {
    /// Whether the store keeps its series, so that they go on after a restart where they stood.
    pub fn is_durable(&self) -> bool {
        self.group != Group::Bridge && !OF_THE_PROCESS.iter().any(|other| other.otel == self.otel)
    }
}

/// Declares a group's metrics: a static for each, and `ALL` in their order.
macro_rules! declare {
    ($group:ident: $($name:ident = $kind:ident($prometheus:literal, $otel:literal, $unit:literal, [$($label:literal),*]
        $(, $buckets:path)?) $help:literal;)+) => {
        $(
            #[doc = concat!("`", $prometheus, "`: ", $help)]
            pub static $name: $crate::catalog::Metric = $crate::catalog::Metric {
                prometheus: $prometheus,
                otel: $otel,
                kind: $crate::catalog::Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                buckets: declare!(@buckets $($buckets)?),
                help: $help,
                group: $crate::catalog::Group::$group,
            };
        )+
        pub(super) static ALL: &[&$crate::catalog::Metric] = &[$(&$name),+];
    };
    (@buckets) => { &[] };
    (@buckets $buckets:path) => { $buckets };
}
use declare;

/// Bounds of histogram buckets, each used by the metrics that name it.
mod buckets {
    /// Sessions, in seconds: a minute to eight hours.
    pub(super) const SESSION: &[f64] = &[60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0];
    /// Emissions and scrapes, in seconds: a millisecond to ten seconds.
    pub(super) const EMIT: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    /// Skills, in seconds.
    pub(super) const SKILL: &[f64] = &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];
    /// Requests to a hub, in seconds.
    pub(super) const REQUEST: &[f64] = &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
    /// Calls through a circuit breaker, in seconds.
    pub(super) const CALL: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    /// LLM operations, in seconds, as the GenAI semantic conventions advise.
    pub(super) const GEN_AI: &[f64] =
        &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
    /// Tokens, as the GenAI semantic conventions advise.
    pub(super) const TOKENS: &[f64] = &[
        1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
        67108864.0,
    ];
    /// MCP operations, in seconds, as the MCP semantic conventions advise.
    pub(super) const MCP: &[f64] = &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
    /// MCP sessions, in seconds: the conventions' bounds, and on to a day, because real sessions last hours.
    pub(super) const MCP_SESSION: &[f64] = &[
        0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0,
        28800.0, 86400.0,
    ];
}

/// Every metric, by group, in the order of the catalog.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    [session::ALL, skill::ALL, circuit_breaker::ALL, mcp_hub::ALL, gen_ai::ALL, mcp::ALL, bridge::ALL]
        .into_iter()
        .flatten()
        .copied()
}

/// The metric of that OpenTelemetry name.
pub fn by_otel_name(name: &str) -> Option<&'static Metric> {
    all().find(|metric| metric.otel == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut otel: Vec<_> = all().map(|metric| metric.otel).collect();
        let mut prometheus: Vec<_> = all().map(|metric| metric.prometheus).collect();
        let count = otel.len();
        otel.sort_unstable();
        otel.dedup();
        prometheus.sort_unstable();
        prometheus.dedup();
        assert_eq!((otel.len(), prometheus.len()), (count, count));
    }

    #[test]
    fn the_standard_translation_of_each_otel_name_is_its_prometheus_name() {
        for metric in all() {
            assert_eq!(prometheus_name(metric.otel, metric.kind, metric.unit), metric.prometheus);
        }
    }

    #[test]
    fn only_histograms_have_buckets_and_theirs_rise() {
        for metric in all() {
            assert_eq!(metric.kind == Kind::Histogram, !metric.buckets.is_empty(), "{}", metric.otel);
            assert!(metric.buckets.windows(2).all(|pair| pair[0] < pair[1]), "{}", metric.otel);
        }
    }

    #[test]
    fn every_metric_says_what_it_is() {
        for metric in all() {
            assert!(metric.help.len() > 10 && !metric.help.ends_with('.'), "{}: {:?}", metric.otel, metric.help);
        }
    }
}
