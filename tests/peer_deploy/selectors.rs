//! Who selects whom: what no schema sees.

use serde_json::Value;

use crate::manifests::{bridges, containers, list, of, workloads};

/// The job that rules and dashboards know.
const JOB: &str = "mcp-otel-bridge";

/// Whether a selector that is not empty takes these labels.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object().expect("a selector that names labels");
    assert!(!wanted.is_empty(), "an empty selector takes everything there is");
    let all = wanted.iter().all(|(name, value)| labels[name] == *value);
    all && list(&selector["matchExpressions"]).into_iter().all(|rule| {
        let among = list(&rule["values"]).contains(&&labels[rule["key"].as_str().unwrap()]);
        match rule["operator"].as_str().unwrap() {
            "In" => among,
            "NotIn" => !among,
            other => panic!("{other} is not known here"),
        }
    })
}

/// The labels of a workload's pods.
pub fn labels(workload: &Value) -> &Value {
    &workload["spec"]["template"]["metadata"]["labels"]
}

/// Whether one of the containers names that port.
fn has_port(containers: &[&Value], port: &Value) -> bool {
    containers.iter().any(|container| list(&container["ports"]).iter().any(|found| found["name"] == *port))
}

/// The one workload that is selected.
fn selected<'a>(documents: &'a [Value], selector: &Value, what: &str) -> &'a Value {
    let found: Vec<&Value> = workloads(documents).into_iter().filter(|one| selects(selector, labels(one))).collect();
    assert_eq!(found.len(), 1, "{what}");
    found[0]
}

pub fn hold(documents: &[Value]) {
    for workload in workloads(documents) {
        assert!(selects(&workload["spec"]["selector"], labels(workload)));
    }
    for service in of(documents, "Service") {
        let selector = serde_json::json!({"matchLabels": service["spec"]["selector"]});
        let workload = selected(documents, &selector, "a Service");
        for port in list(&service["spec"]["ports"]) {
            assert!(has_port(&bridges(workload), &port["targetPort"]), "{port}");
        }
    }
    for kind in ["PodDisruptionBudget", "PodMonitor"] {
        for document in of(documents, kind) {
            selected(documents, &document["spec"]["selector"], kind);
        }
    }
    for policy in of(documents, "NetworkPolicy") {
        let workload = selected(documents, &policy["spec"]["podSelector"], "the NetworkPolicy");
        for rule in list(&policy["spec"]["ingress"]) {
            let ports = list(&rule["ports"]);
            assert!(!ports.is_empty() && ports.iter().all(|port| has_port(&containers(workload), &port["port"])));
        }
    }
    for stateful in of(documents, "StatefulSet") {
        let service = &stateful["spec"]["serviceName"];
        let found = of(documents, "Service").into_iter().find(|one| one["metadata"]["name"] == *service);
        assert_eq!(found.expect("the service that names its pods")["spec"]["clusterIP"], "None");
    }
    service_monitors(documents);
    pod_monitors(documents);
}

/// A ServiceMonitor scrapes each pod once: through the service that is not headless.
fn service_monitors(documents: &[Value]) {
    for monitor in of(documents, "ServiceMonitor") {
        let spec = &monitor["spec"];
        let services = of(documents, "Service").into_iter();
        let taken: Vec<&Value> =
            services.filter(|service| selects(&spec["selector"], &service["metadata"]["labels"])).collect();
        assert_eq!(taken.len(), 1);
        assert_ne!(taken[0]["spec"]["clusterIP"], "None");
        assert_eq!(taken[0]["metadata"]["labels"][spec["jobLabel"].as_str().unwrap()], JOB);
        for endpoint in list(&spec["endpoints"]) {
            assert!(list(&taken[0]["spec"]["ports"]).iter().any(|port| port["name"] == endpoint["port"]));
        }
    }
}

fn pod_monitors(documents: &[Value]) {
    for monitor in of(documents, "PodMonitor") {
        let spec = &monitor["spec"];
        let workload = selected(documents, &spec["selector"], "a PodMonitor");
        for endpoint in list(&spec["podMetricsEndpoints"]) {
            assert!(has_port(&bridges(workload), &endpoint["port"]));
            let relabeled = list(&endpoint["relabelings"]).into_iter().find(|rule| rule["targetLabel"] == "job");
            let job = match relabeled {
                Some(rule) => &rule["replacement"],
                None => &labels(workload)[spec["jobLabel"].as_str().unwrap()],
            };
            assert_eq!(*job, JOB);
        }
    }
}
