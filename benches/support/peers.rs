//! The bridge and its peers, each given the same metric, labels, values and buckets.
//!
//! Label values are known only while the program runs, as in a server: a peer that must own them gets a copy.

use std::sync::Arc;
use std::time::SystemTime;

use mcp_otel_bridge::config::{self, ExemplarFilter, Metrics, Selector, View};
use mcp_otel_bridge::expose::exposition::{Format, NameFilter, encode};
use mcp_otel_bridge::telemetry::{Link, Telemetry, resource};
use metrics::Recorder as _;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Stream};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::{CounterWithExemplar, HistogramWithExemplars};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::{BUCKETS, Kind, Work};

/// One way of keeping and showing the metrics of a [`Work`].
pub struct Subject {
    pub name: &'static str,
    /// Records into every series in turn, as many times over as is said.
    pub record: Box<dyn FnMut(usize)>,
    /// Shows everything.
    pub scrape: Box<dyn FnMut() -> String>,
}

impl Subject {
    pub fn name(&self) -> String {
        self.name.to_owned()
    }
}

/// Makes a subject for a work.
pub type Make = fn(Work) -> Subject;

/// The bridge, then every peer.
pub const ALL: [Make; 5] =
    [bridge, prometheus_client, prometheus, metrics_exporter_prometheus, opentelemetry_prometheus];

/// The bridge with its whole catalog, and with room for the series of `work`: the SDK reserves all room it is given.
pub fn telemetry(work: Work) -> Telemetry {
    let view = View {
        selector: Selector { instrument_name: Some(work.kind.metric().otel.to_owned()), ..Selector::default() },
        stream: config::Stream {
            boundaries: (work.kind == Kind::Histogram).then(|| BUCKETS.to_vec()),
            cardinality_limit: Some(work.values.len()),
            ..config::Stream::default()
        },
    };
    Telemetry::new(resource("bench", &[]), &Metrics::default(), &[view], ExemplarFilter::TraceBased, None).unwrap()
}

