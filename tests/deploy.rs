//! The files of `deploy/`: what is made from others is fresh, and what they name exists.
//!
//! `UPDATE_DEPLOY=1 cargo test --test deploy` writes anew what is made. The programs that read the files judge them in
//! tests/peer_deploy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use mcp_otel_bridge::config;
use serde_json::Value;

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// Every file of `deploy/`, with its path from there.
fn files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&at("deploy"), &mut found);
    assert!(found.len() > 40);
    found
}

/// The file is what was made; where that is asked for, it is written first.
fn fresh(path: &str, made: &str) {
    if std::env::var_os("UPDATE_DEPLOY").is_some() {
        fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        fs::write(at(path), made).unwrap();
    }
    let found = fs::read_to_string(at(path)).unwrap_or_default();
    assert!(found == made, "{path} is stale: UPDATE_DEPLOY=1 cargo test --test deploy");
}

#[test]
fn the_prometheus_rule_holds_the_rules() {
    let rules = ["recording", "alerts"].map(|name| read(&format!("otel-config/rules/{name}.yml")));
    let mut made = String::from(
        "# Made from otel-config/rules/: UPDATE_DEPLOY=1 cargo test --test deploy\n\
         apiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\n\
         metadata:\n  \
           name: mcp-otel-bridge\n  \
           labels:\n    \
             # What kube-prometheus-stack selects, where its release has this name.\n    \
             release: kube-prometheus-stack\n\
         spec:\n  \
           groups:\n",
    );
    for rules in &rules {
        let (_, groups) = rules.split_once("\ngroups:\n").unwrap();
        for line in groups.lines() {
            made += if line.is_empty() { "" } else { "  " };
            made += line;
            made += "\n";
        }
    }
    fresh("deploy/kubernetes/base/prometheusrule.yaml", &made);
    let groups = |file: &Value| file["groups"].as_array().unwrap().clone();
    let all: Vec<Value> = rules.iter().flat_map(|rules| groups(&yaml(rules))).collect();
    assert_eq!(groups(&yaml(&made)["spec"]), all);
}

#[test]
fn every_variable_is_known_to_the_bridge() {
    let known = config::reference_markdown();
    let mut met = 0;
    for (file, text) in files() {
        for variable in text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_') {
            // One that ends with an underscore is put together by a template.
            let ours = ["MCP_OTEL_BRIDGE_", "OTEL_"].iter().any(|prefix| variable.starts_with(prefix));
            if ours && !variable.ends_with('_') {
                let known = known.contains(&format!("`{variable}`"));
                assert!(known, "the bridge does not know {variable}, which {file} sets");
                met += 1;
            }
        }
    }
    assert!(met > 20, "{met}");
}

#[test]
fn the_version_is_that_of_the_program() {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let mut met = 0;
    for (file, text) in files() {
        for line in text.lines() {
            for (start, name) in line.match_indices("mcp-otel-bridge:") {
                let tag = &line[start + name.len()..];
                if tag.starts_with(|c: char| c.is_ascii_digit()) {
                    assert!(tag.starts_with(VERSION), "{file}: {line}");
                    met += 1;
                }
            }
        }
    }
    assert!(met >= 4, "{met}");
    let chart = yaml(&read("deploy/helm/mcp-otel-bridge/Chart.yaml"));
    assert_eq!((&chart["version"], &chart["appVersion"]), (&VERSION.into(), &VERSION.into()));
    for folder in ["base", "overlays/gateway", "overlays/sidecar"] {
        let file = yaml(&read(&format!("deploy/kubernetes/{folder}/kustomization.yaml")));
        assert_eq!(
            (&file["images"][0]["name"], &file["images"][0]["newTag"]),
            (&"mcp-otel-bridge".into(), &VERSION.into())
        );
    }
    let rust = read("Cargo.toml");
    let rust = rust.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let dockerfile = read("deploy/docker/Dockerfile");
    assert!(
        dockerfile.contains(&format!("FROM rust:{rust}-alpine AS build")),
        "it builds with another Rust than {rust}"
    );
}
