//! Who may talk to whom: the policies let through what the deployment is for, and nobody unknown.

use std::collections::BTreeSet;

use mcp_otel_bridge::config;
use serde_json::{Value, json};

use crate::manifests::{bridges, list, of, variables, workloads};
use crate::selectors::{labels, selects};

/// The ports on which a cluster's DNS is found: 5353 is that of OpenShift's pods.
const DNS: [u64; 2] = [53, 5353];

/// All that must be true of a rendering's network.
pub fn hold(documents: &[Value]) {
    for workload in workloads(documents) {
        let policies = policies(documents, workload);
        assert!(!policies.is_empty(), "the bridge is open to whoever there is");
        for bridge in bridges(workload) {
            admits(documents, bridge, &policies);
            lets_out(documents, bridge, &policies);
        }
    }
    for service in of(documents, "Service") {
        sticks(&service["spec"]);
    }
}

/// The policies that are for this workload.
fn policies<'a>(documents: &'a [Value], workload: &Value) -> Vec<&'a Value> {
    let all = of(documents, "NetworkPolicy").into_iter();
    all.map(|policy| &policy["spec"]).filter(|spec| selects(&spec["podSelector"], labels(workload))).collect()
}

/// Everyone whom the policies let come to the bridge's port, as peers; a rule without any admits whoever there is.
fn peers<'a>(bridge: &Value, policies: &[&'a Value]) -> Vec<&'a Value> {
    let port = &bridge["ports"][0]["name"];
    let rules = policies.iter().flat_map(|spec| {
        assert!(list(&spec["policyTypes"]).contains(&&json!("Ingress")), "{spec}");
        list(&spec["ingress"])
    });
    let rules = rules.filter(|rule| list(&rule["ports"]).iter().any(|open| open["port"] == *port));
    let peers = rules.map(|rule| {
        let peers = list(&rule["from"]);
        assert!(!peers.is_empty(), "the bridge is open to whoever there is: {rule}");
        peers
    });
    peers.flatten().collect()
}

/// Prometheus comes in, and who is neither Prometheus nor of the namespace needs a token.
fn admits(documents: &[Value], bridge: &Value, policies: &[&Value]) {
    let monitoring = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}});
    let anywhere = json!({"namespaceSelector": {}});
    let near = [&monitoring, &json!({"podSelector": {}})];
    let peers = peers(bridge, policies);
    assert!(peers.contains(&&monitoring) || peers.contains(&&anywhere), "Prometheus is shut out: {peers:?}");
    let has_tokens = ["_AUTH_SCRAPE_TOKEN_FILE", "_AUTH_INGEST_TOKEN_FILE"].iter().all(|end| {
        let variables = variables(documents, bridge);
        variables.iter().any(|(name, _)| name.ends_with(end))
    });
    let far: Vec<_> = peers.iter().filter(|peer| !near.contains(peer)).collect();
    assert!(far.is_empty() || has_tokens, "without a token it is open to {far:?}");
    let outside = of(documents, "Service").into_iter().any(|one| one["spec"]["type"] == "LoadBalancer");
    let blocks = peers.iter().any(|peer| !peer["ipBlock"].is_null());
    assert!(!outside || blocks, "a service for the outside, and nobody from there is let in");
}

/// What the bridge asks gets out: DNS wherever it is, and each endpoint that it pushes to.
fn lets_out(documents: &[Value], bridge: &Value, policies: &[&Value]) {
    let limiting: Vec<_> =
        policies.iter().filter(|spec| list(&spec["policyTypes"]).contains(&&json!("Egress"))).collect();
    if limiting.is_empty() {
        return;
    }
    let rules: Vec<&Value> = limiting.into_iter().flat_map(|spec| list(&spec["egress"])).collect();
    let to_anyone = rules.iter().filter(|rule| list(&rule["to"]).is_empty());
    let open: BTreeSet<(u64, String)> = to_anyone
        .flat_map(|rule| list(&rule["ports"]))
        .map(|port| (port["port"].as_u64().unwrap(), port["protocol"].as_str().unwrap_or("TCP").to_owned()))
        .collect();
    let mut wanted: BTreeSet<(u64, String)> =
        DNS.iter().flat_map(|port| ["TCP", "UDP"].map(|protocol| (*port, protocol.to_owned()))).collect();
    wanted.extend(endpoints(documents, bridge).into_iter().map(|port| (port, "TCP".to_owned())));
    assert_eq!(open, wanted, "what is let out is not what the bridge asks");
}

/// The ports of the endpoints that variables and the file of configuration name.
fn endpoints(documents: &[Value], bridge: &Value) -> BTreeSet<u64> {
    let variables = variables(documents, bridge).into_iter();
    let mut found: Vec<String> = variables
        .filter(|(name, _)| name.starts_with("OTEL_EXPORTER_OTLP_") && name.ends_with("ENDPOINT"))
        .map(|(_, value)| value)
        .collect();
    for file in of(documents, "ConfigMap").into_iter().filter_map(|map| map["data"]["bridge.yaml"].as_str()) {
        named_endpoint(&serde_saphyr::from_str(file).unwrap(), &mut found);
    }
    found.iter().map(|url| port(url)).collect()
}

fn named_endpoint(value: &Value, found: &mut Vec<String>) {
    for (name, inner) in value.as_object().into_iter().flatten() {
        match inner.as_str() {
            Some(url) if name == "endpoint" => found.push(url.to_owned()),
            _ => named_endpoint(inner, found),
        }
    }
    list(value).into_iter().for_each(|inner| named_endpoint(inner, found));
}

fn port(url: &str) -> u64 {
    let url: http::Uri = url.parse().unwrap();
    let by_default = if url.scheme_str() == Some("https") { 443 } else { 80 };
    url.port_u16().unwrap_or(by_default).into()
}

/// Where clients stick to a bridge, they do for as long as a session lives of which nothing is heard.
fn sticks(service: &Value) {
    if service["sessionAffinity"] == "ClientIP" {
        let held = service["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].as_u64();
        assert_eq!(held, Some(config::Config::default().sessions.timeout.as_secs()), "a client is forgotten too early");
    }
}
