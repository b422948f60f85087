//! An OpenTelemetry Collector that takes OTLP over gRPC and writes what it got into files.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use super::{Labels, free_port, installed};

/// A running collector.
pub struct Collector {
    process: Process,
    port: u16,
    dir: TempDir,
}

/// A point of a metric, as one export request had it.
#[derive(Debug, Clone)]
pub struct Point {
    /// The metric's name.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// `sum`, `gauge` or `histogram`.
    pub kind: String,
    /// 1 is delta, 2 cumulative, 0 where there is none.
    pub temporality: u64,
    /// Whether a sum only rises.
    pub monotonic: bool,
    /// The attributes.
    pub attributes: Labels,
    /// The point itself.
    pub data: Value,
}

/// A span.
#[derive(Debug, Clone)]
pub struct Span {
    /// The name.
    pub name: String,
    /// The trace, in hexadecimal digits.
    pub trace_id: String,
    /// The span, in hexadecimal digits.
    pub span_id: String,
    /// The attributes.
    pub attributes: Labels,
    /// The span itself.
    pub data: Value,
}

impl Point {
    /// The number of a sum or gauge.
    pub fn number(&self) -> f64 {
        number(self.data.get("asInt").or(self.data.get("asDouble")).unwrap_or_else(|| panic!("{self:?}")))
    }

    /// A field of the point as a number; a field of value 0 may be absent.
    pub fn field(&self, name: &str) -> f64 {
        self.data.get(name).map_or(0.0, number)
    }

    /// A field of the point as a list of numbers.
    pub fn list(&self, name: &str) -> Vec<f64> {
        self.data.get(name).and_then(Value::as_array).into_iter().flatten().map(number).collect()
    }
}

impl Span {
    /// A time of the span, in nanoseconds since 1970.
    pub fn nanos(&self, field: &str) -> u64 {
        self.data[field].as_str().unwrap().parse().unwrap()
    }
}

impl Collector {
    /// A collector that writes files.
    pub fn start() -> Self {
        Self::launch(0, None)
    }

    /// A collector on a port that stays free for it to come back.
    pub fn start_on_a_port_of_its_own() -> Self {
        Self::launch(free_port(), None)
    }

    /// A collector that also hands the metrics on to a Prometheus that takes OTLP.
    pub fn handing_on_to(prometheus: &super::prometheus::Prometheus) -> Self {
        Self::launch(0, Some(&prometheus.url("/api/v1/otlp/v1/metrics")))
    }

    /// Another one in the place of this one, on the same port, with files of its own.
    pub fn come_back(self) -> Self {
        let port = self.port;
        drop(self);
        Self::launch(port, None)
    }

    fn launch(port: u16, hand_on_to: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("collector.yaml");
        fs::write(&config, configuration(port, dir.path(), hand_on_to)).unwrap();
        let mut command = Command::new(installed("bin/otelcol"));
        command.arg("--config").arg(&config);
        Self::run(&mut command, dir)
    }

    /// A collector on a configuration file that others use, which reads its addresses from these variables.
    ///
    /// It writes no files.
    pub fn configured(file: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(installed("bin/otelcol"));
        command.arg("--config").arg(file).args(["--config", "yaml:service::telemetry::logs::encoding: json"]);
        command.envs(variables.iter().copied());
        Self::run(&mut command, tempfile::tempdir().unwrap())
    }

    fn run(command: &mut Command, dir: TempDir) -> Self {
        let mut process = Process::start("the collector", command);
        let port = process.find_line("where it listens", |line| {
            let entry: Value = serde_json::from_str(line).ok()?;
            (entry["msg"] == "Starting GRPC server").then(|| entry["endpoint"].as_str().unwrap().to_owned())
        });
        let port = port.rsplit_once(':').unwrap().1.parse().unwrap();
        process.find_line("that it is ready", |line| line.contains("Everything is ready").then_some(()));
        Self { process, port, dir }
    }

