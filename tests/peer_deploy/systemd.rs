//! The unit and its drop-ins, as systemd reads them, and the bridge in the environment that they make.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::authority::Authority;
use crate::peers::bridge::Bridge;
use crate::peers::http;
use crate::{at, run, told};

const UNIT: &str = "deploy/systemd/mcp-otel-bridge.service";
const DROP_INS: [&str; 2] = ["tokens.conf", "tls.conf"];
const PROGRAM: &str = "/usr/local/bin/mcp-otel-bridge";

fn drop_in(name: &str) -> String {
    std::fs::read_to_string(at("deploy/systemd").join(name)).unwrap()
}

/// The unit with its drop-ins, as they are installed.
fn unit(program: &str) -> (tempfile::TempDir, PathBuf) {
    // It is asked of a program that is there.
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(at(UNIT)).unwrap();
    assert!(text.contains(&format!("{PROGRAM} serve")));
    let path = dir.path().join("mcp-otel-bridge.service");
    std::fs::write(&path, text.replace(PROGRAM, program)).unwrap();
    let folder = dir.path().join("mcp-otel-bridge.service.d");
    std::fs::create_dir(&folder).unwrap();
    for name in DROP_INS {
        std::fs::write(folder.join(name), drop_in(name)).unwrap();
    }
    (dir, path)
}

#[test]
fn systemd_finds_nothing_to_complain_about() {
    let (_dir, path) = unit(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    let verify = |path| {
        let output = Command::new("systemd-analyze").arg("verify").arg(path).output();
        let output = output.expect("there is no systemd-analyze: install systemd");
        told(&output).map(|_| String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(verify(&path).unwrap(), "");
    let tokens = path.with_extension("service.d").join("tokens.conf");
    for (file, right, wrong) in
        [(&tokens, "LoadCredential=", "LoadCredentials="), (&path, "StateDirectory=", "StateDirektory=")]
    {
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, text.replace(right, wrong)).unwrap();
        let told = verify(&path).unwrap_or_else(|told| told);
        assert!(told.contains(wrong.trim_end_matches('=')), "{told}");
    }
}

#[test]
fn it_is_as_little_exposed_as_the_documentation_says() {
    let mut command = Command::new("systemd-analyze");
    let told = run(command.args(["security", "--offline=true", "--no-pager"]).arg(at(UNIT)), "").unwrap();
    let number = |text: &str, before: &str| -> f64 {
        let (_, after) = text.split_once(before).unwrap();
        after.split_whitespace().next().unwrap().parse().unwrap()
    };
    let score = number(&told, "Overall exposure level for mcp-otel-bridge.service: ");
    let documented = number(&std::fs::read_to_string(at("docs/deployment.md")).unwrap(), "gives it ");
    // Versions of systemd weigh a little differently.
    assert!((score - documented).abs() < 0.5, "it is {score}, not {documented}");
}

/// The values of a setting in the unit and in these drop-ins.
fn settings(name: &str, drop_ins: &[&str]) -> Vec<String> {
    let mut texts = vec![std::fs::read_to_string(at(UNIT)).unwrap()];
    texts.extend(drop_ins.iter().map(|name| drop_in(name)));
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned).collect()
}

/// The variables that the service gets, where `/etc` and the like lie in this folder; what systemd loads as root is
/// loaded.
fn environment(root: &Path, drop_ins: &[&str]) -> BTreeMap<String, String> {
    let place = |text: &str| {
        let folder = |name| root.join(name).display().to_string();
        text.replace("%E", &folder("etc")).replace("%S", &folder("lib")).replace("%d", &folder("credentials"))
    };
    std::fs::create_dir_all(root.join("credentials")).unwrap();
    for credential in settings("LoadCredential", drop_ins) {
        let (name, path) = credential.split_once(':').unwrap();
        std::fs::copy(place(path), root.join("credentials").join(name)).unwrap();
    }
    let variables = settings("Environment", drop_ins).into_iter();
    variables.map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), place(value))).unwrap()).collect()
}

/// What the pages say is in `/etc/mcp-otel-bridge`.
fn installed_in(root: &Path) -> Authority {
    let folder = root.join("etc/mcp-otel-bridge");
    std::fs::create_dir_all(folder.join("tls")).unwrap();
    std::fs::copy(at("otel-config/bridge.yaml"), folder.join("bridge.yaml")).unwrap();
    let authority = Authority::new();
    let issued = authority.issue("bridge");
    for (name, text) in [
        ("scrape", "a-token-of-prometheus\n"),
        ("ingest", "a-token-of-a-sender\n"),
        ("tls/tls.crt", &issued.cert),
        ("tls/tls.key", &issued.key),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    authority
}

fn checked(variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    run(command.env_clear().arg("check").envs(variables), "")
}

#[test]
fn the_file_of_settings_is_read_and_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let _authority = installed_in(dir.path());
    let variables = environment(dir.path(), &[]);
    assert_eq!(checked(&variables).unwrap().trim_end(), "the configuration is good");
    let file = dir.path().join("etc/mcp-otel-bridge/bridge.yaml");
    std::fs::write(&file, "lissten: 127.0.0.1:9090\n").unwrap();
    assert!(checked(&variables).unwrap_err().contains("lissten"));
    std::fs::remove_file(&file).unwrap();
    assert!(checked(&variables).unwrap_err().contains("bridge.yaml"));
}

#[test]
fn with_its_drop_ins_it_has_tls_and_asks_for_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let _authority = installed_in(dir.path());
    assert_eq!(checked(&environment(dir.path(), &DROP_INS)).unwrap().trim_end(), "the configuration is good");
    let variables = environment(dir.path(), &["tokens.conf"]);
    let options = variables.iter().fold(Bridge::options(), |options, (name, value)| options.variable(name, value));
    let bridge = options.start();
    assert_eq!(http::get(&bridge.url("/metrics"), "*/*").unwrap().status, 401);
    let asked = ureq::get(bridge.url("/metrics")).header("authorization", "Bearer a-token-of-prometheus").call();
    assert_eq!(asked.unwrap().status(), 200);
    // With the certificate, the bridge says that it is asked by https.
    let variables = environment(dir.path(), &DROP_INS);
    let options = variables.iter().fold(Bridge::options(), |options, (name, value)| options.variable(name, value));
    assert!(!options.start().log_lines("https://").is_empty());
}
