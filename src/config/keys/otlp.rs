//! The keys of an OTLP exporter over gRPC, the same for metrics and spans.

use http::header::{HeaderName, HeaderValue};
use http::uri::Uri;
use serde_json::{Value, json};

use crate::config::codec::{BOOL, Codec, MILLIS, PATH, SECRET, TEXT, Wrong, choice, quote};
use crate::config::draft::Exporter;
use crate::config::key::{Inside, Key, Outline, Table, optional, section, value};
use crate::config::list::pairs;
use crate::config::model::{Secret, Temporality};
use crate::config::reader::Reader;
use crate::config::tree::{Node, Sourced};

/// Nearly 25 days: longer makes no sense between a bridge and its collector.
pub(super) const LONGEST_MILLIS: u64 = 0x7fff_ffff;

/// Exporters that OpenTelemetry has and the bridge has not.
pub(super) const OTHER_EXPORTERS: &[(&str, &str)] = &[
    ("otlp_http", "only `otlp_grpc`; a collector takes it on port 4317"),
    ("otlp_file/development", "only `otlp_grpc`"),
    ("console", "only `otlp_grpc`"),
    ("zipkin", "only `otlp_grpc`"),
];

pub(super) static SPANS: Table<Exporter> = Table::<Exporter>::new(&COMMON);

pub(super) static METRICS: Table<Exporter> = Table::<Exporter>::new(&WITH_TEMPORALITY);

const WITH_TEMPORALITY: [Key<Exporter>; 8] = {
    let [endpoint, tls, headers_list, headers, compression, timeout] = COMMON;
    [endpoint, tls, headers_list, headers, compression, timeout, TEMPORALITY, HISTOGRAM]
};

const COMMON: [Key<Exporter>; 6] = [
    Key {
        name: "endpoint",
        doc: "Where the collector takes OTLP over gRPC: `http://` or, with TLS, `https://`, host and port. Turns push on.",
        read: |exporter, node, reader| {
            if let Some(endpoint) = reader.sourced(node, &ENDPOINT) {
                exporter.endpoint = Some(endpoint);
                exporter.on = true;
            }
        },
        show: |exporter| exporter.endpoint.as_ref().map(|endpoint| (ENDPOINT.show)(&endpoint.value)),
        inside: Inside::Value(|| ENDPOINT.describe()),
    },
    section!("tls", TLS, |exporter| *exporter, "TLS towards the collector."),
    Key {
        name: "headers_list",
        doc: "Metadata sent with each request, as `key1=value1,key2=value2`, percent-encoded; `headers` wins over it.",
        read: set_headers_list,
        show: |_| None,
        inside: Inside::Value(|| "a list of pairs".to_owned()),
    },
    Key {
        name: "headers",
        doc: "Metadata sent with each request.",
        read: |exporter, node, reader| {
            reader.list(node, |reader, item| {
                let mut header = Header::default();
                reader.table(item, &HEADER, &mut header);
                for name in ["name", "value"] {
                    if !item.has(name) {
                        reader.fault(&item.origin, format!("has no `{name}`"), "`name` and `value`");
                    }
                }
                if let (Some(name), Some(value)) = (header.name, header.value) {
                    match checked(&name.value, &value.value) {
                        Ok((name, value)) => set(&mut exporter.headers, name, value),
                        Err((problem, help)) => reader.fault(&item.origin, problem, help),
                    }
                }
            });
        },
        show: |exporter| {
            let header = |(name, _): &(String, Secret)| json!({"name": name, "value": "****"});
            let headers: Vec<Value> = exporter.headers.iter().map(header).collect();
            (!headers.is_empty()).then_some(Value::Array(headers))
        },
        inside: Inside::Items(|outline: &mut Outline| HEADER.outline(outline)),
    },
    value!("compression", COMPRESSION, |exporter| exporter.gzip, "Whether requests are compressed: `gzip` or `none`."),
    value!(
        "timeout",
        MILLIS.within(1, LONGEST_MILLIS),
        |exporter| exporter.timeout,
        "The bound on one request, connecting included, in milliseconds."
    ),
];

const TEMPORALITY: Key<Exporter> = value!(
    "temporality_preference",
    TEMPORALITIES,
    |exporter| exporter.temporality,
    "What a point of a counter or histogram tells: `cumulative` or `delta`; `low_memory` is the same as `delta` here, where every instrument is synchronous."
);

choice! {
    TEMPORALITIES: Temporality, "a temporality", [
        "cumulative" => Temporality::Cumulative,
        "delta" => Temporality::Delta,
        "low_memory" => Temporality::Delta,
        // As the environment variable spells it.
        "lowmemory" => Temporality::Delta
    ]
}

