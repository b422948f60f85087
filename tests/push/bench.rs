//! What the tests push: an SDK meter provider, spans, a ledger of what the push reports, and its log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime};

use mcp_otel_bridge::config::{Otlp, PushMetrics, PushSpans};
use mcp_otel_bridge::telemetry::push::{
    ItemOutcome, MemoryShelf, Push, PushError, PushParts, RequestOutcome, Signal, SpanSink, Stats,
};
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider, UpDownCounter};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Waits until `done`.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[derive(Debug, Clone)]
struct SharedReader(Arc<ManualReader>);

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }
    fn collect(&self, rm: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(rm)
    }
    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }
    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }
    fn temporality(&self, _: InstrumentKind) -> Temporality {
        Temporality::Cumulative
    }
}

/// What the push has reported.
#[derive(Default)]
pub(crate) struct Book(Mutex<HashMap<(&'static str, &'static str, &'static str), u64>>);

impl Book {
    pub(crate) fn requests(&self, signal: Signal, outcome: RequestOutcome) -> u64 {
        self.get("request", signal, outcome.as_str())
    }

    pub(crate) fn items(&self, signal: Signal, outcome: ItemOutcome) -> u64 {
        self.get("items", signal, outcome.as_str())
    }

    pub(crate) fn waiting(&self, signal: Signal) -> u64 {
        self.get("outbox", signal, "items")
    }

    pub(crate) fn bytes(&self, signal: Signal) -> u64 {
        self.get("outbox", signal, "bytes")
    }

    /// Every item is accounted for, at the latest when the calls that are under way have come.
    pub(crate) fn check(&self, signal: Signal) {
        until("every item is accounted for", || {
            let book = self.0.lock().unwrap();
            let items = |outcome: ItemOutcome| *book.get(&("items", signal.as_str(), outcome.as_str())).unwrap_or(&0);
            let waiting = *book.get(&("outbox", signal.as_str(), "items")).unwrap_or(&0);
            let met: u64 = ItemOutcome::ALL.into_iter().filter(|o| *o != ItemOutcome::Queued).map(items).sum();
            items(ItemOutcome::Queued) == met + waiting
        });
    }

    fn get(&self, what: &'static str, signal: Signal, outcome: &'static str) -> u64 {
        *self.0.lock().unwrap().get(&(what, signal.as_str(), outcome)).unwrap_or(&0)
    }
}

impl Stats for Book {
    fn request(&self, signal: Signal, outcome: RequestOutcome) {
        *self.0.lock().unwrap().entry(("request", signal.as_str(), outcome.as_str())).or_default() += 1;
    }
    fn items(&self, signal: Signal, outcome: ItemOutcome, n: u64) {
        *self.0.lock().unwrap().entry(("items", signal.as_str(), outcome.as_str())).or_default() += n;
    }
    fn outbox(&self, signal: Signal, items: u64, bytes: u64) {
        let mut book = self.0.lock().unwrap();
        book.insert(("outbox", signal.as_str(), "items"), items);
        book.insert(("outbox", signal.as_str(), "bytes"), bytes);
    }
}

/// A push with all that feeds it. Its book is balanced in the end.
pub(crate) struct Bench {
    pub(crate) push: Push,
    pub(crate) book: Arc<Book>,
    pub(crate) calls: Counter<u64>,
    pub(crate) seconds: Histogram<f64>,
    pub(crate) level: UpDownCounter<i64>,
    _provider: SdkMeterProvider,
    _balanced: Balanced,
}

/// Looks into a book in the end, whatever a test was about.
struct Balanced(Arc<Book>);

impl Drop for Balanced {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            [Signal::Metrics, Signal::Spans].into_iter().for_each(|signal| self.0.check(signal));
        }
    }
}

impl Bench {
    /// Metrics every 50 ms and spans after 20 ms, each request within 2 s.
    pub(crate) fn start(otlp: Otlp) -> Self {
        Self::start_with(Some(metrics(otlp.clone())), Some(spans(otlp)))
    }

