//! Grafana's own types take every dashboard, and nothing that is misspelt.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::peers::installed;
use crate::{dashboards, list, text};

/// Reads dashboards as Grafana does.
fn read(dashboards: &[Value]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(installed("bin/grafana-dashboards"));
    for (at, dashboard) in dashboards.iter().enumerate() {
        let file = dir.path().join(format!("{at}.json"));
        fs::write(&file, dashboard.to_string()).unwrap();
        command.arg(file);
    }
    command.output().unwrap()
}

#[test]
fn grafana_takes_every_dashboard() {
    let output = read(&dashboards());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let found: BTreeSet<&str> = said.lines().collect();
    let lines: Vec<String> = dashboards()
        .iter()
        .map(|dashboard| format!("{} {}", text(&dashboard["uid"]), list(&dashboard["panels"]).len()))
        .collect();
    assert_eq!(found, lines.iter().map(String::as_str).collect());
}

#[test]
fn grafana_refuses_what_is_misspelt_wherever_it_stands() {
    // Where, and what: the first panel is a row, the second one a number, the last one has lines.
    let whole = dashboards().into_iter().find(|dashboard| dashboard["uid"] == "mcp-otel-breakers").unwrap();
    assert!(read(std::slice::from_ref(&whole)).status.success());
    let lines = format!("/panels/{}", list(&whole["panels"]).len() - 1);
    let misspelt = [
        ("", "titel", json!("x")),
        ("/links/0", "includeVariables", json!(true)),
        ("/templating/list/1", "includeall", json!(true)),
        ("/annotations/list/0", "iconcolor", json!("red")),
        ("/panels/0", "colapsed", json!(true)),
        ("/panels/1/options", "colourMode", json!("value")),
        (&lines, "titel", json!("x")),
        (&format!("{lines}/gridPos"), "width", json!(8)),
        (&format!("{lines}/targets/0"), "exemplars", json!(true)),
        (&format!("{lines}/options/legend"), "show", json!(true)),
        (&format!("{lines}/fieldConfig/defaults"), "units", json!("s")),
        (&format!("{lines}/fieldConfig/defaults/custom"), "width", json!(1)),
        (&format!("{lines}/fieldConfig/defaults/thresholds/steps/0"), "colour", json!("red")),
        // A name that is right, and what it must not be.
        (&lines, "type", json!("timeserie")),
        (&format!("{lines}/gridPos"), "w", json!(25)),
        (&format!("{lines}/targets/0"), "instant", json!("no")),
        (&format!("{lines}/datasource {lines}/targets/0/datasource"), "type", json!("prometeus")),
        (&lines, "fieldConfig", json!({})),
    ];
    for (places, name, value) in misspelt {
        let mut dashboard = whole.clone();
        for place in places.split(' ') {
            dashboard.pointer_mut(place).unwrap_or_else(|| panic!("{place}"))[name] = value.clone();
        }
        let output = read(&[dashboard]);
        assert!(!output.status.success() && output.stdout.is_empty(), "it takes {name} in {places}");
    }
}

#[test]
fn every_unit_is_one_that_grafana_knows() {
    let units = fs::read_to_string(installed("grafana/units")).unwrap();
    let units: BTreeSet<&str> = units.lines().collect();
    for dashboard in dashboards() {
        for panel in list(&dashboard["panels"]).iter().filter(|panel| panel["type"] != "row") {
            let unit = text(&panel["fieldConfig"]["defaults"]["unit"]);
            assert!(units.contains(unit.as_str()), "{unit} of {}", panel["title"]);
        }
    }
}
