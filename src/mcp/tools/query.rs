//! The tools that read: the metrics, which there are, and their totals.

use rmcp::model::{CallToolResult, JsonObject};
use serde_json::{Map, Value, json};

use super::{Told, Tool, arguments_schema, check_names, failure, text};
use crate::catalog::Group;
use crate::expose::SCRAPE_OFF;
use crate::mcp::backend::{Backend, Unanswered};

/// The groups that Session-Buddy's tool of this name has, in its order.
const SEED_GROUPS: [&str; 3] = ["session_lifecycle_metrics", "mcp_event_metrics", "system_health_metrics"];
/// The key of the answer where metrics are disabled.
const DISABLED: &str = "disabled";

pub(super) fn metrics_definition() -> Told {
    let names = json!({
        "type": ["array", "null"],
        "items": {"type": "string"},
        "description": "The names of the metrics to show, such as session_start_total; all, if absent or empty.",
    });
    (
        "Prometheus metrics",
        "All metrics of the bridge in the Prometheus text format, or those of the given names.".to_owned(),
        arguments_schema(json!({"names": names}), &[]),
        None,
    )
}

pub(super) fn list_definition() -> Told {
    let metric = json!({
        "type": "object",
        "properties": {
            "type": {"enum": ["Counter", "Gauge", "Histogram"], "description": "What Prometheus takes it for."},
            "description": {"type": "string", "description": "What it tells."},
            "labels": {"type": "array", "items": {"type": "string"}, "description": "The names of its labels."},
        },
        "required": ["type", "description", "labels"],
    });
    let group = |name: &str| {
        let doc = format!("The metrics of the group {name}, each by its name in Prometheus.");
        (name.to_owned(), json!({"type": "object", "description": doc, "additionalProperties": metric}))
    };
    let groups = SEED_GROUPS.map(str::to_owned).into_iter().chain(further_groups());
    (
        "List of metrics",
        "Which metrics there are, by group: for each its type, what it tells, and its labels.".to_owned(),
        arguments_schema(json!({}), &[]),
        Some(unless_disabled(groups.map(|name| group(&name)).collect(), &SEED_GROUPS)),
    )
}

pub(super) fn summary_definition() -> Told {
    let count = |doc: &str| json!({"type": "integer", "minimum": 0, "description": doc});
    let by_component =
        |doc: &str| json!({"type": "object", "additionalProperties": {"type": "number"}, "description": doc});
    let keys: Map<String, Value> = [
        ("total_sessions_started", count("How many sessions have started.")),
        ("total_sessions_ended", count("How many sessions have ended.")),
        ("active_sessions", by_component("How many sessions are active now, by component.")),
        ("quality_scores", by_component("The last quality score from 0 to 100, by component.")),
        ("mcp_events_success", count("How many emissions of MCP events succeeded.")),
        ("mcp_events_failure", count("How many emissions of MCP events failed.")),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect();
    let required: Vec<&str> = keys.keys().map(String::as_str).collect();
    let mut schema = unless_disabled(keys.clone(), &required);
    schema["additionalProperties"] = json!({
        "type": "object",
        "description": "A further group of metrics (the same that list_session_metrics calls by the name with _metrics \
            behind), each by its name: a counter's total, a histogram's count and sum, a gauge without labels.",
    });
    (
        "Summary of metrics",
        "The metrics in short: sessions started, ended and active, quality scores, MCP events, and the totals of \
         every further group."
            .to_owned(),
        arguments_schema(json!({}), &[]),
        Some(schema),
    )
}

/// An object with these keys, or one that says that metrics are disabled.
fn unless_disabled(mut properties: Map<String, Value>, required: &[&str]) -> Value {
    let doc = "Only where metrics are disabled, and then alone: how to enable them.";
    properties.insert(DISABLED.to_owned(), json!({"type": "string", "description": doc}));
    json!({
        "type": "object",
        "properties": properties,
        "anyOf": [{"required": required}, {"required": [DISABLED]}],
    })
}

pub(super) async fn metrics(bridge: &impl Backend, arguments: &JsonObject) -> CallToolResult {
    let names = match check_names(Tool::Metrics, arguments, &["names"]).and_then(|()| names(arguments)) {
        Ok(names) => names,
        Err(why) => return failure(why),
    };
    match exposition(bridge, names).await {
        Ok(result) => result,
        Err(Unanswered(why)) => failure(why),
    }
}

async fn exposition(bridge: &impl Backend, names: Vec<String>) -> Result<CallToolResult, Unanswered> {
    let catalog = bridge.catalog().await?;
    if !is_enabled(&catalog) {
        return Ok(text(disabled()));
    }
    if let Some(index) = names.iter().position(|name| !is_metric(&catalog, name)) {
        let why = format!(
            "names[{index}] must be the name of a metric, got {:?}; {} lists the names",
            names[index],
            Tool::List.name()
        );
        return Ok(failure(why));
    }
    let exposition = bridge.exposition(names).await?;
    // Still the text format: a comment.
    Ok(text(if exposition.is_empty() { "# no samples of these metrics yet\n".to_owned() } else { exposition }))
}

fn names(arguments: &JsonObject) -> Result<Vec<String>, String> {
    let given = match arguments.get("names") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(given)) => given,
        Some(other) => {
            return Err(format!("names must be an array such as [\"session_start_total\"], got {other}"));
        }
    };
    let name = |(index, name): (usize, &Value)| match name {
        Value::String(name) => Ok(name.clone()),
        other => Err(format!("names[{index}] must be a string, the name of a metric, got {other}")),
    };
    given.iter().enumerate().map(name).collect()
}