    pub(crate) fn start_with(metrics: Option<PushMetrics>, spans: Option<PushSpans>) -> Self {
        Self::try_start(metrics, spans).unwrap()
    }

    /// With room for so many bytes.
    pub(crate) fn start_small(spans: PushSpans, max_bytes: u64) -> Self {
        Self::try_start_with(None, Some(spans), max_bytes).unwrap()
    }

    pub(crate) fn try_start(metrics: Option<PushMetrics>, spans: Option<PushSpans>) -> Result<Self, PushError> {
        Self::try_start_with(metrics, spans, 64 << 20)
    }

    fn try_start_with(
        metrics: Option<PushMetrics>,
        spans: Option<PushSpans>,
        max_bytes: u64,
    ) -> Result<Self, PushError> {
        let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "bench")).build();
        let reader = SharedReader(Arc::new(ManualReader::builder().build()));
        let provider = SdkMeterProvider::builder().with_reader(reader.clone()).with_resource(resource.clone()).build();
        let meter: Meter = provider.meter("bench");
        let book = Arc::new(Book::default());
        let shelf = MemoryShelf::new(max_bytes, Arc::clone(&book) as Arc<dyn Stats>).unwrap();
        let push = Push::start(PushParts {
            resource,
            metrics,
            spans,
            collect: Arc::new(move |rm| reader.collect(rm)),
            decorate: Arc::new(()),
            shelf,
            stats: Arc::clone(&book) as Arc<dyn Stats>,
        })?;
        Ok(Self {
            push,
            _balanced: Balanced(Arc::clone(&book)),
            book,
            calls: meter.u64_counter("calls").with_unit("{call}").with_description("Calls").build(),
            seconds: meter.f64_histogram("seconds").with_unit("s").with_boundaries(vec![0.5, 1.0]).build(),
            level: meter.i64_up_down_counter("level").build(),
            _provider: provider,
        })
    }

    pub(crate) fn sink(&self) -> SpanSink {
        self.push.spans().unwrap()
    }
}

pub(crate) fn metrics(otlp: Otlp) -> PushMetrics {
    PushMetrics { interval: Duration::from_millis(50), ..PushMetrics::new(otlp) }
}

pub(crate) fn spans(otlp: Otlp) -> PushSpans {
    PushSpans { schedule_delay: Duration::from_millis(20), ..PushSpans::new(otlp) }
}

pub(crate) fn otlp(endpoint: String) -> Otlp {
    Otlp { timeout: Duration::from_secs(2), ..Otlp::new(endpoint) }
}

/// A finished span whose span id is `id`.
pub(crate) fn span(id: u64, sampled: bool) -> SpanData {
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let context =
        SpanContext::new(TraceId::from(u128::from(id) + 1), SpanId::from(id), flags, false, TraceState::default());
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + id);
    SpanData {
        span_context: context,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Server,
        name: format!("span {id}").into(),
        start_time: start,
        end_time: start + Duration::from_secs(60),
        attributes: vec![KeyValue::new("component", "bench")],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("bench").build(),
    }
}

/// The log lines of the push about one endpoint, as `LEVEL signal message`.
pub(crate) fn log(endpoint: &str) -> Vec<String> {
    let lines = lines().lock().unwrap();
    lines.iter().filter(|(about, _)| about == endpoint).map(|(_, line)| line.clone()).collect()
}

/// Keeps what the process logs from now on. One for all tests: the push logs from a thread of its own.
pub(crate) fn keep_log() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Keep)).unwrap();
    });
}

fn lines() -> &'static Mutex<Vec<(String, String)>> {
    static LINES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
    &LINES
}

struct Keep;

impl<S: tracing::Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > tracing::Level::INFO {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let get = |name: &str| fields.0.get(name).cloned().unwrap_or_default();
        let line = format!("{} {} {}", event.metadata().level(), get("signal"), get("message"));
        lines().lock().unwrap().push((get("endpoint"), line));
    }
}

#[derive(Default)]
struct Fields(HashMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
