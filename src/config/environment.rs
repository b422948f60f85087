//! The variables of the environment, in the order in which they are set: the later ones win.
//!
//! Most variables are another way to write a key of the file, and are read by that key's own rules. The few that are
//! not stand below the table.

use std::collections::HashMap;

use super::draft::Draft;
use super::key::{Outline, Table};
use super::keys::{self, FILE, LOOSE_BOOL, PASSWORD, TOKEN};
use super::model::Sampler;
use super::reader::Reader;
use super::suggest::nearest;
use super::tree::{Node, Origin};

/// The prefix of the bridge's own variables.
const PREFIX: &str = "MCP_OTEL_BRIDGE_";

/// Names the file, where no flag does.
pub(super) const CONFIG: &str = "MCP_OTEL_BRIDGE_CONFIG";

/// Holds the token itself.
pub(super) const TOKEN_VARIABLE: &str = "MCP_OTEL_BRIDGE_TOKEN";

/// A shorter name than the derived one.
const TOKEN_FILE: &str = "MCP_OTEL_BRIDGE_TOKEN_FILE";

/// The variables that hold secrets themselves, and the keys that name them. A variable that names a variable would say
/// nothing that these do not.
pub(super) static SECRETS: [(&str, &str); 5] = [
    (TOKEN_VARIABLE, "auth.token_env"),
    ("MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN", "auth.scrape.token_env"),
    ("MCP_OTEL_BRIDGE_AUTH_INGEST_TOKEN", "auth.ingest.token_env"),
    ("MCP_OTEL_BRIDGE_AUTH_ADMIN_TOKEN", "auth.admin.token_env"),
    ("MCP_OTEL_BRIDGE_AUTH_BASIC_PASSWORD", "auth.basic.password_env"),
];

macro_rules! periodic {
    ($key:literal) => {
        concat!("meter_provider.readers[].periodic.", $key)
    };
}
macro_rules! batch {
    ($key:literal) => {
        concat!("tracer_provider.processors[].batch.", $key)
    };
}
macro_rules! metrics {
    ($key:literal) => {
        concat!("meter_provider.readers[].periodic.exporter.otlp_grpc.", $key)
    };
}
macro_rules! spans {
    ($key:literal) => {
        concat!("tracer_provider.processors[].batch.exporter.otlp_grpc.", $key)
    };
}

/// A variable for both signals, and those for each, which win.
macro_rules! otlp {
    ($($name:literal => $key:literal),+) => {
        [
            $((concat!("OTEL_EXPORTER_OTLP_", $name), &[metrics!($key), spans!($key)] as &[&str]),)+
            $((concat!("OTEL_EXPORTER_OTLP_METRICS_", $name), &[metrics!($key)] as &[&str]),)+
            $((concat!("OTEL_EXPORTER_OTLP_TRACES_", $name), &[spans!($key)] as &[&str]),)+
        ]
    };
}

static OTLP: [(&str, &[&str]); 24] = otlp! {
    "ENDPOINT" => "endpoint",
    "HEADERS" => "headers_list",
    "COMPRESSION" => "compression",
    "TIMEOUT" => "timeout",
    "CERTIFICATE" => "tls.ca_file",
    "CLIENT_CERTIFICATE" => "tls.cert_file",
    "CLIENT_KEY" => "tls.key_file",
    "INSECURE" => "tls.insecure"
};

static OTEL: [(&str, &[&str]); 13] = [
    ("OTEL_SDK_DISABLED", &["disabled"]),
    ("OTEL_RESOURCE_ATTRIBUTES", &["resource.attributes_list"]),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", &[metrics!("temporality_preference")]),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", &[metrics!("default_histogram_aggregation")]),
    ("OTEL_METRIC_EXPORT_INTERVAL", &[periodic!("interval")]),
    ("OTEL_METRIC_EXPORT_TIMEOUT", &[periodic!("timeout")]),
    ("OTEL_METRICS_EXEMPLAR_FILTER", &["meter_provider.exemplar_filter"]),
    ("OTEL_BSP_SCHEDULE_DELAY", &[batch!("schedule_delay")]),
    ("OTEL_BSP_EXPORT_TIMEOUT", &[batch!("export_timeout")]),
    ("OTEL_BSP_MAX_QUEUE_SIZE", &[batch!("max_queue_size")]),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &[batch!("max_export_batch_size")]),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", &["meter_provider.readers[].pull.exporter.prometheus/development.host"]),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", &["meter_provider.readers[].pull.exporter.prometheus/development.port"]),
];