/// A link to a sampled span.
pub fn link() -> Option<Link> {
    let span = SpanContext::new(
        TraceId::from(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        SpanId::from(0x0123_4567_89ab_cdef),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    Link::to(&span, SystemTime::now())
}

/// The bridge without its encoder: what the SDK's own collection takes, and giving up what it collected.
pub fn collection(work: Work) -> Subject {
    bridge_with(work, "(the SDK's part of the bridge)", |telemetry| {
        let mut metrics = ResourceMetrics::default();
        telemetry.collect_into(&mut metrics).unwrap();
        String::new()
    })
}

pub fn bridge(work: Work) -> Subject {
    let filter = NameFilter::default();
    bridge_with(work, "mcp-otel-bridge", move |telemetry| {
        let snapshot = telemetry.collect().unwrap();
        let mut text = String::new();
        encode(&mut text, &snapshot, telemetry.resource(), Format::OpenMetrics100, &filter);
        text
    })
}

fn bridge_with(work: Work, name: &'static str, scrape: impl Fn(&Telemetry) -> String + 'static) -> Subject {
    let telemetry = Arc::new(telemetry(work));
    let instrument = telemetry.instrument(work.kind.metric());
    let link = if work.exemplars { link() } else { None };
    Subject {
        name,
        record: Box::new(move |rounds| match work.kind {
            Kind::Counter => {
                for (_, [a, b, c]) in work.rounds(rounds) {
                    instrument.add(&[a, b, c], 1, link);
                }
            }
            Kind::Histogram => {
                for (at, [a, b, c]) in work.rounds(rounds) {
                    instrument.record(&[a, b, c], Work::observation(at), link);
                }
            }
        }),
        scrape: Box::new(move || scrape(&telemetry)),
    }
}

macro_rules! label_set {
    ($name:ident, $a:ident, $b:ident, $c:ident) => {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name {
            $a: String,
            $b: String,
            $c: String,
        }

        impl $name {
            fn new([a, b, c]: &[String; 3]) -> Self {
                Self { $a: a.clone(), $b: b.clone(), $c: c.clone() }
            }
        }
    };
}
label_set!(CounterLabels, component_name, event_type, error_type);
label_set!(HistogramLabels, gen_ai_operation_name, gen_ai_provider_name, gen_ai_request_model);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabels {
    trace_id: String,
    span_id: String,
}

fn trace_labels() -> TraceLabels {
    TraceLabels { trace_id: "0123456789abcdef0123456789abcdef".to_owned(), span_id: "0123456789abcdef".to_owned() }
}

/// prometheus-client with label sets that were made before: only looking up and counting is measured.
pub fn prometheus_client(work: Work) -> Subject {
    prometheus_client_with(work, "prometheus-client, label sets made before", true)
}

/// prometheus-client where each measurement comes with three `&str`, as it does for the bridge.
pub fn prometheus_client_from_str(work: Work) -> Subject {
    prometheus_client_with(work, "prometheus-client, label sets from &str", false)
}

fn prometheus_client_with(work: Work, name: &'static str, made: bool) -> Subject {
    let mut registry = prometheus_client::registry::Registry::default();
    let (metric, family) = (work.kind.metric(), work.kind.metric().prometheus.trim_end_matches("_total"));
    macro_rules! recorder {
        ($labels:ident, $metric:expr, |$series:ident, $at:ident| $use:expr) => {{
            let metrics = $metric;
            registry.register(family, metric.help, metrics.clone());
            let sets: Vec<$labels> = if made { work.values.iter().map($labels::new).collect() } else { Vec::new() };
            Box::new(move |rounds| {
                if made {
                    for ($at, labels) in (0..rounds).flat_map(|_| sets.iter().enumerate()) {
                        let $series = metrics.get_or_create(labels);
                        $use;
                    }
                } else {
                    for ($at, values) in work.rounds(rounds) {
                        let $series = metrics.get_or_create(&$labels::new(values));
                        $use;
                    }
                }
            })
        }};
    }
    let record: Box<dyn FnMut(usize)> = match (work.kind, work.exemplars) {
        (Kind::Counter, false) => {
            recorder!(CounterLabels, Family::<CounterLabels, Counter>::default(), |series, _at| {
                series.inc();
            })
        }
        (Kind::Counter, true) => {
            recorder!(
                CounterLabels,
                Family::<CounterLabels, CounterWithExemplar<TraceLabels>>::default(),
                |series, _at| {
                    series.inc_by(1, Some(trace_labels()), None);
                }
            )
        }
        (Kind::Histogram, false) => recorder!(
            HistogramLabels,
            Family::<HistogramLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS)),
            |series, at| series.observe(Work::observation(at))
        ),
        (Kind::Histogram, true) => recorder!(
            HistogramLabels,
            Family::<HistogramLabels, HistogramWithExemplars<TraceLabels>>::new_with_constructor(|| {
                HistogramWithExemplars::new(BUCKETS.into_iter())
            }),
            |series, at| series.observe(Work::observation(at), Some(trace_labels()), None)
        ),
    };
    Subject {
        name,
        record,
        scrape: Box::new(move || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        }),
    }
}

/// The label names as Prometheus has them.
fn names(work: Work) -> Vec<String> {
    work.kind.metric().labels.iter().map(|key| mcp_otel_bridge::catalog::label_name(key)).collect()
}

/// The prometheus crate; it has no OpenMetrics, so its scrape is in the text format.
pub fn prometheus(work: Work) -> Subject {
    let registry = prometheus::Registry::new();
    let metric = work.kind.metric();
    let names = names(work);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let record: Box<dyn FnMut(usize)> = match work.kind {
        Kind::Counter => {
            let opts = prometheus::Opts::new(metric.prometheus, metric.help);
            let counters = prometheus::IntCounterVec::new(opts, &names).unwrap();
            registry.register(Box::new(counters.clone())).unwrap();
            Box::new(move |rounds| {
                for (_, [a, b, c]) in work.rounds(rounds) {
                    counters.with_label_values(&[a, b, c]).inc();
                }
            })
        }
        Kind::Histogram => {
            let opts = prometheus::HistogramOpts::new(metric.prometheus, metric.help).buckets(BUCKETS.to_vec());
            let histograms = prometheus::HistogramVec::new(opts, &names).unwrap();
            registry.register(Box::new(histograms.clone())).unwrap();
            Box::new(move |rounds| {
                for (at, [a, b, c]) in work.rounds(rounds) {
                    histograms.with_label_values(&[a, b, c]).observe(Work::observation(at));
                }
            })
        }
    };
    Subject { name: "prometheus", record, scrape: Box::new(move || gather(&registry)) }
}

