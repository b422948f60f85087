//! What kustomize renders of `deploy/kubernetes/`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::manifests::{bridges, containers, list, of, only, validated, variables, workloads};
use crate::peers::installed;
use crate::{at, facts, run};

/// The versions that the schemas are of: that from which on volumes of images are there for sure, and a newer one.
const KUBERNETES: [&str; 2] = ["1.35", "1.37"];

fn rendered(folder: &str) -> String {
    built(&at("deploy/kubernetes").join(folder)).unwrap()
}

/// What kustomize makes of a folder.
fn built(folder: &Path) -> Result<String, String> {
    run(Command::new(installed("bin/kustomize")).arg("build").arg(folder), "")
}

/// The documents of a folder, of which all must be true that is of every rendering.
fn documents(folder: &str) -> Vec<Value> {
    let documents = validated(&rendered(folder), &KUBERNETES).unwrap();
    facts::hold(&documents);
    for bridge in workloads(&documents).into_iter().flat_map(bridges) {
        let traces =
            |(name, value): &(String, String)| name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" && !value.is_empty();
        assert!(variables(&documents, bridge).iter().any(traces), "its exemplars lead to traces that nobody has");
    }
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
fn the_gateway_takes_tls_too() {
    // As a kustomization beside a checkout says it.
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(at("deploy"), dir.path().join("deploy")).unwrap();
    std::os::unix::fs::symlink(at("otel-config"), dir.path().join("otel-config")).unwrap();
    let file =
        "resources: [../deploy/kubernetes/overlays/gateway]\ncomponents: [../deploy/kubernetes/components/tls]\n";
    std::fs::create_dir(dir.path().join("mine")).unwrap();
    std::fs::write(dir.path().join("mine/kustomization.yaml"), file).unwrap();
    let documents = validated(&built(&dir.path().join("mine")).unwrap(), &KUBERNETES).unwrap();
    facts::hold(&documents);
    let variables = variables(&documents, bridges(only(&documents, "StatefulSet"))[0]);
    for end in ["_TLS_CLIENT_CA_FILE", "_AUTH_INGEST_TOKEN_FILE"] {
        assert!(variables.iter().any(|(name, _)| name.ends_with(end)), "{end}");
    }
}

#[test]
fn every_overlay_and_component_is_among_these() {
    let count = |folder: &str| std::fs::read_dir(at("deploy/kubernetes").join(folder)).unwrap().count();
    assert_eq!((count("overlays"), count("components")), (4, 2));
}

/// The facts find this fault with a rendering in which something wrong stands in place of what is right.
fn is_caught(rendering: &str, right: &str, wrong: &str, fault: &str) {
    let bad = rendering.replace(right, wrong);
    assert!(bad != rendering, "there is no {right:?}");
    let documents = validated(&bad, &["1.37"]).unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| facts::hold(&documents))).expect_err(wrong);
    let told = caught.downcast_ref::<String>().unwrap();
    assert!(told.contains(fault), "{wrong}: {told}");
}

#[test]
fn what_no_schema_sees_is_caught() {
    let (base, gateway, sidecar) = (rendered("base"), rendered("overlays/gateway"), rendered("overlays/sidecar"));
    for (rendering, right, wrong, fault) in [
        (&base, "honorLabels: true", "honorLabels: false", "the operator renames a label"),
        (&sidecar, "honorLabels: true", "honorLabels: false", "the operator renames a label"),
        (&base, "http://otel-collector:4317", "http://otel-collector:4318", "what is let out"),
        (&base, "port: 5353", "port: 5354", "what is let out"),
        (&base, "- podSelector: {}", "- namespaceSelector: {}", "without a token it is open"),
        (&gateway, "AUTH_INGEST_TOKEN_FILE", "AUTH_ADMIN_TOKEN_FILE", "without a token it is open"),
        (&sidecar, "port: bridge\n  - ports", "port: http\n  - ports", "Prometheus is shut out"),
        (&sidecar, "metadata.name: monitoring", "metadata.name: elsewhere", "Prometheus is shut out"),
        (&gateway, "timeoutSeconds: 86400", "timeoutSeconds: 10800", "a client is forgotten too early"),
    ] {
        is_caught(rendering, right, wrong, fault);
    }
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
