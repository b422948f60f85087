//! What `/metrics` says: the text of the whole catalog against opentelemetry-prometheus's own, overflow, user views, and
//! exemplars.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use mcp_otel_bridge::catalog::metrics::{
    ACTIVE_SESSIONS, BRIDGE_LIVE_DROPPED, MCP_EVENT_EMIT_DURATION, MCP_EVENT_EMIT_FAILURE, SESSION_DURATION,
    SESSION_START,
};
use mcp_otel_bridge::catalog::{self, Kind, Metric};
use mcp_otel_bridge::config::{self, ExemplarFilter, Metrics, Selector, View};
use mcp_otel_bridge::expose::exposition::{Format, NameFilter, encode};
use mcp_otel_bridge::telemetry::{Link, Telemetry, resource};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

fn telemetry(metrics: &Metrics, views: &[View]) -> Telemetry {
    Telemetry::new(resource("test", &[]), metrics, views, ExemplarFilter::TraceBased, None).unwrap()
}

fn text(telemetry: &Telemetry, format: Format) -> String {
    let mut text = String::new();
    let snapshot = telemetry.collect().unwrap();
    encode(&mut text, &snapshot, telemetry.resource(), format, &NameFilter::default());
    text
}

/// The lines that begin so, in alphabetical order.
fn lines<'t>(text: &'t str, start: &str) -> Vec<&'t str> {
    let mut lines: Vec<&str> = text.lines().filter(|line| line.starts_with(start)).collect();
    lines.sort_unstable();
    lines
}

/// Everything that a text in the format 0.0.4 says, without regard to order.
#[derive(Debug, Default, PartialEq)]
struct Parsed {
    /// TYPE and HELP by family.
    heads: BTreeMap<String, (String, String)>,
    /// Values by name and sorted labels; `le` is written the way that Rust writes its number.
    samples: BTreeMap<(String, BTreeMap<String, String>), String>,
}

impl Parsed {
    fn new(text: &str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (family, help) = help.split_once(' ').unwrap();
                help.clone_into(&mut parsed.heads.entry(family.to_owned()).or_default().1);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (family, kind) = kind.split_once(' ').unwrap();
                kind.clone_into(&mut parsed.heads.entry(family.to_owned()).or_default().0);
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = match sample.split_once('{') {
                    Some((name, labels)) => (name, pairs(labels.strip_suffix('}').unwrap())),
                    None => (sample, BTreeMap::new()),
                };
                let known = parsed.samples.insert((name.to_owned(), labels), number(value));
                assert_eq!(known, None, "twice: {line}");
            }
        }
        parsed
    }
}

fn number(text: &str) -> String {
    format!("{:?}", text.parse::<f64>().unwrap())
}

/// `name="value",...` with the values unescaped.
fn pairs(mut text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").unwrap();
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next().unwrap().1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        let value = if name == "le" { number(&value) } else { value };
        assert_eq!(pairs.insert(name.to_owned(), value), None, "the label {name} is there twice");
        text = rest[end + 1..].trim_start_matches(',');
    }
    pairs
}

/// Label values for a metric: plain ones, ones that must be escaped, one label absent, each in turn.
fn label_sets(metric: &Metric) -> Vec<Vec<String>> {
    let count = metric.labels.len();
    let plain: Vec<String> = (0..count).map(|at| format!("value-{at}")).collect();
    let mut sets = vec![plain.clone()];
    if count > 0 {
        sets.push((0..count).map(|at| format!("a \"quoted\" back\\slash,\nline {{{at}}} äöü λ 🦀")).collect());
        // The same value under another label is another series.
        sets.push(vec!["same".to_owned(); count]);
    }
    for absent in 0..count {
        let mut values = vec!["same".to_owned(); count];
        values[absent].clear();
        sets.push(values);
    }
    sets
}

fn record(telemetry: &Telemetry, metric: &'static Metric, values: &[String], salt: u64) {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let instrument = telemetry.instrument(metric);
    match metric.kind {
        Kind::Counter => instrument.add(&values, 3 + salt, None),
        Kind::UpDownCounter => {
            instrument.series(&values).change(5);
            instrument.series(&values).change(-7 - salt as i64);
        }
        Kind::Gauge => instrument.set(&values, [0.1 + 0.2, -2.5e-9, 1e21, f64::INFINITY][salt as usize % 4]),
        Kind::Histogram => {
            // On each bound, above each, and below all.
            instrument.record(&values, 0.0, None);
            for bound in metric.buckets {
                instrument.record(&values, *bound, None);
                instrument.record(&values, bound * 1.5 + salt as f64, None);
            }
        }
    }
}

