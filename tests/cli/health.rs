//! `health`: what a container's health check asks, and what exit code it gets.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use crate::process::{Serving, program, text};

/// Asks with those variables, as a health check that shares the environment of `serve` does.
fn health(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    program().arg("health").args(arguments).envs(variables.iter().copied()).output().unwrap()
}

/// A free address to listen on.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn serve(listen: &str, variables: &[(&str, &str)]) -> Serving {
    let command = &mut program();
    command.args(["serve", "--ephemeral"]).env("MCP_OTEL_BRIDGE_LISTEN", listen).envs(variables.iter().copied());
    Serving::spawn(command)
}

#[test]
fn it_prints_what_the_bridge_says_and_exits_with_0() {
    let bridge = serve("127.0.0.1:0", &[]);
    for (more, told) in [(&[][..], "\"ready\":true"), (&["--live"][..], "")] {
        let output = health(&[], &[&["--bridge", &bridge.url("")], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains(told), "{}", text(&output.stdout));
        let named = health(&[("MCP_OTEL_BRIDGE_URL", &bridge.url(""))], more);
        assert_eq!((named.status.code(), text(&named.stdout).is_empty()), (Some(0), false));
    }
}

#[test]
fn the_address_of_the_configuration_is_asked_over_loopback() {
    let port = free().rsplit(':').next().unwrap().to_owned();
    let variables = [("MCP_OTEL_BRIDGE_LISTEN", format!("0.0.0.0:{port}")), ("MCP_OTEL_BRIDGE_TOKEN", "t".to_owned())];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // Not for others: a test listens on loopback alone.
    let bridge = serve(&format!("127.0.0.1:{port}"), &[("MCP_OTEL_BRIDGE_TOKEN", "t")]);
    let output = health(&variables, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    drop(bridge);
    let output = health(&variables, &[]);
    let log = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(log.contains(&format!("no bridge answers at http://127.0.0.1:{port}: ")), "{log}");
}

#[test]
fn a_certificate_for_another_name_is_no_hindrance_on_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["bridge.example.org".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert, key) = (file("tls.crt", made.cert.pem()), file("tls.key", made.signing_key.serialize_pem()));
    let listen = free();
    let tls = [("MCP_OTEL_BRIDGE_TLS_CERT_FILE", cert.as_str()), ("MCP_OTEL_BRIDGE_TLS_KEY_FILE", key.as_str())];
    let _bridge = serve(&listen, &tls);
    let output = health(&[("MCP_OTEL_BRIDGE_LISTEN", listen.as_str()), tls[0], tls[1]], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // One that is named is another's: its certificate must be right.
    let named = health(&[], &["--bridge", &format!("https://{listen}")]);
    assert_eq!(named.status.code(), Some(1));
    assert!(text(&named.stderr).contains("certificate"), "{}", text(&named.stderr));
}

#[test]
fn a_bridge_that_is_not_ready_exits_with_1_and_says_why() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", peer.local_addr().unwrap());
    let answered = std::thread::spawn(move || {
        let (mut stream, _) = peer.accept().unwrap();
        let mut asked = [0; 1024];
        let read = std::io::Read::read(&mut stream, &mut asked).unwrap();
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{\"ready\":false}";
        std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
        text(&asked[..read])
    });
    let output = health(&[], &["--bridge", &url]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "{\"ready\":false}\n".to_owned()));
    assert!(answered.join().unwrap().starts_with("GET /readyz "));
}

#[test]
fn what_cannot_be_asked_exits_with_1_too() {
    for (variables, told) in [
        ([("MCP_OTEL_BRIDGE_LISTEN", "127.0.0.1:0")], "--bridge"),
        ([("MCP_OTEL_BRIDGE_LISTEN", "nowhere")], "the configuration is wrong"),
    ] {
        let output = health(&variables, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(told), "{}", text(&output.stderr));
    }
    let file = Path::new("no-such-file.yaml");
    assert_eq!(health(&[], &["--config", file.to_str().unwrap()]).status.code(), Some(1));
}
