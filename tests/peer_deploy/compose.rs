//! `deploy/compose/`: the compose file as docker compose reads it, and each program's file laid out as its mounts do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::manifests::{good, list};
use crate::peers::installed;
use crate::{at, run};

fn read(file: &Path) -> Result<Value, String> {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(installed("bin/docker-compose"));
    command.env("HOME", home.path()).arg("--file").arg(file).args(["config", "--format", "json"]);
    Ok(serde_json::from_str(&run(&mut command, "")?).unwrap())
}

/// The project, as docker compose would start it.
pub fn project() -> Value {
    read(&at("deploy/compose/compose.yaml")).unwrap()
}

/// What a file of YAML says.
pub fn yaml(file: &Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The files of this machine that a service sees, where it sees them.
pub fn laid_out(service: &Value) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for volume in list(&service["volumes"]) {
        if volume["type"] == "bind" {
            assert_eq!(volume["read_only"], true, "{volume}");
            let target = root.path().join(volume["target"].as_str().unwrap().trim_start_matches('/'));
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(volume["source"].as_str().unwrap(), target).unwrap();
        }
    }
    root
}

/// The value of a flag of a service's command.
fn flag<'a>(service: &'a Value, name: &str) -> &'a str {
    let words = list(&service["command"]).into_iter().map(|word| word.as_str().unwrap());
    words.into_iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap()
}

/// Where a service's file of configuration lies in its layout.
pub fn configuration(service: &Value, root: &tempfile::TempDir, name: &str) -> PathBuf {
    root.path().join(flag(service, name).trim_start_matches('/'))
}

#[test]
fn a_key_that_is_misspelt_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("compose.yaml");
    let good = std::fs::read_to_string(at("deploy/compose/compose.yaml")).unwrap();
    std::fs::write(&file, good.replace("read_only: true", "readonly: true")).unwrap();
    let fault = read(&file).unwrap_err();
    assert!(fault.contains("readonly"), "{fault}");
}

#[test]
fn images_are_pinned_and_ports_open_on_loopback_alone() {
    let project = project();
    let services = project["services"].as_object().unwrap();
    assert_eq!(services.len(), 6);
    for (name, service) in services {
        let (_, tag) = service["image"].as_str().unwrap().rsplit_once(':').unwrap();
        assert!(tag.split('.').count() == 3 && tag.ends_with(|c: char| c.is_ascii_digit()), "{name}: {tag}");
        for port in list(&service["ports"]) {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
        }
    }
    let bridge = &services["bridge"];
    assert_eq!((&bridge["read_only"], &bridge["cap_drop"][0]), (&Value::Bool(true), &"ALL".into()));
    let (context, dockerfile) = (&bridge["build"]["context"], &bridge["build"]["dockerfile"]);
    assert!(Path::new(context.as_str().unwrap()).join(dockerfile.as_str().unwrap()).exists());
    let variables = bridge["environment"].as_object().unwrap().iter();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    command
        .env_clear()
        .env("HOME", "/")
        .arg("check")
        .envs(variables.map(|(name, value)| (name, value.as_str().unwrap())));
    good(&run(&mut command, "").unwrap());
}

#[test]
fn promtool_takes_the_files_of_prometheus_where_they_are_mounted() {
    let prometheus = &project()["services"]["prometheus"];
    let root = laid_out(prometheus);
    let file = configuration(prometheus, &root, "--config.file");
    let mut command = Command::new(installed("bin/promtool"));
    let told = run(command.args(["check", "config", "--lint=all", "--lint-fatal"]).arg(&file), "").unwrap();
    assert!(told.contains("rule files found") && told.contains("rules found"), "{told}");
    let known = run(Command::new(installed("bin/prometheus")).arg("--help-long"), "")
        .or_else(|_| run(Command::new(installed("bin/prometheus")).arg("--help"), ""));
    let known = known.unwrap_or_else(|told| told);
    for word in list(&prometheus["command"]) {
        let name = word.as_str().unwrap().split('=').next().unwrap();
        assert!(known.contains(name.trim_start_matches("--")), "{name}");
    }
}

#[test]
fn every_host_that_is_asked_is_a_service() {
    let project = project();
    let services = project["services"].as_object().unwrap();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    for name in ["collector", "bridge"] {
        let values = services[name]["environment"].as_object().unwrap().values();
        asked.extend(values.map(|value| value.as_str().unwrap().to_owned()));
    }
    for file in ["targets.yml", "alertmanagers.yml"] {
        let groups = yaml(&at("deploy/compose").join(file));
        for group in list(&groups) {
            asked.extend(list(&group["targets"]).into_iter().map(|target| target.as_str().unwrap().to_owned()));
        }
    }
    let sources = yaml(&at("deploy/compose/grafana/datasources.yaml"));
    asked.extend(list(&sources["datasources"]).into_iter().map(|source| source["url"].as_str().unwrap().to_owned()));
    let hosts: BTreeSet<&str> = asked
        .iter()
        .filter_map(|address| address.trim_start_matches("http://").split_once(':'))
        .map(|(host, _)| host)
        .filter(|host| *host != "0.0.0.0")
        .collect();
    assert_eq!(hosts, BTreeSet::from(["alertmanager", "bridge", "collector", "jaeger", "prometheus"]));
    assert!(hosts.iter().all(|host| services.contains_key(*host)));
}
