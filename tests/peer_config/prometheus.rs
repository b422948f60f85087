//! Prometheus starts with each of its files and has nothing to complain about.

use serde_json::Value;

use crate::file;
use crate::peers::bridge::Bridge;
use crate::peers::prometheus::Prometheus;
use crate::peers::{fleet, until};

/// What it warned of.
fn complaints(prometheus: &Prometheus) -> Vec<String> {
    let grave = |line: &String| line.contains("level=WARN") || line.contains("level=ERROR");
    prometheus.lines().into_iter().filter(grave).collect()
}

/// The rules that Prometheus has, each with what became of its evaluation: `ok`, `err`, or `unknown` before the first one.
fn rules(prometheus: &Prometheus) -> Vec<(String, String)> {
    let page = prometheus.page("rules");
    let groups = page["groups"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rule = |rule: &Value| {
        assert_ne!(rule["health"], "err", "{rule}");
        (text(&rule["name"]), text(&rule["health"]))
    };
    groups.flat_map(|group| group["rules"].as_array().unwrap()).map(rule).collect()
}

/// The names of the rules in the files.
fn written() -> Vec<String> {
    let mut names = Vec::new();
    for name in ["rules/alerts.yml", "rules/recording.yml"] {
        let text = std::fs::read_to_string(file(name)).unwrap();
        let name = |line: &str| {
            let line = line.trim();
            line.strip_prefix("- alert: ").or_else(|| line.strip_prefix("- record: ")).map(str::to_owned)
        };
        names.extend(text.lines().filter_map(name));
    }
    assert!(names.len() > 35, "{names:?}");
    names.sort();
    names
}

/// The names of those rules.
fn names(rules: &[(String, String)]) -> Vec<String> {
    let mut names: Vec<String> = rules.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    names
}

#[test]
fn the_one_that_scrapes_finds_its_bridges_in_the_file_of_targets() {
    let bridge = Bridge::options().start();
    fleet::send(&bridge, &fleet::sessions("mahavishnu", "MahavishnuShell", "success", &[30.0, 60.0]));
    // As it lies there, but for the address of the bridge and the wait until its first scrape.
    let dir = tempfile::tempdir().unwrap();
    for name in ["prometheus.yml", "rules/recording.yml", "rules/alerts.yml"] {
        let text = std::fs::read_to_string(file(name)).unwrap();
        let text = ["15s", "30s"]
            .iter()
            .fold(text, |text, interval| text.replace(&format!("interval: {interval}"), "interval: 500ms"));
        let text = text.replace("timeout: 10s", "timeout: 500ms");
        std::fs::create_dir_all(dir.path().join("rules")).unwrap();
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let targets = std::fs::read_to_string(file("targets.yml")).unwrap();
    assert!(targets.contains("localhost:9090"));
    std::fs::write(dir.path().join("targets.yml"), targets.replace("localhost:9090", &bridge.address)).unwrap();

    let prometheus = Prometheus::configured(&dir.path().join("prometheus.yml"));
    until("the sessions", || {
        prometheus.value("sum(session_start_total{job=\"mcp-otel-bridge\"})").filter(|n| *n == 2.0)
    });
    until("an exemplar", || (!prometheus.exemplars("session_duration_seconds_bucket").is_empty()).then_some(()));
    until("the rule that says that it is up", || {
        prometheus.value("instance:mcp_otel_bridge_up").filter(|up| *up == 1.0)
    });
    let rules = until("every rule", || {
        let rules = rules(&prometheus);
        rules.iter().all(|(_, health)| health == "ok").then_some(rules)
    });
    assert_eq!(names(&rules), written());
    assert_eq!(complaints(&prometheus), Vec::<String>::new());
}

#[test]
fn each_starts_as_it_lies_there_without_a_warning() {
    for name in ["prometheus.yml", "prometheus-otlp.yml"] {
        let prometheus = Prometheus::configured(&file(name));
        until("its rules", || (names(&rules(&prometheus)) == written()).then_some(()));
        assert_eq!(complaints(&prometheus), Vec::<String>::new(), "{name}");
    }
}
