//! A bridge that pushes to a collector, and the spans that arrive there.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_otel_bridge::config::{Config, Otlp, PushMetrics, PushSpans};
use mcp_otel_bridge::{Bridge, Builder};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;

use super::collector::Collector;

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(20);

/// A configuration that pushes metrics and spans to this collector.
pub fn pushing_to(collector: &Collector) -> Config {
    let otlp = Otlp::new(collector.endpoint());
    Config {
        push_metrics: Some(PushMetrics::new(otlp.clone())),
        push_spans: Some(PushSpans { schedule_delay: Duration::from_millis(10), ..PushSpans::new(otlp) }),
        ..Config::default()
    }
}

/// A bridge yet to be built, which pushes to this collector.
pub fn builder(collector: &Collector) -> Builder {
    Bridge::builder().config(pushing_to(collector))
}

/// Everything that the collector has got of this bridge by now, by the spans' names.
pub fn spans(bridge: &Bridge, collector: &Collector) -> Spans {
    bridge.flush(LONG).unwrap();
    Spans(collector.seen(|seen| seen.all_spans()))
}

/// Spans that arrived.
#[derive(Debug)]
pub struct Spans(pub Vec<Span>);

impl Spans {
    /// The one span of that name.
    #[track_caller]
    pub fn one(&self, name: &str) -> &Span {
        let named: Vec<&Span> = self.0.iter().filter(|span| span.name == name).collect();
        assert_eq!(named.len(), 1, "spans named {name} among {:#?}", self.names());
        named[0]
    }

    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|span| span.name.as_str()).collect()
    }
}

/// The attributes of a span, as text; no key may come twice.
#[track_caller]
pub fn attributes(span: &Span) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for KeyValue { key, value, .. } in &span.attributes {
        let value = match value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => format!("{text:?}"),
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::DoubleValue(number)) => format!("{number:?}"),
            other => panic!("{key}: {other:?}"),
        };
        assert!(attributes.insert(key.clone(), value).is_none(), "{key} twice");
    }
    attributes
}

/// The `traceparent` that names this span, sampled.
pub fn traceparent(span: &Span) -> String {
    format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
