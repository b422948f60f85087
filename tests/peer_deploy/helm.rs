//! What Helm renders of the chart, and what it refuses.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::manifests::{bridges, list, of, only, validated, workloads};
use crate::peers::installed;
use crate::{at, facts, run};

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
    for kind in ["ServiceMonitor", "PodMonitor"] {
        only(&documents, kind);
    }
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
    ] {
        let fault = helm(&["template", "release", "--set", set], None).unwrap_err();
        assert!(fault.contains(told), "{set}: {fault}");
    }
    helm(&["template", "release", "--set", "replicas=2,persistence.enabled=true"], None).unwrap();
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