const HISTOGRAM: Key<Exporter> = Key {
    name: "default_histogram_aggregation",
    doc: "Always `explicit_bucket_histogram`: Prometheus sees the same buckets.",
    read: |_, node, reader| {
        let _ = reader.value(node, &HISTOGRAMS);
    },
    show: |_| None,
    inside: Inside::Value(|| HISTOGRAMS.describe()),
};

choice! {
    HISTOGRAMS: (), "an aggregation that the bridge has", ["explicit_bucket_histogram" => ()]
}

choice! {
    COMPRESSION: bool, "a compression", ["none" => false, "gzip" => true]
}

static TLS: Table<Exporter> = Table::<Exporter>::new(&[
    optional!("ca_file", PATH, |e| e.ca_file, "Trust these roots rather than the system's, PEM."),
    optional!("cert_file", PATH, |e| e.client.cert_file, "The certificate to show to the collector, PEM."),
    optional!("key_file", PATH, |e| e.client.key_file, "The key of that certificate, PEM."),
    Key {
        name: "insecure",
        doc: "Accepted; the endpoint's scheme says whether TLS is used.",
        read: |exporter, node, reader| {
            if let Some(insecure) = reader.sourced(node, &BOOL) {
                exporter.insecure = Some(insecure);
            }
        },
        show: |_| None,
        inside: Inside::Value(|| BOOL.describe()),
    },
]);

#[derive(Default)]
struct Header {
    name: Option<Sourced<String>>,
    value: Option<Sourced<String>>,
}

static HEADER: Table<Header> = Table::<Header>::new(&[
    optional!("name", TEXT, |header| header.name, "The name."),
    optional!("value", SECRET, |header| header.value, "The value; a header without one is left out."),
]);

/// Headers from one text. In the file `headers` adds to them; a variable replaces what the file says.
fn set_headers_list(exporter: &mut Exporter, node: &Node, reader: &mut Reader) {
    const HELP: &str = "key1=value1,key2=value2, percent-encoded";
    let Some(text) = reader.value(node, &SECRET) else { return };
    if !node.is_from_file() {
        exporter.headers.clear();
    }
    match pairs(&text) {
        Ok(pairs) => {
            for (name, value) in pairs {
                match checked(&name, &value) {
                    Ok((name, value)) => set(&mut exporter.headers, name, value),
                    Err((problem, help)) => reader.fault(&node.origin, problem, help),
                }
            }
        }
        Err(problem) => reader.fault(&node.origin, problem, HELP),
    }
}

fn set(headers: &mut Vec<(String, Secret)>, name: String, value: Secret) {
    match headers.iter_mut().find(|(other, _)| *other == name) {
        Some(header) => header.1 = value,
        None => headers.push((name, value)),
    }
}

/// A header that gRPC can send: its name in lower case, its value ASCII.
fn checked(name: &str, value: &str) -> Result<(String, Secret), (String, String)> {
    let lower = name.to_ascii_lowercase();
    if HeaderName::from_bytes(lower.as_bytes()).is_err() {
        // A credential without its header's name stands where the name should.
        return Err(("a header's name (not shown) is not one".to_owned(), "letters, digits, - _ and .".to_owned()));
    }
    let reserved = ["content-type", "host", "te", "connection", "transfer-encoding"].contains(&lower.as_str());
    if reserved || lower.starts_with("grpc-") || lower.ends_with("-bin") {
        return Err((format!("the header {lower:?} is gRPC's own or binary"), "leave it out".to_owned()));
    }
    let visible = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !visible || HeaderValue::from_str(value).is_err() {
        return Err((
            format!("the value of the header {lower:?} (not shown) cannot be sent"),
            "visible ASCII".to_owned(),
        ));
    }
    Ok((lower, Secret::new(value)))
}

/// An endpoint: scheme, host and port alone.
const ENDPOINT: Codec<String> = Codec {
    what: "an OTLP endpoint",
    help: "http:// or https://, host and port, such as http://localhost:4317",
    parse: endpoint,
    ..TEXT
};

fn endpoint(text: &str) -> Result<String, Wrong> {
    let told = |problem: &str| Wrong::value(format!("{} {problem}", quote(text)), ENDPOINT.help);
    if text.contains('@') {
        return Err(Wrong::value("an endpoint (not shown) with a user or password", "send credentials in `headers`"));
    }
    if text.contains('?') {
        return Err(Wrong::value("an endpoint (not shown) with a query", ENDPOINT.help));
    }
    let Some((scheme, _)) = text.split_once("://") else { return Err(told("has no scheme")) };
    if !matches!(scheme, "http" | "https") {
        return Err(told("has a scheme other than http and https"));
    }
    let uri: Uri = text.parse().map_err(|_| Wrong::Type)?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(told("has no host"));
    }
    let says_port = uri.authority().is_some_and(|authority| Some(authority.as_str()) != uri.host());
    if says_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Err(told("has no port that can be reached"));
    }
    if !uri.path().trim_end_matches('/').is_empty() {
        return Err(told("has a path, which gRPC does not take"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}
