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

/// The names of the rules that were evaluated, of those whose evaluation failed none.
fn evaluated(prometheus: &Prometheus) -> usize {
    let rules = prometheus.page("rules");
    let rules = rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let healthy = |rule: &&Value| {
        assert_ne!(rule["health"], "err", "{rule}");
        rule["health"] == "ok"
    };
    rules.filter(healthy).count()
}

#[test]
fn the_one_that_scrapes_finds_its_bridges_in_the_file_of_targets() {
    let bridge = Bridge::options().start();
    fleet::send(&bridge, &fleet::sessions("mahavishnu", "MahavishnuShell", "success", &[30.0, 60.0]));
    // As it lies there, but for the address of the bridge and the wait until its first scrape.
    let dir = tempfile::tempdir().unwrap();
    for name in ["prometheus.yml", "rules/recording.yml", "rules/alerts.yml"] {
        let text = std::fs::read_to_string(file(name)).unwrap();
        let text = text.replace("interval: 15s", "interval: 500ms").replace("timeout: 10s", "timeout: 500ms");
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
    assert_eq!(complaints(&prometheus), Vec::<String>::new());
}

#[test]
fn each_starts_as_it_lies_there_without_a_warning() {
    for name in ["prometheus.yml", "prometheus-otlp.yml"] {
        let prometheus = Prometheus::configured(&file(name));
        until("its rules", || (prometheus.page("rules")["groups"].as_array().unwrap().len() > 5).then_some(()));
        evaluated(&prometheus);
        assert_eq!(complaints(&prometheus), Vec::<String>::new(), "{name}");
    }
}
