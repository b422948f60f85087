//! The dashboards of `otel-config/dashboards/`: declared here, written there, and kept the same.
//!
//! `UPDATE_DASHBOARDS=1 cargo test --test dashboards` writes them anew. What each expression gives is proven against a
//! real Prometheus (tests/peer_dashboards).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod breakers;
mod bridge;
mod grafana;
mod hub;
mod json;
mod overview;
mod seeds;
mod sessions;
mod skills;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use grafana::{Dashboard, Look};
use json::expression;
use mcp_otel_bridge::catalog::{self, Kind};
use serde_json::Value;

const ALL: &[&Dashboard] = &[
    &overview::DASHBOARD,
    &sessions::DASHBOARD,
    &hub::DASHBOARD,
    &skills::DASHBOARD,
    &breakers::DASHBOARD,
    &bridge::DASHBOARD,
];

fn path(dashboard: &Dashboard) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/otel-config/dashboards");
    PathBuf::from(folder).join(format!("{}.json", dashboard.uid))
}

/// Every expression with where it stands.
fn expressions() -> impl Iterator<Item = (String, &'static str)> {
    ALL.iter().flat_map(|dashboard| {
        let panels = dashboard.rows.iter().flat_map(|row| row.panels);
        let queries = panels.flat_map(|panel| panel.queries.iter().map(|(query, _)| (panel.title, *query)));
        let marks = dashboard.marks.iter().map(|mark| (mark.name, mark.query));
        queries.chain(marks).map(|(title, query)| (format!("{}: {title}", dashboard.title), query))
    })
}

/// The names that Prometheus has for the samples of each metric of the catalog.
fn samples() -> Vec<(&'static str, Vec<String>)> {
    let names = |metric: &catalog::Metric| match metric.kind {
        Kind::Histogram => {
            ["_bucket", "_sum", "_count"].iter().map(|suffix| format!("{}{suffix}", metric.prometheus)).collect()
        }
        _ => vec![metric.prometheus.to_owned()],
    };
    catalog::all().map(|metric| (metric.prometheus, names(metric))).collect()
}

/// The names of samples in an expression: words that no brace or bracket is around, and that are not PromQL's own.
fn named(query: &str) -> BTreeSet<String> {
    const PROMQL: [&str; 14] = [
        "sum",
        "by",
        "rate",
        "increase",
        "count_over_time",
        "max",
        "min",
        "avg",
        "count",
        "or",
        "and",
        "vector",
        "histogram_quantile",
        "topk",
    ];
    let (mut names, mut word, mut quiet) = (BTreeSet::new(), String::new(), 0);
    let mut by = false;
    for c in query.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || c == '_' || c == ':' {
            word.push(c);
            continue;
        }
        let found = std::mem::take(&mut word);
        if ["by", "on", "group_left"].contains(&found.as_str()) {
            by = true;
        } else if quiet == 0
            && !by
            && found.starts_with(|c: char| c.is_ascii_alphabetic())
            && !PROMQL.contains(&found.as_str())
        {
            names.insert(found);
        }
        match c {
            '{' | '[' => quiet += 1,
            '}' | ']' => quiet -= 1,
            ')' => by = false,
            _ => {}
        }
    }
    names
}

#[test]
fn the_files_are_fresh() {
    for dashboard in ALL {
        let made = serde_json::to_string_pretty(&dashboard.json(ALL)).unwrap() + "\n";
        if std::env::var_os("UPDATE_DASHBOARDS").is_some() {
            std::fs::write(path(dashboard), &made).unwrap();
        }
        let found = std::fs::read_to_string(path(dashboard)).unwrap_or_default();
        let stale = format!("{} is stale: UPDATE_DASHBOARDS=1 cargo test --test dashboards", path(dashboard).display());
        assert!(found == made, "{stale}");
    }
    let folder = std::fs::read_dir(path(ALL[0]).parent().unwrap()).unwrap();
    let files = folder.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "json"));
    assert_eq!(files.count(), ALL.len());
}

#[test]
fn every_metric_of_the_catalog_is_shown_and_no_other() {
    let used: BTreeSet<String> = expressions().flat_map(|(_, query)| named(query)).collect();
    let known: BTreeSet<String> = samples().into_iter().flat_map(|(_, names)| names).collect();
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
    for (metric, names) in samples() {
        assert!(names.iter().any(|name| used.contains(name)), "no panel shows {metric}");
    }
}

#[test]
fn every_selector_names_the_job() {
    for (place, query) in expressions() {
        for name in named(query) {
            for (at, _) in expression(query).match_indices(&name) {
                let rest = &expression(query)[at + name.len()..];
                if !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
                    assert!(rest.starts_with("{job=~\"$job\""), "{place}: {name} in {query}");
                }
            }
        }
    }
}

#[test]
fn every_panel_has_a_title_of_its_own_a_unit_and_says_what_it_tells() {
    for dashboard in ALL {
        let mut titles = BTreeSet::new();
        for panel in dashboard.rows.iter().flat_map(|row| row.panels) {
            assert!(titles.insert(panel.title), "{} twice in {}", panel.title, dashboard.title);
            assert!(!panel.unit.is_empty() && panel.what.ends_with('.'), "{}", panel.title);
            assert!(panel.look != Look::Stat || panel.queries.len() == 1, "{}", panel.title);
        }
    }
}

#[test]
fn a_link_hands_on_what_the_other_dashboard_understands() {
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for dashboard in ALL {
        let made = dashboard.json(ALL);
        let links = made["links"].as_array().unwrap();
        assert_eq!(links.len(), ALL.len() - 1);
        assert!(
            links.iter().all(|link| link["includeVars"] == true && link["keepTime"] == true),
            "{}",
            dashboard.title
        );
        for variable in made["templating"]["list"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap().to_owned();
            let other = known.entry(name).or_insert_with(|| variable.clone());
            assert_eq!(other, variable, "one name for two things");
        }
    }
}

#[test]
fn every_panel_of_durations_asks_for_exemplars_once_and_no_other_does() {
    for dashboard in ALL {
        for panel in dashboard.rows.iter().flat_map(|row| row.panels) {
            // The bridge's own scrapes are in no trace.
            let timed = panel.queries.iter().any(|(query, _)| query.starts_with("histogram_quantile"));
            let timed = timed && !panel.queries[0].0.contains("bridge_scrape");
            assert_eq!(panel.exemplary().is_some(), timed, "{}: {}", dashboard.title, panel.title);
        }
    }
}
