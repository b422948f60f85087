//! Every panel, query and alert of the seeds' documents has its place here: a panel with its unit, or an alert with its
//! threshold. That each panel shows what its title says, and each alert fires when it must, is proven elsewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ALL;
use crate::grafana::{Limits, Panel};

/// Where each of the seeds' expressions stands, and how it is judged.
const EXPRESSIONS: &str = include_str!("../data/expressions.json");
const ALERTS: &str = include_str!("../../otel-config/rules/alerts.yml");

const SESSIONS: &str = "mcp-otel-sessions";
const SKILLS: &str = "mcp-otel-skills";
const BREAKERS: &str = "mcp-otel-breakers";
const HUB: &str = "mcp-otel-hub";

/// By document and title there: the dashboard, the panel, its unit.
const PANELS: &[(&str, &str, &str, &str, &str)] = &[
    ("000", "Session Starts", SESSIONS, "Starts", "opm"),
    ("000", "Active Sessions", SESSIONS, "Active sessions", "short"),
    ("000", "Session Duration", SESSIONS, "Duration", "s"),
    ("000", "Session Quality Score", SESSIONS, "Quality", "short"),
    ("000", "Session Rate", SESSIONS, "Starts", "opm"),
    ("000", "Error Rate", SESSIONS, "Failed sessions", "percentunit"),
    ("000", "Average Session Duration", SESSIONS, "Mean duration", "s"),
    ("000", "Percentile Duration", SESSIONS, "Duration", "s"),
    ("000", "Active Sessions by Component", SESSIONS, "Active sessions", "short"),
    ("001", "Session start rate", SESSIONS, "Starts", "opm"),
    ("001", "Average session duration", SESSIONS, "Mean duration", "s"),
    ("001", "95th percentile duration", SESSIONS, "Duration", "s"),
    ("001", "Active sessions", SESSIONS, "Active sessions", "short"),
    ("001", "Error rate", SESSIONS, "Failed", "percentunit"),
    ("002", "Skill Completion Rate", SKILLS, "Completion rate", "percentunit"),
    ("002", "Average Skill Duration (p95)", SKILLS, "Duration", "s"),
    ("002", "Skills With Most Anomalies", SKILLS, "Skills with most anomalies", "short"),
    ("002", "Invocation Rate", SKILLS, "Invocation rate", "ops"),
    ("002", "Active Sessions Over Time", SKILLS, "Active sessions over time", "short"),
    ("003", "Circuit Breaker Success Rate Over Time", BREAKERS, "Success rate", "percent"),
    ("003", "Latency P95 by Component", BREAKERS, "Latency", "s"),
    ("003", "Total Calls Gauge", BREAKERS, "Total calls", "short"),
    ("003", "Rate of Failures (per minute)", BREAKERS, "Failures", "opm"),
    ("003", "Success Rate (%)", BREAKERS, "Success rate", "percent"),
    ("003", "P99 Latency (ms)", BREAKERS, "P99 latency", "s"),
    ("003", "Circuit Breaker State", BREAKERS, "State", "short"),
    ("004", "Request Rate", HUB, "Request rate", "reqps"),
    ("004", "Error Rate", HUB, "Error rate", "percentunit"),
    ("004", "Average Request Duration", HUB, "Mean response time", "s"),
    ("004", "Memory Usage", HUB, "Memory", "percent"),
    ("004", "95th Percentile Response Time", HUB, "Response time", "s"),
];

/// What the documents ask for in words alone: 003 under "Dashboard Organization", row by row, and 004 under "Dashboard".
const IN_WORDS: &[(&str, &str, &[&str])] = &[
    (BREAKERS, "Overview", &["Success rate", "P99 latency", "State"]),
    (BREAKERS, "Performance", &["Latency", "Calls", "Successful calls"]),
    (BREAKERS, "Errors", &["Failure rate", "Error types", "Recovery time"]),
    (BREAKERS, "Capacity", &["Memory", "Concurrent operations", "Queue depth"]),
    (HUB, "LLM calls", &["Calls by model"]),
    (HUB, "Requests", &["Request rate", "Error rate", "Response time"]),
    (HUB, "Caches, retries, tools", &["Search calls"]),
    (HUB, "Machine", &["CPU", "Memory", "Disk"]),
];

