//! What keeps a bridge from starting is told in one clear line, and the exit code says whose fault it is.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::process::{Serving, program, run, text};

/// Runs `serve` until it gives up; what it said.
fn fails(arguments: &[&str], code: i32) -> String {
    let output = run(&[&["serve"], arguments].concat());
    let log = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{log}");
    assert_eq!(log.trim_end().lines().count(), 1, "{log}");
    log
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let log = fails(&["--ephemeral", "--listen", &address], 1);
    assert!(log.contains(&address) && log.contains("--listen"), "{log}");
}

#[test]
fn a_data_directory_that_another_bridge_holds() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Serving::start(dir.path(), &[]);
    let log = fails(&["--listen", "127.0.0.1:0", "--data-dir", dir.path().to_str().unwrap()], 1);
    assert!(log.contains("in use by another bridge") && log.contains("--data-dir"), "{log}");
}

#[test]
fn a_data_directory_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    let log = fails(&["--listen", "127.0.0.1:0", "--data-dir", below.to_str().unwrap()], 1);
    assert!(log.contains(below.to_str().unwrap()) && log.contains("cannot be written"), "{log}");
}

#[test]
fn a_certificate_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.pem");
    let file = dir.path().join("bridge.yaml");
    fs::write(&file, format!("tls: {{cert_file: {0}, key_file: {0}}}\n", missing.display())).unwrap();
    let output = run(&["serve", "--ephemeral", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(missing.to_str().unwrap()));
}

#[test]
fn a_certificate_that_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let pem = dir.path().join("cert.pem");
    fs::write(&pem, "not a certificate\n").unwrap();
    let output = serve_with_certificates(&pem, &dir.path().join("bridge.yaml"));
    let log = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)) && log.contains(pem.to_str().unwrap()), "{log}");
}

fn serve_with_certificates(pem: &Path, file: &Path) -> std::process::Output {
    fs::write(file, format!("tls: {{cert_file: {0}, key_file: {0}}}\n", pem.display())).unwrap();
    run(&["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()])
}

#[test]
fn a_protocol_other_than_grpc() {
    let output = program()
        .args(["serve", "--ephemeral", "--listen", "127.0.0.1:0"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .output()
        .unwrap();
    let log = text(&output.stderr);
    assert!(
        output.status.code() == Some(2) && log.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && log.contains("grpc"),
        "{log}"
    );
}

#[test]
fn an_endpoint_that_is_the_bridge_itself() {
    let log_of =
        run(&["serve", "--ephemeral", "--listen", "127.0.0.1:39471", "--otlp-endpoint", "http://localhost:39471"]);
    assert_eq!(log_of.status.code(), Some(2));
}