#[test]
fn the_text_says_what_opentelemetry_prometheus_says_over_the_whole_catalog() {
    let registry = prometheus::Registry::new();
    let attributes = [("deployment.environment.name".to_owned(), "a \"test\"\\".to_owned())];
    let telemetry = Telemetry::new(
        resource("an-instance", &attributes),
        &Metrics::default(),
        &[],
        ExemplarFilter::TraceBased,
        Some(registry.clone()),
    )
    .unwrap();
    let compare = |when: &str| {
        let theirs = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let theirs = Parsed::new(&theirs);
        for format in [Format::Text004, Format::Text100] {
            let ours = Parsed::new(&text(&telemetry, format));
            for (sample, value) in &ours.samples {
                assert_eq!(theirs.samples.get(sample), Some(value), "{when}: {sample:?}");
            }
            assert_eq!(ours, theirs, "{when}");
        }
        theirs.samples.len()
    };
    let mut samples = compare("empty");
    // Series come between collections too, so that the order in which the SDK gives them changes.
    let rounds = catalog::all().map(|metric| label_sets(metric).len()).max().unwrap();
    for round in 0..rounds {
        for metric in catalog::all() {
            if let Some(values) = label_sets(metric).get(round) {
                record(&telemetry, metric, values, round as u64);
            }
        }
        let more = compare(&format!("round {round}"));
        assert!(more > samples);
        samples = more;
    }
    let known = Parsed::new(&text(&telemetry, Format::Text004)).heads;
    for metric in catalog::all() {
        let head = (metric.kind.prometheus_type().to_owned(), metric.help.to_owned());
        assert_eq!(known.get(metric.prometheus), Some(&head), "{}", metric.prometheus);
    }
    assert!(known.contains_key("target_info"));
}

#[test]
fn many_series_keep_their_values_while_others_are_added() {
    let telemetry = telemetry(&Metrics::default(), &[]);
    let counters = telemetry.instrument(&MCP_EVENT_EMIT_FAILURE);
    let mut expected = BTreeMap::new();
    for round in 0..12u64 {
        for at in 0..100u64 {
            let component = format!("component-{}", round * 100 + at);
            counters.add(&[&component, "event", "error"], at + 1, None);
            let line = format!("{{component_name=\"{component}\",event_type=\"event\",error_type=\"error\"}}");
            expected.insert(line, at + 1);
        }
        // An old series goes on counting.
        counters.add(&["component-7", "event", "error"], 1, None);
        *expected.get_mut("{component_name=\"component-7\",event_type=\"event\",error_type=\"error\"}").unwrap() += 1;
        let text = text(&telemetry, Format::Text004);
        let mut expected: Vec<String> =
            expected.iter().map(|(labels, value)| format!("mcp_event_emit_failure_total{labels} {value}")).collect();
        expected.sort_unstable();
        assert_eq!(lines(&text, "mcp_event_emit_failure_total{"), expected);
    }
}

#[test]
fn what_exceeds_the_series_limit_is_one_overflow_series_and_is_counted() {
    let telemetry = telemetry(&Metrics { series_limit: 2, ..Metrics::default() }, &[]);
    let starts = telemetry.instrument(&SESSION_START);
    let durations = telemetry.instrument(&SESSION_DURATION);
    let active = telemetry.instrument(&ACTIVE_SESSIONS);
    for component in ["a", "b", "c", "d", "a"] {
        starts.add(&[component, "bash"], 1, None);
        durations.record(&[component], 90.0, None);
        active.set(&[component], 1.0);
    }
    for format in Format::ALL {
        // A second time, because the overflow series has its place in the order by then.
        for _ in 0..2 {
            let text = text(&telemetry, format);
            assert_eq!(
                lines(&text, "session_start_total{"),
                [
                    "session_start_total{component_name=\"a\",shell_type=\"bash\"} 2",
                    "session_start_total{component_name=\"b\",shell_type=\"bash\"} 1",
                    "session_start_total{otel_metric_overflow=\"true\"} 2",
                ]
            );
            assert_eq!(
                lines(&text, "session_duration_seconds_count{"),
                [
                    "session_duration_seconds_count{component_name=\"a\"} 2",
                    "session_duration_seconds_count{component_name=\"b\"} 1",
                    "session_duration_seconds_count{otel_metric_overflow=\"true\"} 2",
                ]
            );
            assert_eq!(
                lines(&text, "active_sessions{"),
                ["active_sessions{component_name=\"a\"} 1.0", "active_sessions{component_name=\"b\"} 1.0"]
            );
        }
    }
    // Its own counter is under the same limit, so that the third instrument is in the overflow of the overflow.
    let text = text(&telemetry, Format::Text004);
    let counted: Vec<&str> = lines(&text, "bridge_series_overflow_total{");
    assert_eq!(counted.len(), 3, "{counted:?}");
    assert!(counted.contains(&"bridge_series_overflow_total{instrument=\"session.start\"} 2"), "{counted:?}");
    assert!(counted.contains(&"bridge_series_overflow_total{instrument=\"session.duration\"} 2"), "{counted:?}");
    assert!(counted.contains(&"bridge_series_overflow_total{otel_metric_overflow=\"true\"} 2"), "{counted:?}");
}

