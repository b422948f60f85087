//! What kustomize renders of `deploy/kubernetes/`.

use std::process::Command;

use serde_json::Value;

use crate::manifests::{bridges, containers, list, of, only, validated, workloads};
use crate::peers::installed;
use crate::{at, facts, run};

/// The versions that the schemas are of: that from which on volumes of images are there for sure, and a newer one.
const KUBERNETES: [&str; 2] = ["1.35", "1.37"];

fn rendered(folder: &str) -> String {
    let folder = at("deploy/kubernetes").join(folder);
    run(Command::new(installed("bin/kustomize")).arg("build").arg(folder), "").unwrap()
}

/// The documents of a folder, of which all must be true that is of every rendering.
fn documents(folder: &str) -> Vec<Value> {
    let documents = validated(&rendered(folder), &KUBERNETES).unwrap();
    facts::hold(&documents);
    documents
}

#[test]
fn the_base_is_one_bridge_with_all_that_looks_at_it() {
    let documents = documents("base");
    let kinds = ["ServiceAccount", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget", "ServiceMonitor"];
    for kind in kinds {
        only(&documents, kind);
    }
    assert!(!list(&only(&documents, "PrometheusRule")["spec"]["groups"]).is_empty());
    let dashboards = of(&documents, "ConfigMap").into_iter();
    let dashboards = dashboards.filter(|map| !map["metadata"]["labels"]["grafana_dashboard"].is_null()).count();
    assert_eq!(dashboards, facts::every_dashboard());
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        assert_eq!(only(&documents, kind)["metadata"]["labels"]["release"], "kube-prometheus-stack");
    }
}

#[test]
fn the_gateway_keeps_its_data_and_its_names() {
    let documents = documents("overlays/gateway");
    assert!(of(&documents, "Deployment").is_empty());
    let bridges = only(&documents, "StatefulSet");
    assert_eq!(list(&bridges["spec"]["volumeClaimTemplates"])[0]["metadata"]["name"], "data");
    let environment = list(&containers(bridges)[0]["env"]);
    let attributes = environment.iter().find(|one| one["name"] == "OTEL_RESOURCE_ATTRIBUTES").unwrap();
    assert!(attributes["value"].as_str().unwrap().starts_with("service.instance.id=$(POD_NAME),"));
    let service = of(&documents, "Service").into_iter().find(|one| one["metadata"]["name"] == "mcp-otel-bridge");
    assert_eq!(service.unwrap()["spec"]["sessionAffinity"], "ClientIP");
}

#[test]
fn the_sidecar_stands_beside_a_server_that_is_wrapped() {
    let documents = documents("overlays/sidecar");
    let server = only(&documents, "Deployment");
    let bridge = bridges(server)[0];
    assert_eq!(bridge["restartPolicy"], "Always");
    let wrapped = containers(server).into_iter().find(|one| one["name"] == "server").unwrap();
    let url = list(&wrapped["env"]).into_iter().find(|one| one["name"] == "MCP_OTEL_BRIDGE_URL").unwrap();
    assert_eq!(url["value"], "http://127.0.0.1:9090");
    // The program comes from the very image that the bridge runs.
    let volumes = list(&server["spec"]["template"]["spec"]["volumes"]);
    let program = volumes.into_iter().find(|volume| volume["name"] == "program").unwrap();
    assert_eq!(program["image"]["reference"], bridge["image"]);
    let command: Vec<&str> = list(&wrapped["command"]).into_iter().map(|word| word.as_str().unwrap()).collect();
    let wrap = command.iter().position(|word| *word == "wrap").unwrap();
    let mounted = list(&wrapped["volumeMounts"])[0]["mountPath"].as_str().unwrap();
    let inside = command[wrap - 1].strip_prefix(mounted).unwrap();
    let dockerfile = std::fs::read_to_string(at("deploy/docker/Dockerfile")).unwrap();
    assert!(dockerfile.contains(&format!("ENTRYPOINT [\"{inside}\"]")), "{inside}");
}

#[test]
fn with_tls_everyone_asks_over_tls_and_with_a_token() {
    let documents = documents("overlays/tls");
    let endpoint = list(&only(&documents, "ServiceMonitor")["spec"]["endpoints"])[0];
    assert_eq!((&endpoint["scheme"], &endpoint["authorization"]["type"]), (&"https".into(), &"Bearer".into()));
    let volumes = list(&only(&documents, "Deployment")["spec"]["template"]["spec"]["volumes"]);
    for secret in ["mcp-otel-bridge-tls", "mcp-otel-bridge-tokens"] {
        assert!(volumes.iter().any(|volume| volume["secret"]["secretName"] == secret), "{secret}");
    }
}

#[test]
fn a_pod_monitor_takes_the_place_of_the_service_monitor() {
    let documents = documents("overlays/podmonitor");
    assert!(of(&documents, "ServiceMonitor").is_empty());
    only(&documents, "PodMonitor");
    assert_eq!(workloads(&documents).len(), 1);
}

#[test]
fn every_overlay_is_among_these() {
    let overlays = std::fs::read_dir(at("deploy/kubernetes/overlays")).unwrap().count();
    assert_eq!(overlays, 4);
}

#[test]
fn a_misspelt_field_is_caught_of_kubernetes_as_of_the_operator() {
    let good = rendered("base");
    for (right, wrong, place) in [
        ("readOnlyRootFilesystem:", "readonlyRootFilesystem:", "Deployment mcp-otel-bridge"),
        ("maxUnavailable:", "maxUnavailible:", "PodDisruptionBudget mcp-otel-bridge"),
        ("policyTypes:", "policyType:", "NetworkPolicy mcp-otel-bridge"),
        ("scrapeTimeout:", "scrapeTimeOut:", "ServiceMonitor mcp-otel-bridge: $.spec.endpoints[0]"),
        ("jobLabel:", "joblabel:", "ServiceMonitor mcp-otel-bridge: $.spec"),
        ("    release: kube", "  lables:\n    release: kube", "mcp-otel-bridge: $.metadata"),
        ("      expr: ", "      exppr: ", "PrometheusRule mcp-otel-bridge"),
        ("kind: ServiceMonitor", "kind: ServiceMonitr", "Couldn't find schema for kind ServiceMonitr"),
    ] {
        let bad = good.replacen(right, wrong, 1);
        assert!(bad != good, "there is no {right:?}");
        let fault = validated(&bad, &KUBERNETES).unwrap_err();
        assert!(fault.contains(place), "{wrong}: {fault}");
    }
    let twice = validated("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nkind: ConfigMap\n", &KUBERNETES);
    assert!(twice.unwrap_err().contains("'kind' stands twice"));
    assert!(validated("", &KUBERNETES).is_err());
}
