//! The commands and files with which the pages deploy the bridge, as far as they go without an engine and a cluster.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::pages::commands::Shell;
use crate::pages::{Block, Page, for_users};
use crate::peers::installed;
use crate::{at, folder_of, found};

/// The documents of a rendering, which fit the schemas.
fn documents(manifests: &str) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("manifests.yaml");
    std::fs::write(&file, manifests).unwrap();
    let mut command = Command::new(installed("kubernetes/bin/python"));
    command.arg(at("tests/peers/validate_kubernetes.py")).arg(installed("crds")).arg("1.37");
    let output = command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn only<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = documents.iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// The blocks of YAML that begin so.
fn files(begins: &str) -> Vec<Block> {
    let blocks = for_users().iter().flat_map(Page::blocks).collect::<Vec<_>>();
    let files: Vec<_> =
        blocks.into_iter().filter(|block| block.language == "yaml" && block.text.starts_with(begins)).collect();
    assert!(!files.is_empty(), "no page has {begins}");
    files
}

#[test]
fn docker_compose_reads_what_the_pages_start() {
    let shell = Shell::new(&[folder_of("bin/docker-compose")]);
    for block in found("docker compose ") {
        let reading = block.text.replace("docker compose", "docker-compose").replace("up --build", "config --services");
        let services = shell.output(&reading);
        assert!(services.lines().any(|name| name == "bridge"), "{services}");
    }
}

#[test]
fn kustomize_builds_what_the_pages_apply() {
    let shell = Shell::new(&[folder_of("bin/kustomize")]);
    for block in found("kubectl apply ") {
        let told = shell.output(&block.text.replace("kubectl apply -k", "kustomize build"));
        only(&documents(&told), "Deployment", "mcp-otel-bridge");
    }
}

