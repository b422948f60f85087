//! Manifests held against the schemas of Kubernetes and of the Prometheus operator, and read.

use std::process::Command;

use serde_json::Value;

use crate::peers::installed;
use crate::{at, run};

/// The documents, if they fit the schemas of each of these versions of Kubernetes; all that is wrong, otherwise.
pub fn validated(manifests: &str, versions: &[&str]) -> Result<Vec<Value>, String> {
    let mut command = Command::new(installed("kubernetes/bin/python"));
    command.arg(at("tests/peers/validate_kubernetes.py")).arg(installed("crds")).args(versions);
    run(&mut command, manifests).map(|documents| serde_json::from_str(&documents).unwrap())
}

/// The documents of a kind.
pub fn of<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

/// The one document of a kind.
pub fn only<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let [found] = of(documents, kind)[..] else { panic!("not one {kind}") };
    found
}

/// What starts pods.
pub fn workloads(documents: &[Value]) -> Vec<&Value> {
    ["Deployment", "StatefulSet"].iter().flat_map(|kind| of(documents, kind)).collect()
}

/// A list, which may be missing.
pub fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map(|items| items.iter().collect()).unwrap_or_default()
}

/// The containers of a workload, sidecars included.
pub fn containers(workload: &Value) -> Vec<&Value> {
    let pod = &workload["spec"]["template"]["spec"];
    [list(&pod["initContainers"]), list(&pod["containers"])].concat()
}

/// Those of them that run the bridge as a service.
pub fn bridges(workload: &Value) -> Vec<&Value> {
    containers(workload).into_iter().filter(|container| container["args"][0] == "serve").collect()
}

/// The variables of a container that have a value in the manifest.
pub fn variables(documents: &[Value], container: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for source in list(&container["envFrom"]) {
        let name = &source["configMapRef"]["name"];
        let map = of(documents, "ConfigMap").into_iter().find(|map| map["metadata"]["name"] == *name);
        let data = map.unwrap_or_else(|| panic!("there is no ConfigMap {name}"))["data"].as_object().unwrap();
        found.extend(data.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())));
    }
    for variable in list(&container["env"]) {
        let value = variable["value"].as_str().unwrap_or_default();
        found.push((variable["name"].as_str().unwrap().to_owned(), value.to_owned()));
    }
    found
}

/// The bridge takes a configuration; the one thing that it may warn of is that everyone in the network is let in.
pub fn good(told: &str) {
    let (warnings, last) = told.trim_end().rsplit_once('\n').unwrap_or(("", told.trim_end()));
    assert_eq!(last, "the configuration is good");
    assert!(warnings.lines().all(|warning| warning.contains("no token is set")), "{warnings}");
}
