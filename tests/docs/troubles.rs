//! The troubles that docs/troubleshooting.md tells by the words of the program: these are its words.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::authority::Authority;
use crate::pages::Page;
use crate::peers::bridge::Bridge;

/// What `send` says to a bridge at that URL that does not take its event.
fn refusal(url: &str, authority: Option<&Authority>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    command.args(["send", "--bridge", url, "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null());
    command.envs(authority.map(|authority| ("MCP_OTEL_BRIDGE_CA_FILE", authority.file())));
    let mut process = command.spawn().unwrap();
    let event = br#"{"event_type":"session_quality","component_name":"a","quality_score":80}"#;
    process.stdin.take().unwrap().write_all(event).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn faults_of_tls_are_told_as_the_page_tells_them() {
    let authority = Authority::new();
    let secured = |hosts: &[&str], name: &str| {
        let issued = authority.issue_for(hosts, name);
        let options = Bridge::options().variable("MCP_OTEL_BRIDGE_TLS_CERT_FILE", issued.cert_file.to_str().unwrap());
        options.variable("MCP_OTEL_BRIDGE_TLS_KEY_FILE", issued.key_file.to_str().unwrap()).start()
    };
    let (own, other, plain) =
        (secured(&["127.0.0.1"], "own"), secured(&["bridge.example"], "other"), Bridge::options().start());
    let by = |scheme: &str, bridge: &Bridge| format!("{scheme}://{}", bridge.address);
    let page = Page::read("docs/troubleshooting.md").text;
    for (words, told) in [
        ("UnknownIssuer", refusal(&by("https", &own), None)),
        ("not valid for name", refusal(&by("https", &other), Some(&authority))),
        ("does not speak HTTP", refusal(&by("http", &own), None)),
        ("does not speak TLS", refusal(&by("https", &plain), Some(&authority))),
    ] {
        assert!(page.contains(&format!("\"{words}\"")) && told.contains(words), "{words}: {told}");
    }
}