/// By document and name: the threshold, how long it must hold, and how grave it is.
const RULES: &[(&str, &str, &str, &str, &str)] = &[
    ("003", "CircuitBreakerOpen", "> 0", "1m", "critical"),
    ("003", "HighFailureRate", "> 10", "5m", "warning"),
    ("003", "LatencySpike", "> 1.0", "5m", "warning"),
    ("004", "HighErrorRate", "> 0.1", "5m", "warning"),
    ("004", "HighMemoryUsage", "> 90", "5m", "warning"),
    ("004", "SlowResponses", "> 30", "5m", "warning"),
    ("004", "ServiceDown", "== 0 or absent(instance:mcp_otel_bridge_up)", "1m", "critical"),
];

/// The panels that are red from where these alerts begin.
const RED: &[(&str, &str, f64)] = &[
    (BREAKERS, "Open", 1.0),
    (BREAKERS, "Failure rate", 10.0),
    (BREAKERS, "Mean latency", 1.0),
    (HUB, "Error rate", 0.1),
    (HUB, "Memory", 90.0),
    (HUB, "Response time", 30.0),
];

fn panel(uid: &str, title: &str) -> &'static Panel {
    let dashboard = ALL.iter().find(|dashboard| dashboard.uid == uid).unwrap();
    let mut panels = dashboard.rows.iter().flat_map(|row| row.panels);
    panels.find(|panel| panel.title == title).unwrap_or_else(|| panic!("there is no panel {title} in {uid}"))
}

#[test]
fn every_expression_of_the_seeds_has_its_place() {
    let file: Value = serde_json::from_str(EXPRESSIONS).unwrap();
    let of = |alerts: bool| -> BTreeSet<(String, String)> {
        let all = file["expressions"].as_array().unwrap().iter();
        let some = all.filter(|one| (one["kind"] == "alert") == alerts);
        let text = |one: &Value| one.as_str().unwrap().to_owned();
        some.map(|one| (text(&one["document"]), text(&one["title"]))).collect()
    };
    let shown = PANELS.iter().map(|place| (place.0.to_owned(), place.1.to_owned()));
    assert_eq!(shown.collect::<BTreeSet<_>>(), of(false));
    let alerts = RULES.iter().map(|place| (place.0.to_owned(), place.1.to_owned()));
    assert_eq!(alerts.collect::<BTreeSet<_>>(), of(true));
}

#[test]
fn every_panel_of_the_seeds_is_there_with_its_unit() {
    for (document, said, uid, title, unit) in PANELS {
        assert_eq!(panel(uid, title).unit, *unit, "{said} of {document}");
    }
    for (uid, row, titles) in IN_WORDS {
        let dashboard = ALL.iter().find(|dashboard| dashboard.uid == *uid).unwrap();
        let row = dashboard.rows.iter().find(|known| known.title == *row).unwrap();
        for title in *titles {
            assert!(row.panels.iter().any(|panel| panel.title == *title), "{title} in {} of {uid}", row.title);
        }
    }
}

#[test]
fn every_alert_of_the_seeds_is_there_with_its_threshold() {
    let file: Value = serde_saphyr::from_str(ALERTS).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let rules: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().unwrap()).collect();
    for (document, name, threshold, lasting, severity) in RULES {
        let rule = rules.iter().find(|rule| rule["alert"] == *name).unwrap_or_else(|| panic!("{name} of {document}"));
        assert!(rule["expr"].as_str().unwrap().trim().ends_with(threshold), "{rule}");
        assert_eq!((&rule["for"], &rule["labels"]["severity"]), (&Value::from(*lasting), &Value::from(*severity)));
    }
    for (uid, title, value) in RED {
        assert!(matches!(panel(uid, title).limits, Limits::AtMost(_, red) if red == *value), "{title} of {uid}");
    }
}
