//! promtool finds the rules sound, and each alert fires when it must and only then.

use std::process::Command;

use crate::file;
use crate::peers::installed;

fn promtool(arguments: &[&str]) -> String {
    let output = Command::new(installed("bin/promtool")).args(arguments).current_dir(file("")).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

#[test]
fn the_rules_are_sound_in_every_way_that_promtool_knows() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules/recording.yml", "rules/alerts.yml"]);
}

#[test]
fn every_alert_has_a_case_that_fires_one_that_does_not_and_one_without_its_series() {
    let alerts = std::fs::read_to_string(file("rules/alerts.yml")).unwrap();
    let cases = std::fs::read_to_string(file("rules/tests/alerts.test.yml")).unwrap();
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        for case in ["fires", "is quiet", "without its series"] {
            assert!(cases.contains(&format!("- name: {name} {case}\n")), "{name} {case}");
        }
    }
    let said = promtool(&["test", "rules", "rules/tests/alerts.test.yml"]);
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn every_alert_says_how_grave_it_is_and_what_to_do() {
    let alerts = std::fs::read_to_string(file("rules/alerts.yml")).unwrap();
    for alert in alerts.split("- alert: ").skip(1) {
        let name = alert.lines().next().unwrap();
        for part in ["severity: ", "summary: ", "description: ", "runbook: "] {
            assert_eq!(alert.matches(part).count(), 1, "{part}of {name}");
        }
    }
}

#[test]
fn the_job_is_named_in_one_rule_alone() {
    let recording = std::fs::read_to_string(file("rules/recording.yml")).unwrap();
    let rule = recording.split("- record: ").find(|rule| rule.starts_with("instance:mcp_otel_bridge_up")).unwrap();
    let named = |text: &str| text.matches("job=").count();
    assert!(named(rule) > 0);
    assert_eq!(named(&recording), named(rule));
    assert_eq!(named(&std::fs::read_to_string(file("rules/alerts.yml")).unwrap()), 0);
}