    /// What it logged so far.
    pub fn lines(&self) -> Vec<String> {
        self.process.lines()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to stop: its files then hold all that it got.
    pub fn stop(&mut self) {
        self.process.terminate();
    }

    /// Where it takes OTLP over gRPC.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The points of each export request of metrics, in the order in which they came.
    pub fn exports(&self) -> Vec<Vec<Point>> {
        self.requests("metrics.jsonl").iter().map(points).collect()
    }

    /// The points of the last export request of metrics that are of this metric.
    pub fn last(&self, metric: &str) -> Vec<Point> {
        let last = self.exports().pop().unwrap_or_default();
        last.into_iter().filter(|point| point.metric == metric).collect()
    }

    /// Every span that came, as often as it came.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.requests("traces.jsonl");
        let spans = requests.iter().flat_map(|request| scopes(request, "resourceSpans", "scopeSpans", "spans"));
        spans.map(span).collect()
    }

    /// The attributes of the resource of each request of metrics and of spans.
    pub fn resources(&self) -> Vec<Labels> {
        let resources = |file, key| -> Vec<Labels> {
            let requests: Vec<Value> = self.requests(file);
            requests.iter().flat_map(|request| list(&request[key])).map(|one| attributes(&one["resource"])).collect()
        };
        [resources("metrics.jsonl", "resourceMetrics"), resources("traces.jsonl", "resourceSpans")].concat()
    }

    /// Everything that came, as it is in the files.
    pub fn raw(&self) -> String {
        ["metrics.jsonl", "traces.jsonl"].map(|file| fs::read_to_string(self.dir.path().join(file)).unwrap()).concat()
    }

    /// The requests in a file, a line each; the last line may still be on its way.
    fn requests(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.path().join(file)).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn configuration(port: u16, dir: &std::path::Path, hand_on_to: Option<&str>) -> String {
    let dir = dir.display();
    let (exporter, name) = match hand_on_to {
        Some(url) => (
            format!(
                "  otlp_http/prometheus: {{metrics_endpoint: \"{url}\", compression: none, \
                 sending_queue: {{enabled: false}}, retry_on_failure: {{enabled: false}}}}\n"
            ),
            ", otlp_http/prometheus",
        ),
        None => (String::new(), ""),
    };
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: \"127.0.0.1:{port}\"}}}}}}}}\n\
         exporters:\n\
         \x20 file/metrics: {{path: \"{dir}/metrics.jsonl\", flush_interval: 50ms}}\n\
         \x20 file/traces: {{path: \"{dir}/traces.jsonl\", flush_interval: 50ms}}\n\
         {exporter}\
         service:\n\
         \x20 telemetry: {{metrics: {{level: none}}, logs: {{encoding: json}}}}\n\
         \x20 pipelines:\n\
         \x20   metrics: {{receivers: [otlp], exporters: [file/metrics{name}]}}\n\
         \x20   traces: {{receivers: [otlp], exporters: [file/traces]}}\n"
    )
}

fn points(request: &Value) -> Vec<Point> {
    let mut points = Vec::new();
    for metric in scopes(request, "resourceMetrics", "scopeMetrics", "metrics") {
        for kind in ["sum", "gauge", "histogram"] {
            let Some(data) = metric.get(kind) else { continue };
            points.extend(list(&data["dataPoints"]).iter().map(|point| Point {
                metric: text(&metric["name"]),
                unit: metric.get("unit").map(text).unwrap_or_default(),
                kind: kind.to_owned(),
                temporality: data.get("aggregationTemporality").and_then(Value::as_u64).unwrap_or(0),
                monotonic: data.get("isMonotonic").and_then(Value::as_bool).unwrap_or(false),
                attributes: attributes(point),
                data: point.clone(),
            }));
        }
    }
    points
}

fn span(data: Value) -> Span {
    Span {
        name: text(&data["name"]),
        trace_id: text(&data["traceId"]),
        span_id: text(&data["spanId"]),
        attributes: attributes(&data),
        data,
    }
}

/// What is inside the scopes of a request.
fn scopes(request: &Value, resources: &str, scopes: &str, inside: &str) -> Vec<Value> {
    let scopes = list(&request[resources]).iter().flat_map(|resource| list(&resource[scopes]));
    scopes.flat_map(|scope| list(&scope[inside])).cloned().collect()
}

fn attributes(of: &Value) -> Labels {
    let value = |value: &Value| match value.as_object().and_then(|one| one.values().next()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    list(&of["attributes"]).iter().map(|one| (text(&one["key"]), value(&one["value"]))).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A number of OTLP's JSON form, where 64-bit integers are strings.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}