#[test]
fn kustomizations_beside_a_checkout_are_built() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(at(""), dir.path().join("mcp-otel-bridge")).unwrap();
    for block in files("# kustomization.yaml\n") {
        std::fs::write(dir.path().join("kustomization.yaml"), &block.text).unwrap();
        let output = Command::new(installed("bin/kustomize")).arg("build").arg(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}: {}", block.place(), String::from_utf8_lossy(&output.stderr));
        let documents = documents(&String::from_utf8(output.stdout).unwrap());
        assert!(documents.iter().all(|one| one["metadata"]["namespace"] == "observability"));
        let workloads = documents.iter().filter(|one| one["kind"] == "Deployment" || one["kind"] == "StatefulSet");
        let images: Vec<_> = workloads.map(|one| &one["spec"]["template"]["spec"]["containers"][0]["image"]).collect();
        assert_eq!(images, [&json!(format!("registry.example/mcp-otel-bridge:{}", env!("CARGO_PKG_VERSION")))]);
        let service = &only(&documents, "Service", "mcp-otel-bridge")["spec"];
        let config = documents.iter().find(|one| !one["data"]["MCP_OTEL_BRIDGE_LOG_FORMAT"].is_null()).unwrap();
        let (endpoint, kind) = (&config["data"]["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], &service["type"]);
        match block.text.contains("overlays/gateway") {
            true => assert_eq!((kind, &service["externalTrafficPolicy"]), (&json!("LoadBalancer"), &json!("Local"))),
            false => assert_eq!(endpoint, "http://collector.tracing:4317"),
        }
    }
}

#[test]
fn the_prometheus_of_the_operator_takes_what_the_pages_give_it() {
    for block in files("# values.yaml of kube-prometheus-stack\n") {
        let values: Value = serde_saphyr::from_str(&block.text).unwrap();
        let prometheus = json!({
            "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": {"name": "a"},
            "spec": values["prometheus"]["prometheusSpec"],
        });
        let documents = documents(&prometheus.to_string());
        assert_eq!(documents[0]["spec"]["enableFeatures"], json!(["exemplar-storage"]));
        let link = &values["grafana"]["sidecar"]["datasources"]["exemplarTraceIdDestinations"];
        assert_eq!(*link, json!({"datasourceUid": "jaeger", "traceIdLabelName": "trace_id"}));
    }
}

#[test]
fn helm_renders_what_the_pages_install() {
    let shell = Shell::new(&[folder_of("bin/helm")]);
    for block in found("helm install ") {
        let documents = documents(&shell.output(&block.text.replace("helm install", "helm template")));
        let bridge = &only(&documents, "StatefulSet", "mcp-otel-bridge")["spec"]["template"]["spec"]["containers"][0];
        let image = format!("registry.example/mcp-otel-bridge:{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(bridge["image"], image);
        only(&documents, "ServiceMonitor", "mcp-otel-bridge");
    }
}

#[test]
fn the_image_of_the_pages_is_that_of_its_file() {
    let file = std::fs::read_to_string(at("deploy/docker/Dockerfile")).unwrap();
    let said = |name: &str| file.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    let image = format!("mcp-otel-bridge:{}", env!("CARGO_PKG_VERSION"));
    for block in found("docker build ") {
        let lines: Vec<Vec<&str>> = block.text.lines().map(|line| line.split_whitespace().collect()).collect();
        let [build, start] = &lines[..] else { panic!("{}", block.text) };
        let after = |words: &[&str], flag: &str| {
            let at = words.iter().position(|word| *word == flag).unwrap();
            words[at + 1].to_owned()
        };
        assert!(at(&after(build, "-f")).exists() && build.last() == Some(&"."));
        assert_eq!((after(build, "-t"), *start.last().unwrap()), (image.clone(), image.as_str()));
        assert_eq!(after(start, "-p"), format!("127.0.0.1:9090:{}", said("EXPOSE ")));
        assert_eq!(after(start, "-v"), format!("mcp-otel-bridge:{}", said("VOLUME ")));
        assert!(start.contains(&"--read-only"));
    }
}

/// A program that does nothing but note how it was called.
fn stand_in(folder: &Path, name: &str, script: &str) {
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_service_is_installed_as_the_pages_say() {
    let (root, stand_ins) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let calls = stand_ins.path().join("calls");
    stand_in(stand_ins.path(), "sudo", "exec \"$@\"");
    stand_in(stand_ins.path(), "cargo", "exit 0");
    stand_in(stand_ins.path(), "systemctl", &format!("echo \"$@\" >> {}", calls.display()));
    // What every machine has.
    for folder in ["usr/local/bin", "etc/systemd/system"] {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let path = std::env::join_paths(
        [stand_ins.path().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    for block in [found("cargo build --release\nsudo"), found("sudo install -m 644 -D")].concat() {
        let here = |folder: &str| format!(" {}{folder}", root.path().display());
        let text = block.text.replace(" /etc/", &here("/etc/")).replace(" /usr/local/", &here("/usr/local/"));
        let text = text.replace("target/release/mcp-otel-bridge", program.to_str().unwrap());
        let output =
            Command::new("sh").args(["-e", "-c", &text]).current_dir(at("")).env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{}: {}", block.place(), String::from_utf8_lossy(&output.stderr));
    }
    let installed = |path: &str| root.path().join(path.trim_start_matches('/'));
    let unit = std::fs::read_to_string(installed("/etc/systemd/system/mcp-otel-bridge.service")).unwrap();
    let setting = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let executed = installed(setting("ExecStart=").split_whitespace().next().unwrap());
    assert_eq!(std::fs::metadata(executed).unwrap().permissions().mode() & 0o777, 0o755);
    let config = installed(&setting("Environment=MCP_OTEL_BRIDGE_CONFIG=").replace("%E", "/etc"));
    // A user of its own reads it.
    assert_eq!(std::fs::metadata(config).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(installed("/etc/systemd/system/mcp-otel-bridge.service.d/tokens.conf").exists());
    let calls = std::fs::read_to_string(calls).unwrap();
    assert_eq!(
        calls.lines().collect::<Vec<_>>(),
        ["enable --now mcp-otel-bridge", "daemon-reload", "restart mcp-otel-bridge"]
    );
}
