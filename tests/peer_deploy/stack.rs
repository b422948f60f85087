//! The programs of the compose file, each on its files where they are mounted, together: from an event to an alert's
//! receiver, and from an exemplar to its trace.
//!
//! What differs from docker compose is the addresses, which are free ports of loopback in place of services' names, and
//! how often Prometheus looks.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::compose::{configuration, laid_out, project};
use crate::manifests::list;
use crate::peers::bridge::Bridge;
use crate::peers::collector::Collector;
use crate::peers::jaeger::Jaeger;
use crate::peers::process::Process;
use crate::peers::prometheus::Prometheus;
use crate::peers::{fleet, free_port, http, installed, until};
use crate::run;

/// Puts a copy of a file in the place of the link to it, changed by that.
fn changed(file: &Path, change: impl Fn(&str) -> String) {
    let text = std::fs::read_to_string(file).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text, "{} has nothing to change", file.display());
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, changed).unwrap();
}

/// The variables of a service, with what stands there for each of these in place of it.
fn variables(service: &Value, in_place_of: &[(&str, &str)]) -> Vec<(String, String)> {
    let variables = service["environment"].as_object().unwrap().iter();
    let replaced = variables.map(|(name, value)| {
        let value =
            in_place_of.iter().fold(value.as_str().unwrap().to_owned(), |value, (from, to)| value.replace(from, to));
        (name.clone(), value)
    });
    replaced.collect()
}

/// Alertmanager on the file of the compose project, and its address.
struct Alertmanager {
    _process: Process,
    address: String,
    _dirs: [tempfile::TempDir; 2],
}

impl Alertmanager {
    fn start(service: &Value) -> Self {
        let (root, data) = (laid_out(service), tempfile::tempdir().unwrap());
        let mut command = Command::new(installed("bin/alertmanager"));
        command.arg("--config.file").arg(configuration(service, &root, "--config.file"));
        command.arg("--storage.path").arg(data.path());
        command.args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
        let mut process = Process::start("Alertmanager", &mut command);
        let address = process.find_line("where it listens", |line| {
            let rest = line.contains("Listening on").then(|| line.split_once("address="))??.1;
            rest.split_whitespace().next().map(str::to_owned)
        });
        Self { _process: process, address, _dirs: [root, data] }
    }

    /// The alerts of that name, as its interface gives them.
    fn alerts(&self, name: &str) -> Vec<Value> {
        let page = http::get(&format!("http://{}/api/v2/alerts", self.address), "application/json").unwrap().json();
        let named = |alert: &&Value| alert["labels"]["alertname"] == name;
        page.as_array().unwrap().iter().filter(named).cloned().collect()
    }
}

#[test]
fn an_exemplar_of_the_scrape_leads_to_its_trace_in_jaeger() {
    let services = &project()["services"];
    let jaeger = Jaeger::start();
    let port = free_port();

    let prometheus = &services["prometheus"];
    let files = laid_out(prometheus);
    let file = configuration(prometheus, &files, "--config.file");
    changed(&file, |text| text.replace("interval: 15s", "interval: 500ms").replace("timeout: 10s", "timeout: 500ms"));
    let place = |name: &str| file.parent().unwrap().join(name);
    changed(&place("targets.yml"), |text| text.replace("bridge:9090", &format!("127.0.0.1:{port}")));
    let alertmanager = Alertmanager::start(&services["alertmanager"]);
    changed(&place("alertmanagers.yml"), |text| text.replace("alertmanager:9093", &alertmanager.address));
    let prometheus = Prometheus::configured(&file);

    let collector = &services["collector"];
    let mounted = laid_out(collector);
    let health = format!("127.0.0.1:{}", free_port());
    let variables_of_it = variables(
        collector,
        &[
            ("0.0.0.0:4317", "127.0.0.1:0"),
            ("0.0.0.0:13133", &health),
            ("http://prometheus:9090", &prometheus.url("")),
            ("jaeger:4317", &jaeger.otlp),
        ],
    );
    let variables_of_it: Vec<_> = variables_of_it.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let collector = Collector::configured(&configuration(collector, &mounted, "--config"), &variables_of_it);

    let of_the_bridge = variables(&services["bridge"], &[("http://collector:4317", &collector.endpoint())]);
    let options =
        of_the_bridge.iter().fold(Bridge::options().port(port), |options, (name, value)| options.variable(name, value));
    let bridge = options.start();
    let sent = fleet::send(&bridge, &fleet::sessions("mahavishnu", "MahavishnuShell", "success", &[30.0]));

    let exemplar = until("an exemplar", || prometheus.exemplars("session_duration_seconds_bucket").pop());
    assert_eq!(exemplar.labels["trace_id"], sent[0].trace_id);
    let trace = until("the trace", || jaeger.trace(&exemplar.labels["trace_id"]));
    let spans = list(&trace["spans"]);
    assert_eq!((spans.len(), &spans[0]["spanID"]), (1, &json!(exemplar.labels["span_id"])));
    assert_eq!(spans[0]["operationName"], "session mahavishnu");
    assert_eq!(spans[0]["duration"], 30_000_000, "in microseconds");
    let process = &trace["processes"][spans[0]["processID"].as_str().unwrap()];
    assert_eq!(process["serviceName"], "mcp-otel-bridge");
    // Scraped, and not pushed as well.
    assert_eq!(prometheus.value("count(session_start_total)"), Some(1.0));
    let known = until("its Alertmanager", || {
        Some(prometheus.page("alertmanagers")["activeAlertmanagers"].clone()).filter(|one| !list(one).is_empty())
    });
    assert_eq!(known[0]["url"], format!("http://{}/api/v2/alerts", alertmanager.address));
}

#[test]
fn the_alerts_of_a_bridge_that_is_down_are_held_back() {
    let alertmanager = Alertmanager::start(&project()["services"]["alertmanager"]);
    let alert = |name: &str, instance: &str| json!({"labels": {"alertname": name, "instance": instance}});
    let told = json!([
        alert("ServiceDown", "a:9090"),
        alert("BridgePushFailing", "a:9090"),
        alert("BridgePushFailing", "b:9090")
    ]);
    let url = format!("http://{}/api/v2/alerts", alertmanager.address);
    assert_eq!(http::post(&url, "application/json", &told.to_string()).unwrap().status, 200);
    until("the alerts to be looked at", || {
        let mut states: Vec<(String, String)> = alertmanager
            .alerts("BridgePushFailing")
            .iter()
            .map(|alert| (alert["labels"]["instance"].to_string(), alert["status"]["state"].to_string()))
            .collect();
        states.sort();
        let text = |value: &str| format!("\"{value}\"");
        (states == [(text("a:9090"), text("suppressed")), (text("b:9090"), text("active"))]).then_some(())
    });
    let down = alertmanager.alerts("ServiceDown");
    assert_eq!((down.len(), &down[0]["receivers"][0]["name"]), (1, &json!("here")));
}

#[test]
fn amtool_refuses_a_receiver_that_is_not_there() {
    let service = &project()["services"]["alertmanager"];
    let root = laid_out(service);
    let file = configuration(service, &root, "--config.file");
    let check = |file: &Path| run(Command::new(installed("bin/amtool")).arg("check-config").arg(file), "");
    assert!(check(&file).unwrap().contains("SUCCESS"));
    let bad = root.path().join("bad.yml");
    std::fs::write(&bad, std::fs::read_to_string(&file).unwrap().replace("receiver: here", "receiver: there")).unwrap();
    assert!(check(&bad).unwrap_err().contains("there"));
}
