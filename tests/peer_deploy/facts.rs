//! What must be true of every rendering, and what no schema sees.

use std::collections::BTreeSet;
use std::process::Command;

use mcp_otel_bridge::{catalog, config};
use serde_json::{Value, json};

use crate::manifests::{bridges, containers, good, list, of, variables, workloads};
use crate::{at, network, run, selectors};

/// The page of every path, which the tests hold against what the bridge serves.
const PATHS: &str = include_str!("../../docs/http-api.md");

/// The largest dashboard: beyond it, `kubectl apply` cannot annotate the ConfigMap with what was applied.
const LARGEST: usize = 256 * 1024;

/// All of them.
pub fn hold(documents: &[Value]) {
    let names: BTreeSet<_> =
        documents.iter().map(|one| (one["kind"].to_string(), one["metadata"]["name"].to_string())).collect();
    assert_eq!(names.len(), documents.len(), "a name twice");
    for document in documents {
        assert!(document["metadata"]["namespace"].is_null(), "where it goes is not for us to say: {document}");
    }
    selectors::hold(documents);
    network::hold(documents);
    for workload in workloads(documents) {
        hardened(workload);
        references(documents, workload);
        let bridges = bridges(workload);
        assert_eq!(bridges.len(), 1);
        probed(documents, bridges[0]);
        configured(documents, bridges[0]);
        monitored(documents, bridges[0]);
    }
    dashboards(documents);
}

fn hardened(workload: &Value) {
    let pod = &workload["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for container in containers(workload) {
        let right = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], right, "{}", container["name"]);
        assert!(!container["resources"]["requests"].is_null() && !container["resources"]["limits"]["memory"].is_null());
    }
}

/// What the workload names is there.
fn references(documents: &[Value], workload: &Value) {
    let pod = &workload["spec"]["template"]["spec"];
    if let Some(account) = pod["serviceAccountName"].as_str() {
        let found = of(documents, "ServiceAccount").into_iter().find(|one| one["metadata"]["name"] == account);
        assert_eq!(found.expect("its account")["automountServiceAccountToken"], false);
    }
    let claims = list(&workload["spec"]["volumeClaimTemplates"]).into_iter().map(|claim| &claim["metadata"]["name"]);
    let volumes: Vec<&Value> = list(&pod["volumes"]).into_iter().map(|volume| &volume["name"]).chain(claims).collect();
    for container in containers(workload) {
        for mount in list(&container["volumeMounts"]) {
            assert!(volumes.contains(&&mount["name"]), "{mount}");
        }
    }
    for volume in list(&pod["volumes"]) {
        if let Some(name) = volume["configMap"]["name"].as_str() {
            assert!(of(documents, "ConfigMap").iter().any(|map| map["metadata"]["name"] == name), "{name}");
        }
    }
}

fn probed(documents: &[Value], bridge: &Value) {
    let secure = variables(documents, bridge).iter().any(|(name, _)| name.ends_with("_TLS_CERT_FILE"));
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let asked = &bridge[probe]["httpGet"];
        if asked.is_null() {
            // A sidecar's readiness is that of its pod's server.
            assert_eq!((probe, &bridge["restartPolicy"]), ("readinessProbe", &json!("Always")));
            continue;
        }
        assert!(PATHS.contains(&format!("`GET {}`", asked["path"].as_str().unwrap())), "{asked}");
        assert!(list(&bridge["ports"]).iter().any(|port| port["name"] == asked["port"]), "{asked}");
        assert_eq!(asked["scheme"] == "HTTPS", secure, "{asked}");
    }
}

/// The bridge knows each variable, and takes what they and the file say.
fn configured(documents: &[Value], bridge: &Value) {
    let known = config::reference_markdown();
    let variables = variables(documents, bridge);
    let names: BTreeSet<&String> = variables.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), variables.len(), "a variable twice");
    let mut own = Vec::new();
    for (name, value) in &variables {
        if !name.starts_with("MCP_OTEL_BRIDGE_") && !name.starts_with("OTEL_") {
            continue;
        }
        assert!(known.contains(&format!("`{name}`")), "the bridge does not know {name}");
        // Files are in the cluster's volumes.
        if !name.ends_with("_FILE") {
            own.push((name, value));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bridge.yaml");
    let files = of(documents, "ConfigMap").into_iter().filter_map(|map| map["data"]["bridge.yaml"].as_str());
    std::fs::write(&file, files.collect::<String>()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    command.env_clear().arg("check").arg("--config").arg(&file).envs(own);
    good(&run(&mut command, "").unwrap());
}

/// Whoever scrapes asks as the bridge wants to be asked.
fn monitored(documents: &[Value], bridge: &Value) {
    let variables = variables(documents, bridge);
    let has = |end: &str| variables.iter().any(|(name, _)| name.ends_with(end));
    let endpoints = [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")];
    for (kind, endpoints) in endpoints {
        for monitor in of(documents, kind) {
            let spec = &monitor["spec"];
            assert_eq!(spec["scrapeProtocols"][0], "OpenMetricsText1.0.0", "exemplars come only with OpenMetrics");
            assert!(spec["sampleLimit"].as_u64().unwrap() > 0);
            for endpoint in list(&spec[endpoints]) {
                assert_eq!(endpoint["path"], "/metrics");
                keeps_labels(endpoint);
                assert_eq!(endpoint["scheme"] == "https", has("_TLS_CERT_FILE"));
                let client = ["ca", "cert", "keySecret"].map(|part| !endpoint["tlsConfig"][part].is_null());
                assert_eq!(client, [has("_TLS_CERT_FILE"), has("_TLS_CLIENT_CA_FILE"), has("_TLS_CLIENT_CA_FILE")]);
                let token = endpoint["authorization"]["credentials"]["key"] == "scrape";
                assert_eq!(token, has("_AUTH_SCRAPE_TOKEN_FILE"));
            }
        }
    }
}

/// What the metrics say themselves is kept where the operator would say something of its own, and what only a target can
/// tell is left to it.
fn keeps_labels(endpoint: &Value) {
    let own: BTreeSet<String> =
        catalog::all().flat_map(|metric| metric.labels).map(|key| catalog::label_name(key)).collect();
    let of_the_operator = ["service", "pod", "namespace", "container", "endpoint"];
    if of_the_operator.iter().any(|label| own.contains(*label)) {
        assert_eq!(endpoint["honorLabels"], true, "the operator renames a label of the bridge's: {endpoint}");
    }
    for label in ["job", "instance", "namespace", "pod"] {
        assert!(!own.contains(label), "honoured, the bridge's own {label} hides which target it is");
    }
}

/// All dashboards or none, as they lie in `otel-config/`, each small enough and found by Grafana's sidecar.
fn dashboards(documents: &[Value]) {
    let mut met = 0;
    for map in of(documents, "ConfigMap") {
        for (name, text) in map["data"].as_object().unwrap() {
            if !name.ends_with(".json") {
                continue;
            }
            met += 1;
            assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
            let text = text.as_str().unwrap();
            assert!(text.len() < LARGEST, "{name}");
            let file = std::fs::read_to_string(at("otel-config/dashboards").join(name)).unwrap();
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), serde_json::from_str::<Value>(&file).unwrap());
        }
    }
    assert!([0, every_dashboard()].contains(&met), "{met}");
}

/// How many there are.
pub fn every_dashboard() -> usize {
    let folder = std::fs::read_dir(at("otel-config/dashboards")).unwrap();
    folder.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "json")).count()
}