static SEEDS: [(&str, &[&str]); 2] = [
    ("SESSION_BUDDY_PROMETHEUS_METRICS_PORT", &["prometheus_metrics_port"]),
    ("SESSION_BUDDY_PROMETHEUS_METRICS_PATH", &["prometheus_metrics_path"]),
];

const SEEDS_ENABLE: &str = "SESSION_BUDDY_ENABLE_PROMETHEUS_METRICS";

/// The variables that are no other way to write a key of the file, and what they do.
pub const OTHER_VARIABLES: &[(&str, &str)] = &[
    ("OTEL_SERVICE_NAME", "The resource's `service.name`; wins over OTEL_RESOURCE_ATTRIBUTES."),
    (
        "OTEL_METRICS_EXPORTER",
        "A list of `otlp` and `prometheus`, or `none`: `otlp` turns push on and its absence off; `prometheus` turns \
         the scrape on, and only `none` turns it off.",
    ),
    ("OTEL_TRACES_EXPORTER", "`otlp` turns the push of spans on, `none` turns it off."),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "Only `grpc`; anything else is an error."),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "The same for metrics; wins."),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "The same for spans; wins."),
    ("OTEL_TRACES_SAMPLER", "`always_on`, `always_off` or `traceidratio`, each also with `parentbased_` before it."),
    ("OTEL_TRACES_SAMPLER_ARG", "The ratio of `traceidratio`, from 0 to 1; 1 by default."),
    (CONFIG, "The file, where `--config` names none."),
    (
        crate::client::CA_FILE_VARIABLE,
        "A PEM file with the certificates of the authorities, or the bridge's own, that `send`, `wrap`, `mcp` and \
         `health --bridge` take for a bridge's where it is reached by https; the public authorities by default. `serve` \
         does not read it.",
    ),
    (
        crate::client::CERTIFICATE_VARIABLE,
        "A PEM file with the certificate that `send`, `wrap`, `mcp` and `health --bridge` show to a bridge that asks for one \
         (`tls.client_ca_file`), followed by those between it and its authority. `serve` does not read it.",
    ),
    (crate::client::KEY_VARIABLE, "A PEM file with that certificate's key; both are set or neither."),
    (
        crate::client::URL_VARIABLE,
        "Where `send`, `wrap`, `mcp` and `health` find the bridge; `serve` does not read it.",
    ),
];

/// The variables by name. An empty one counts as unset, as OpenTelemetry has it.
pub(super) struct Environment(HashMap<String, String>);

