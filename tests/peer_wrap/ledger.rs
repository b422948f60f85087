//! The ledger that a client keeps of its requests, and what of it must be counted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::peers::bridge::Bridge;
use crate::peers::{Labels, labels, until_equal};
use crate::stage::Played;

/// An operation as it is counted: direction, method, tool, error.
type Operation = (String, String, String, String);

/// How often each operation was made.
pub type Counts = BTreeMap<Operation, u64>;

/// What must be counted of a session, worked out from what its client wrote.
pub fn expected(played: &Played) -> Counts {
    let listed = tools_listed(played);
    let mut counts = Counts::new();
    for line in &played.ledger {
        let text = |field: &str| line.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        // A tool that no answer listed is nobody's label.
        let tool = match text("tool") {
            tool if tool.is_empty() || listed.contains(&tool) => tool,
            _ => "_other".to_owned(),
        };
        let error = match text("outcome") {
            outcome if outcome == "ok" => String::new(),
            outcome => outcome,
        };
        *counts.entry((text("direction"), text("method"), tool, error)).or_default() += 1;
    }
    counts
}

fn tools_listed(played: &Played) -> BTreeSet<String> {
    let listings = played.lines().filter(|line| line["request"] == "tools/list");
    let tools = listings.flat_map(|line| line["result"]["tools"].as_array().cloned().unwrap_or_default());
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// What `/metrics` counts of a component.
///
/// The probe of the newer protocol that a server of the older one refuses is left out: it is not the client's script's,
/// and it must not be counted as an error.
pub fn counted(bridge: &Bridge, component: &str) -> Counts {
    let mut counts = Counts::new();
    for (series, value) in bridge.samples() {
        let Some((name, labels)) = labels_of(&series) else { continue };
        let direction = match name {
            "mcp_server_operation_duration_seconds_count" => "to_server",
            "mcp_client_operation_duration_seconds_count" => "to_client",
            _ => continue,
        };
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        if label("component_name") == component {
            let operation =
                (direction.to_owned(), label("mcp_method_name"), label("gen_ai_tool_name"), label("error_type"));
            *counts.entry(operation).or_default() += value as u64;
        }
    }
    counts
}

/// What `/metrics` says of a session comes to what its client wrote.
pub fn assert_counted(bridge: &Bridge, played: &Played) {
    until_equal(
        || expected(played).into_iter().collect(),
        || counted_without_probe(bridge, played).into_iter().collect(),
    );
}

fn counted_without_probe(bridge: &Bridge, played: &Played) -> Counts {
    let mut counts = counted(bridge, &played.name);
    if played.ledger.iter().any(|line| line["probed"] == true) {
        let probe = ["to_server", "server/discover", "", ""].map(str::to_owned);
        counts.remove(&probe.into());
    }
    counts
}

/// The value of the series of this name that has all these labels, and perhaps others.
pub fn value(bridge: &Bridge, name: &str, with: &[(&str, &str)]) -> f64 {
    let with = labels(with);
    let samples = bridge.samples();
    let found = samples.iter().filter(|(series, _)| {
        labels_of(series).is_some_and(|(found, labels)| {
            found == name && with.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
    });
    found.map(|(_, value)| value).sum()
}

/// The name and the labels of a series as it is written; `None` where it has none. No value here holds a quote.
pub fn labels_of(series: &str) -> Option<(&str, Labels)> {
    let (name, labels) = series.strip_suffix('}')?.split_once('{')?;
    let pairs = labels.split_terminator('"').collect::<Vec<_>>();
    let pair = |pair: &[&str]| (pair[0].trim_matches([',', '=']).to_owned(), pair[1].to_owned());
    Some((name, pairs.chunks_exact(2).map(pair).collect()))
}
