//! What Helm renders of the chart, and what it refuses.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::authority::Authority;
use crate::manifests::{bridges, list, of, only, validated, workloads};
use crate::peers::bridge::Bridge;
use crate::peers::installed;
use crate::{at, facts, grafana, network, run};

/// The oldest version of Kubernetes that the chart takes, and a new one.
const KUBERNETES: [&str; 2] = ["1.29", "1.37"];

fn chart() -> PathBuf {
    at("deploy/helm/mcp-otel-bridge")
}

fn helm(arguments: &[&str], values: Option<&str>) -> Result<String, String> {
    // Its caches and repositories are to be nobody's.
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(installed("bin/helm"));
    command.env("HOME", home.path()).args(arguments).arg(chart());
    if let Some(values) = values {
        command.arg("--values").arg(chart().join("ci").join(values));
    }
    run(&mut command, "")
}

fn documents(values: Option<&str>) -> Vec<Value> {
    assert!(helm(&["lint", "--strict"], values).unwrap().contains("1 chart(s) linted, 0 chart(s) failed"));
    let documents = validated(&helm(&["template", "release"], values).unwrap(), &KUBERNETES).unwrap();
    facts::hold(&documents);
    documents
}

#[test]
fn by_default_it_is_one_bridge_that_needs_nothing_else() {
    let documents = documents(None);
    assert_eq!(bridges(only(&documents, "Deployment")).len(), 1);
    assert!(documents.iter().all(|one| !one["apiVersion"].as_str().unwrap().starts_with("monitoring.coreos.com/")));
}

#[test]
fn with_persistence_each_replica_keeps_its_data() {
    let documents = documents(Some("persistent.yaml"));
    let bridges = only(&documents, "StatefulSet");
    assert_eq!(bridges["spec"]["replicas"], 3);
    assert_eq!(list(&bridges["spec"]["volumeClaimTemplates"]).len(), 1);
    let base =
        run(Command::new(installed("bin/kustomize")).arg("build").arg(at("deploy/kubernetes/base")), "").unwrap();
    let base = validated(&base, &["1.37"]).unwrap();
    let groups = |documents: &[Value]| only(documents, "PrometheusRule")["spec"]["groups"].clone();
    assert_eq!(groups(&documents), groups(&base));
    let dashboards = of(&documents, "ConfigMap").into_iter();
    let dashboards = dashboards.filter(|map| !map["metadata"]["labels"]["grafana_dashboard"].is_null()).count();
    assert_eq!(dashboards, facts::every_dashboard());
    let service = of(&documents, "Service").into_iter().find(|one| one["spec"]["clusterIP"].is_null()).unwrap();
    assert_eq!(service["spec"]["sessionAffinity"], "ClientIP");
}

#[test]
fn secured_it_has_certificates_and_a_token_for_each_right() {
    let documents = documents(Some("secured.yaml"));
    let bridge = bridges(workloads(&documents)[0])[0];
    for right in ["SCRAPE", "INGEST", "ADMIN"] {
        let name = format!("MCP_OTEL_BRIDGE_AUTH_{right}_TOKEN_FILE");
        assert!(list(&bridge["env"]).iter().any(|variable| variable["name"] == *name), "{name}");
    }
    only(&documents, "PodMonitor");
    let policy = &only(&documents, "NetworkPolicy")["spec"];
    let rule = |rules: &Value, port: Value| list(rules).into_iter().any(|rule| rule["ports"][0]["port"] == port);
    assert_eq!(list(&policy["ingress"])[1]["from"][0]["ipBlock"]["cidr"], "10.0.0.0/8");
    assert!(rule(&policy["egress"], 443.into()) && rule(&policy["egress"], 8443.into()));
}

#[test]
fn the_ports_of_all_endpoints_are_let_out() {
    let sets = [
        "push.tracesEndpoint=\"https://otlp.example\"",
        "push.metricsEndpoint=\"http://[2001:db8::1]:9999\"",
        "env=[{\"name\": \"OTEL_EXPORTER_OTLP_ENDPOINT\", \"value\": \"http://other.example\"}]",
        r#"config={"tracer_provider": {"processors": [{"batch": {"exporter": {"otlp_grpc": {"endpoint": "http://c:4318"}}}}]}}"#,
    ];
    let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set-json", set]).collect();
    let rendered = helm(&[&["template", "release"], &arguments[..]].concat(), None).unwrap();
    let documents = validated(&rendered, &KUBERNETES).unwrap();
    // These hold the ports against the endpoints.
    network::hold(&documents);
    let ports = list(&only(&documents, "NetworkPolicy")["spec"]["egress"][1]["ports"]);
    let ports: Vec<u64> = ports.into_iter().map(|port| port["port"].as_u64().unwrap()).collect();
    assert_eq!(ports, [443, 9999, 4318, 80]);
}