impl Environment {
    pub(super) fn new(vars: &[(String, String)]) -> Self {
        let set = vars.iter().filter(|(_, value)| !value.is_empty());
        Self(set.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Sets what the environment says.
pub(super) fn read(env: &Environment, draft: &mut Draft, reader: &mut Reader) {
    let set = |table: &[(&str, &[&str])], draft: &mut Draft, reader: &mut Reader| {
        for (name, paths) in table {
            for path in *paths {
                set_path(env, name, path, draft, reader);
            }
        }
    };
    set(&OTLP, draft, reader);
    set(&OTEL, draft, reader);
    service_name(env, draft, reader);
    protocols(env, reader);
    exporters(env, draft, reader);
    sampler(env, draft, reader);
    set(&SEEDS, draft, reader);
    if let Some(enabled) = value(env, SEEDS_ENABLE, &LOOSE_BOOL, reader) {
        draft.config.metrics.enabled = enabled;
    }
    for (name, path) in own() {
        set_path(env, &name, &path, draft, reader);
    }
    secrets(env, draft, reader);
    unknown(env, reader);
}

/// Reads `text` as if the file had it at `path`.
pub(super) fn set_text(path: &str, text: &str, origin: &Origin, draft: &mut Draft, reader: &mut Reader) {
    reader.table(&Node::at_path(path, text, origin), &FILE, draft);
}

fn set_path(env: &Environment, name: &str, path: &str, draft: &mut Draft, reader: &mut Reader) {
    if let Some(text) = env.get(name) {
        set_text(path, text, &Origin::Env(name.to_owned()), draft, reader);
    }
}

/// The bridge's own variables: each key with a fixed path outside OpenTelemetry's part of the file.
fn own() -> Vec<(String, String)> {
    paths(&FILE).into_iter().filter_map(|path| Some((own_name(&path)?, path))).collect()
}

/// The variable of the bridge's own for the key at `path`.
fn own_name(path: &str) -> Option<String> {
    let elsewhere = ["file_format", "disabled", "resource.", "meter_provider.", "tracer_provider."];
    if elsewhere.iter().any(|prefix| path.starts_with(prefix)) {
        return None;
    }
    match path {
        "auth.token_file" => Some(TOKEN_FILE.to_owned()),
        path if SECRETS.iter().any(|(_, key)| *key == path) => None,
        path => Some(format!("{PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())),
    }
}

fn paths<T>(table: &Table<T>) -> Vec<String> {
    let mut outline = Outline::default();
    table.outline(&mut outline);
    outline.rows.into_iter().map(|(path, ..)| path).collect()
}

/// Every variable that sets the key at `path`, the one that wins last.
pub(super) fn variables(path: &str) -> Vec<String> {
    let tables = [&OTLP[..], &OTEL, &SEEDS];
    let set = tables.iter().flat_map(|table| table.iter()).filter(|(_, paths)| paths.contains(&path));
    let mut names: Vec<String> = set.map(|(name, _)| (*name).to_owned()).collect();
    if path == "enable_prometheus_metrics" {
        names.push(SEEDS_ENABLE.to_owned());
    }
    names.extend(SECRETS.iter().filter(|(_, key)| *key == path).map(|(name, _)| (*name).to_owned()));
    names.extend(own_name(path));
    names
}

fn value<V>(env: &Environment, name: &str, codec: &super::codec::Codec<V>, reader: &mut Reader) -> Option<V> {
    match codec.read(env.get(name)?) {
        Ok(value) => Some(value),
        Err((problem, help)) => {
            reader.fault(&Origin::Env(name.to_owned()), problem, help);
            None
        }
    }
}

/// Wins over a `service.name` in OTEL_RESOURCE_ATTRIBUTES, as OpenTelemetry has it.
fn service_name(env: &Environment, draft: &mut Draft, reader: &mut Reader) {
    if let Some(name) = value(env, "OTEL_SERVICE_NAME", &super::codec::TEXT, reader) {
        keys::set_attribute(&mut draft.config.resource, "service.name".to_owned(), name);
    }
}

/// Only gRPC. A signal's own variable goes before the general one, which may then say what it likes.
fn protocols(env: &Environment, reader: &mut Reader) {
    for signal in ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
        let name = if env.get(signal).is_some() { signal } else { "OTEL_EXPORTER_OTLP_PROTOCOL" };
        if let Some(protocol) = env.get(name).filter(|protocol| !protocol.eq_ignore_ascii_case("grpc")) {
            let problem = format!("the protocol {protocol:?} is not supported");
            reader.fault(&Origin::Env(name.to_owned()), problem, "only `grpc`; a collector takes it on port 4317");
        }
    }
}

/// OTEL_METRICS_EXPORTER and OTEL_TRACES_EXPORTER: `otlp` turns push on and its absence off; `prometheus` turns the
/// scrape on, and only `none` turns it off.
fn exporters(env: &Environment, draft: &mut Draft, reader: &mut Reader) {
    if let Some(list) = exporter_list(env, "OTEL_METRICS_EXPORTER", &["otlp", "prometheus"], reader) {
        draft.metrics.exporter.on = list.contains(&"otlp");
        if list.is_empty() {
            draft.config.metrics.enabled = false;
        } else if list.contains(&"prometheus") {
            draft.config.metrics.enabled = true;
        }
    }
    if let Some(list) = exporter_list(env, "OTEL_TRACES_EXPORTER", &["otlp"], reader) {
        draft.spans.exporter.on = list.contains(&"otlp");
    }
}

/// The exporters of a list, empty for `none`; `None` when the variable is unset or wrong.
fn exporter_list(
    env: &Environment,
    name: &str,
    known: &[&'static str],
    reader: &mut Reader,
) -> Option<Vec<&'static str>> {
    let text = env.get(name)?;
    let origin = Origin::Env(name.to_owned());
    let help =
        || format!("`none`, or a list of {}", known.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "));
    let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    if items == ["none"] {
        return Some(Vec::new());
    }
    let mut list = Vec::new();
    let mut right = true;
    for item in items {
        match known.iter().find(|exporter| **exporter == item) {
            Some(exporter) => list.push(*exporter),
            None if item == "none" => {
                right = false;
                reader.fault(&origin, "`none` stands beside other exporters", help());
            }
            None => {
                right = false;
                reader.fault(&origin, format!("{item:?} is not an exporter of this signal"), help());
            }
        }
    }
    right.then_some(list)
}

/// OTEL_TRACES_SAMPLER with its argument.
fn sampler(env: &Environment, draft: &mut Draft, reader: &mut Reader) {
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(name) = env.get("OTEL_TRACES_SAMPLER") else {
        if env.get(ARGUMENT).is_some() {
            reader.warn(format!("environment: {ARGUMENT}: has no effect without OTEL_TRACES_SAMPLER"));
        }
        return;
    };
    let lower = name.to_ascii_lowercase();
    let (parent_based, root) = match lower.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, lower.as_str()),
    };
    let ratio = match root {
        "always_on" => Some(1.0),
        "always_off" => Some(0.0),
        "traceidratio" => match env.get(ARGUMENT) {
            Some(_) => value(env, ARGUMENT, &super::codec::RATIO, reader),
            None => Some(1.0),
        },
        _ => {
            let help = "always_on, always_off or traceidratio, each also with parentbased_ before it";
            let problem = format!("{name:?} is not a sampler of the bridge");
            reader.fault(&Origin::Env("OTEL_TRACES_SAMPLER".to_owned()), problem, help);
            None
        }
    };
    if let Some(ratio) = ratio {
        draft.config.sampler = Sampler { parent_based, ratio };
    }
}

/// A secret in the environment goes before one that the file names.
fn secrets(env: &Environment, draft: &mut Draft, reader: &mut Reader) {
    for (variable, key) in &SECRETS {
        let codec = if key.ends_with("password_env") { &PASSWORD } else { &TOKEN };
        if value(env, variable, codec, reader).is_none() {
            continue;
        }
        let origin = Origin::Env((*variable).to_owned());
        let file = key.strip_suffix("_env").and_then(|key| own_name(&format!("{key}_file")));
        if let Some(file) = file.filter(|file| env.get(file).is_some()) {
            reader.fault(&origin, format!("is set beside {file}"), "one of them");
        }
        set_text(key, variable, &origin, draft, reader);
    }
}

/// Warns of variables that look like ours and are not: most are slips.
fn unknown(env: &Environment, reader: &mut Reader) {
    let own = own();
    let others = OTHER_VARIABLES.iter().map(|(name, _)| *name);
    let known: Vec<&str> =
        own.iter().map(|(name, _)| name.as_str()).chain(SECRETS.map(|(name, _)| name)).chain(others).collect();
    let mut names: Vec<&str> = env.0.keys().map(String::as_str).filter(|name| name.starts_with(PREFIX)).collect();
    names.sort_unstable();
    for name in names {
        if known.contains(&name) || is_service_link(name) {
            continue;
        }
        // Without the prefix, whose length would make everything seem near.
        let ends = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
        let near = nearest(&name[PREFIX.len()..], ends);
        let help = near.map_or_else(String::new, |near| format!("; did you mean {PREFIX}{near}?"));
        reader.warn(format!("environment: {name}: is not a variable of the bridge{help}"));
    }
}

/// Kubernetes sets these in every pod beside a service called `mcp-otel-bridge`.
fn is_service_link(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    rest == "PORT" || rest.starts_with("PORT_") || rest == "SERVICE_HOST" || rest.starts_with("SERVICE_PORT")
}
