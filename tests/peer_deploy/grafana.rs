//! What Grafana is provisioned with: held against the fields that it documents, since it itself cannot be had.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::compose::{laid_out, project, yaml};
use crate::manifests::list;

/// The fields of a file of data sources and of what is in it.
const FILE: [&str; 2] = ["apiVersion", "datasources"];
const SOURCE: [&str; 7] = ["name", "uid", "type", "access", "url", "isDefault", "jsonData"];
const OF_PROMETHEUS: [&str; 3] = ["httpMethod", "timeInterval", "exemplarTraceIdDestinations"];
const DESTINATION: [&str; 3] = ["name", "datasourceUid", "urlDisplayLabel"];
/// The same of a file of dashboards' providers.
const PROVIDERS: [&str; 2] = ["apiVersion", "providers"];
const PROVIDER: [&str; 5] = ["name", "folder", "type", "allowUiUpdates", "options"];

fn has_only(value: &Value, fields: &[&str]) {
    for name in value.as_object().unwrap().keys() {
        assert!(fields.contains(&name.as_str()), "Grafana knows no {name}: {value}");
    }
}

/// A Prometheus that leads from an exemplar to its trace; gives the uids. Whether the store of traces is among the data
/// sources, or is one that is there already, `has_traces` says.
pub fn data_sources(file: &Value, has_traces: bool) -> BTreeSet<String> {
    has_only(file, &FILE);
    assert_eq!(file["apiVersion"], 1);
    let sources = list(&file["datasources"]);
    for source in &sources {
        has_only(source, &SOURCE);
        assert_eq!(source["access"], "proxy");
        assert!(source["url"].as_str().unwrap().starts_with("http://"), "{source}");
    }
    let uids: BTreeSet<String> = sources.iter().map(|source| source["uid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(uids.len(), sources.len(), "a uid twice");
    let prometheus = sources.iter().find(|source| source["type"] == "prometheus").unwrap();
    has_only(&prometheus["jsonData"], &OF_PROMETHEUS);
    let link = list(&prometheus["jsonData"]["exemplarTraceIdDestinations"])[0];
    has_only(link, &DESTINATION);
    // The label under which the exposition names the trace of an exemplar.
    assert_eq!(link["name"], "trace_id");
    let led_to = link["datasourceUid"].as_str().unwrap();
    let traces = sources.iter().find(|source| source["uid"] == led_to);
    assert_eq!(traces.is_some(), has_traces, "{led_to}");
    assert!(traces.is_none_or(|source| source["type"] == "jaeger" || source["type"] == "tempo"));
    uids
}

#[test]
fn grafana_finds_its_dashboards_and_they_find_their_data() {
    let grafana = &project()["services"]["grafana"];
    let root = laid_out(grafana);
    let place = |path: &str| root.path().join(path.trim_start_matches('/'));
    let sources = yaml(&place("/etc/grafana/provisioning/datasources/mcp-otel-bridge.yaml"));
    let uids = data_sources(&sources, true);
    let is_default = |source: &&Value| source["isDefault"] == true;
    let default: Vec<&Value> = list(&sources["datasources"]).into_iter().filter(is_default).collect();
    assert_eq!((default.len(), &default[0]["type"]), (1, &"prometheus".into()));

    let providers = yaml(&place("/etc/grafana/provisioning/dashboards/mcp-otel-bridge.yaml"));
    has_only(&providers, &PROVIDERS);
    let provider = list(&providers["providers"])[0];
    has_only(provider, &PROVIDER);
    let folder = place(provider["options"]["path"].as_str().unwrap());
    let home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str().unwrap();
    assert!(place(home).exists());
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|kind| kind == "json") {
            let dashboard = yaml(&file);
            let variables = list(&dashboard["templating"]["list"]);
            let source = variables.iter().find(|one| one["type"] == "datasource").unwrap();
            assert_eq!((&source["name"], &source["query"]), (&"datasource".into(), &"prometheus".into()));
            for target in list(&dashboard["panels"]).into_iter().flat_map(|panel| list(&panel["targets"])) {
                let uid = target["datasource"]["uid"].as_str().unwrap_or("${datasource}");
                assert!(uid == "${datasource}" || uids.contains(uid), "{uid}");
            }
        }
    }
}

#[test]
fn whoever_looks_can_follow_an_exemplar() {
    let grafana = &project()["services"]["grafana"];
    let variables = &grafana["environment"];
    // A link from an exemplar leads to Explore, which Grafana opens to editors alone.
    assert_eq!(variables["GF_AUTH_ANONYMOUS_ENABLED"], "true");
    assert!(["Editor", "Admin"].contains(&variables["GF_AUTH_ANONYMOUS_ORG_ROLE"].as_str().unwrap()));
}