#[test]
fn the_data_source_leads_from_an_exemplar_to_its_trace() {
    for (values, sets, own) in [(Some("secured.yaml"), "", true), (None, "datasource.enabled=true", false)] {
        let documents =
            validated(&helm(&["template", "release", "--set", sets], values).unwrap(), &KUBERNETES).unwrap();
        let mut maps = of(&documents, "ConfigMap").into_iter();
        let map = maps.find(|map| map["metadata"]["labels"]["grafana_datasource"] == "1").unwrap();
        let (_, text) = map["data"].as_object().unwrap().iter().next().unwrap();
        let file: Value = serde_saphyr::from_str(text.as_str().unwrap()).unwrap();
        grafana::data_sources(&file, own);
    }
}

/// What Helm tells who has installed it.
fn notes(values: Option<&str>) -> String {
    let told = helm(&["install", "release", "--dry-run=client"], values).unwrap();
    told.split_once("\nNOTES:\n").unwrap().1.to_owned()
}

#[test]
fn the_notes_say_how_to_ask_a_bridge_with_tls() {
    let (plain, secured) = (notes(None), notes(Some("secured.yaml")));
    assert!(plain.contains("curl http://127.0.0.1:9090/readyz") && plain.contains("Traces go nowhere"), "{plain}");
    for told in ["MCP_OTEL_BRIDGE_CA_FILE", "MCP_OTEL_BRIDGE_TOKEN", "MCP_OTEL_BRIDGE_CLIENT_KEY"] {
        assert!(secured.contains(told) && !plain.contains(told), "{told}");
    }
    // As it stands there, but for the place of the bridge and of the authority, which the test has.
    let asking = secured.lines().map(str::trim).find(|line| line.starts_with("curl ")).unwrap();
    let authority = Authority::new();
    let issued = authority.issue_for(&["release-mcp-otel-bridge"], "bridge");
    let bridge = Bridge::options()
        .variable("MCP_OTEL_BRIDGE_TLS_CERT_FILE", issued.cert_file.to_str().unwrap())
        .variable("MCP_OTEL_BRIDGE_TLS_KEY_FILE", issued.key_file.to_str().unwrap())
        .start();
    let asking = asking.replace("bridge-ca.crt", authority.file().to_str().unwrap());
    let asking = asking.replace("127.0.0.1:9090", &bridge.address);
    let told = run(Command::new("sh").args(["-c", &format!("{asking} --silent --show-error")]), "").unwrap();
    assert!(told.contains("\"ready\":true"), "{told}");
}

#[test]
fn every_file_of_values_is_among_these() {
    assert_eq!(std::fs::read_dir(chart().join("ci")).unwrap().count(), 2);
}

#[test]
fn wrong_values_are_refused() {
    for (set, told) in [
        ("replicaz=1", "'replicaz' not allowed"),
        ("tls.secret=a", "'secret' not allowed"),
        ("serviceMonitor.interval=often", "serviceMonitor/interval"),
        ("replicas=2", "replicas"),
        ("auth.rights={everything}", "auth/rights/0"),
        ("networkPolicy.collectorPort=4317", "'collectorPort' not allowed"),
        ("datasource.traces.type=zipkin", "datasource/traces/type"),
        ("serviceMonitor.enabled=true,podMonitor.enabled=true", "scrape it twice; enable one"),
        ("service.type=NodePort", "name them in networkPolicy.extraIngress"),
    ] {
        let fault = helm(&["template", "release", "--set", set], None).unwrap_err();
        assert!(fault.contains(told), "{set}: {fault}");
    }
    for set in ["replicas=2,persistence.enabled=true", "service.type=NodePort,networkPolicy.enabled=false"] {
        helm(&["template", "release", "--set", set], None).unwrap();
    }
}

#[test]
fn the_package_holds_what_the_links_lead_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(installed("bin/helm"));
    command.env("HOME", dir.path()).arg("package").arg(chart()).arg("--destination").arg(dir.path());
    run(&mut command, "").unwrap();
    let package = dir.path().join(format!("mcp-otel-bridge-{}.tgz", env!("CARGO_PKG_VERSION")));
    let template = run(
        Command::new(installed("bin/helm"))
            .env("HOME", dir.path())
            .args(["template", "release", "--set", "prometheusRule.enabled=true,dashboards.enabled=true"])
            .arg(package),
        "",
    );
    let documents = validated(&template.unwrap(), &["1.37"]).unwrap();
    assert!(!list(&only(&documents, "PrometheusRule")["spec"]["groups"]).is_empty());
    assert_eq!(of(&documents, "ConfigMap").len(), facts::every_dashboard());
}