#[test]
fn a_view_changes_buckets_and_drops_a_label() {
    let view = |name: &str, stream: config::Stream| View {
        selector: Selector { instrument_name: Some(name.to_owned()), ..Selector::default() },
        stream,
    };
    let views = [
        view("session.duration", config::Stream { boundaries: Some(vec![60.0, 600.5]), ..config::Stream::default() }),
        view(
            "mcp.event.emit.failure",
            config::Stream { excluded: vec!["event_type".to_owned()], ..config::Stream::default() },
        ),
        view(
            "mcp.event.emit.duration",
            config::Stream { boundaries: Some(vec![1.0]), included: Some(Vec::new()), ..config::Stream::default() },
        ),
    ];
    let telemetry = telemetry(&Metrics::default(), &views);
    telemetry.instrument(&SESSION_DURATION).record(&["a"], 60.0, None);
    telemetry.instrument(&SESSION_DURATION).record(&["a"], 61.0, None);
    for event_type in ["one", "two"] {
        telemetry.instrument(&MCP_EVENT_EMIT_FAILURE).add(&["a", event_type, "Timeout"], 1, None);
    }
    telemetry.instrument(&MCP_EVENT_EMIT_DURATION).record(&["a", "one"], 0.5, None);
    let text = text(&telemetry, Format::OpenMetrics100);
    assert_eq!(
        lines(&text, "mcp_event_emit_duration_seconds_"),
        [
            "mcp_event_emit_duration_seconds_bucket{le=\"+Inf\"} 1",
            "mcp_event_emit_duration_seconds_bucket{le=\"1.0\"} 1",
            "mcp_event_emit_duration_seconds_count 1",
            "mcp_event_emit_duration_seconds_sum 0.5",
        ]
    );
    assert_eq!(
        lines(&text, "session_duration_seconds_bucket"),
        [
            "session_duration_seconds_bucket{component_name=\"a\",le=\"+Inf\"} 2",
            "session_duration_seconds_bucket{component_name=\"a\",le=\"60.0\"} 1",
            "session_duration_seconds_bucket{component_name=\"a\",le=\"600.5\"} 2",
        ]
    );
    assert_eq!(
        lines(&text, "mcp_event_emit_failure_total{"),
        ["mcp_event_emit_failure_total{component_name=\"a\",error_type=\"Timeout\"} 2"]
    );
}

#[test]
fn exemplars_are_on_their_bucket_and_on_counters_in_openmetrics_only() {
    let telemetry = telemetry(&Metrics::default(), &[]);
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
    let span = |flags| SpanContext::new(TraceId::from(0xabc), SpanId::from(0xdef), flags, false, TraceState::default());
    let (sampled, unsampled) =
        (Link::to(&span(TraceFlags::SAMPLED), time), Link::to(&span(TraceFlags::default()), time));
    assert_eq!(unsampled, None);
    let durations = telemetry.instrument(&MCP_EVENT_EMIT_DURATION);
    durations.record(&["linked", "call"], 0.02, sampled);
    durations.record(&["linked", "call"], 0.3, unsampled);
    durations.record(&["alone", "call"], 0.02, unsampled);
    let failures = telemetry.instrument(&MCP_EVENT_EMIT_FAILURE);
    failures.add(&["linked", "call", "Timeout"], 2, sampled);
    failures.add(&["alone", "call", "Timeout"], 1, unsampled);
    telemetry.instrument(&BRIDGE_LIVE_DROPPED).add(&[], 1, sampled);
    let exemplar = "# {trace_id=\"00000000000000000000000000000abc\",span_id=\"0000000000000def\"}";
    let openmetrics = text(&telemetry, Format::OpenMetrics100);
    let mut with_exemplars: Vec<&str> = openmetrics.lines().filter(|line| line.contains(" # ")).collect();
    with_exemplars.sort_unstable();
    assert_eq!(
        with_exemplars,
        [
            format!("bridge_live_dropped_total 1 {exemplar} 1.0 1700000000.250"),
            format!(
                "mcp_event_emit_duration_seconds_bucket{{component_name=\"linked\",event_type=\"call\",le=\"0.025\"}} 1 \
                 {exemplar} 0.02 1700000000.250"
            ),
            format!(
                "mcp_event_emit_failure_total{{component_name=\"linked\",event_type=\"call\",error_type=\"Timeout\"}} 2 \
                 {exemplar} 2.0 1700000000.250"
            ),
        ]
    );
    for format in [Format::Text004, Format::Text100] {
        assert!(!text(&telemetry, format).contains(" # {"));
    }
}