/// Whether a metric, or one of its samples, has that name.
fn is_metric(catalog: &Value, name: &str) -> bool {
    ["target", "target_info"].contains(&name)
        || metrics_of(catalog).any(|metric| {
            let family = metric["prometheus"].as_str().unwrap_or_default();
            let sample = name.strip_prefix(family).is_some_and(|suffix| match metric["type"].as_str() {
                Some("histogram") => ["", "_bucket", "_sum", "_count"].contains(&suffix),
                _ => suffix.is_empty(),
            });
            sample || family.strip_suffix("_total") == Some(name)
        })
}

pub(super) async fn list(bridge: &impl Backend, arguments: &JsonObject) -> CallToolResult {
    if let Err(why) = check_names(Tool::List, arguments, &[]) {
        return failure(why);
    }
    match bridge.catalog().await {
        Ok(catalog) if is_enabled(&catalog) => CallToolResult::structured(nested(&catalog)),
        Ok(_) => CallToolResult::structured(json!({DISABLED: disabled()})),
        Err(Unanswered(why)) => failure(why),
    }
}

pub(super) async fn summary(bridge: &impl Backend, arguments: &JsonObject) -> CallToolResult {
    if let Err(why) = check_names(Tool::Summary, arguments, &[]) {
        return failure(why);
    }
    let summary = match bridge.catalog().await {
        Ok(catalog) if is_enabled(&catalog) => bridge.summary().await,
        Ok(_) => Ok(json!({DISABLED: disabled()})),
        Err(unanswered) => Err(unanswered),
    };
    match summary {
        Ok(summary) => CallToolResult::structured(summary),
        Err(Unanswered(why)) => failure(why),
    }
}

fn is_enabled(catalog: &Value) -> bool {
    catalog["scraped"] != Value::Bool(false)
}

fn disabled() -> String {
    format!("metrics are disabled: {}", SCRAPE_OFF.trim_end())
}

fn metrics_of(catalog: &Value) -> impl Iterator<Item = &Value> {
    catalog["metrics"].as_array().into_iter().flatten()
}

/// The catalog as Session-Buddy nests it: its own three groups, then each further one.
fn nested(catalog: &Value) -> Value {
    let mut groups: Map<String, Value> = SEED_GROUPS.map(|group| (group.to_owned(), json!({}))).into_iter().collect();
    for metric in metrics_of(catalog) {
        let name = metric["prometheus"].as_str().unwrap_or_default();
        let kind = match metric["type"].as_str() {
            Some("counter") => "Counter",
            Some("histogram") => "Histogram",
            _ => "Gauge",
        };
        let group = match metric["group"].as_str() {
            Some(group) if group != Group::Session.name() => group_key(group),
            _ if name.starts_with("mcp_event_") => SEED_GROUPS[1].to_owned(),
            _ if kind == "Gauge" => SEED_GROUPS[2].to_owned(),
            _ => SEED_GROUPS[0].to_owned(),
        };
        let group = groups.entry(group).or_insert_with(|| json!({}));
        group[name] = json!({"type": kind, "description": metric["help"], "labels": metric["labels"]});
    }
    groups.into()
}

fn further_groups() -> impl Iterator<Item = String> {
    Group::ALL.into_iter().filter(|group| *group != Group::Session).map(|group| group_key(group.name()))
}

fn group_key(group: &str) -> String {
    format!("{group}_metrics")
}