fn gather(registry: &prometheus::Registry) -> String {
    let mut text = String::new();
    prometheus::TextEncoder::new().encode_utf8(&registry.gather(), &mut text).unwrap();
    text
}

/// metrics-exporter-prometheus; its scrape is in the text format.
pub fn metrics_exporter_prometheus(work: Work) -> Subject {
    let recorder =
        metrics_exporter_prometheus::PrometheusBuilder::new().set_buckets(&BUCKETS).unwrap().build_recorder();
    let handle = recorder.handle();
    let name = work.kind.metric().prometheus;
    let [a, b, c]: [&'static str; 3] =
        names(work).into_iter().map(|name| &*name.leak()).collect::<Vec<_>>().try_into().unwrap();
    match work.kind {
        Kind::Counter => recorder.describe_counter(name.into(), None, work.kind.metric().help.into()),
        Kind::Histogram => recorder.describe_histogram(name.into(), None, work.kind.metric().help.into()),
    }
    Subject {
        name: "metrics-exporter-prometheus",
        record: Box::new(move |rounds| {
            metrics::with_local_recorder(&recorder, || match work.kind {
                Kind::Counter => {
                    for (_, values) in work.rounds(rounds) {
                        metrics::counter!(name, a => values[0].clone(), b => values[1].clone(), c => values[2].clone())
                            .increment(1);
                    }
                }
                Kind::Histogram => {
                    for (at, values) in work.rounds(rounds) {
                        metrics::histogram!(name, a => values[0].clone(), b => values[1].clone(), c => values[2].clone())
                            .record(Work::observation(at));
                    }
                }
            });
        }),
        scrape: Box::new(move || handle.render()),
    }
}

/// The OpenTelemetry SDK with opentelemetry-prometheus; its scrape is in the text format.
pub fn opentelemetry_prometheus(work: Work) -> Subject {
    let registry = prometheus::Registry::new();
    let exporter =
        opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build().unwrap();
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_view(move |_: &opentelemetry_sdk::metrics::Instrument| {
            Stream::builder().with_cardinality_limit(work.values.len()).build().ok()
        })
        .build();
    let meter = provider.meter("bench");
    let metric = work.kind.metric();
    // Sorted as the SDK keeps them, which spares it a second entry and a sort.
    let mut order = [0, 1, 2];
    order.sort_by_key(|&at| metric.labels[at]);
    let attributes = move |values: &[String; 3]| order.map(|at| KeyValue::new(metric.labels[at], values[at].clone()));
    let record: Box<dyn FnMut(usize)> = match work.kind {
        Kind::Counter => {
            let counter = meter.u64_counter(metric.otel).with_unit(metric.unit).with_description(metric.help).build();
            Box::new(move |rounds| {
                for (_, values) in work.rounds(rounds) {
                    counter.add(1, &attributes(values));
                }
            })
        }
        Kind::Histogram => {
            let histogram = meter
                .f64_histogram(metric.otel)
                .with_unit(metric.unit)
                .with_description(metric.help)
                .with_boundaries(BUCKETS.to_vec())
                .build();
            Box::new(move |rounds| {
                for (at, values) in work.rounds(rounds) {
                    histogram.record(Work::observation(at), &attributes(values));
                }
            })
        }
    };
    Subject {
        name: "opentelemetry-prometheus",
        record,
        scrape: Box::new(move || {
            let _provider = &provider;
            gather(&registry)
        }),
    }
}
