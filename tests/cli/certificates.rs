//! `send` and `health` against a bridge that asks for the certificates of its clients, and what each mistake is told to be.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Output, Stdio};

use crate::authority::Authority;
use crate::process::{Serving, program, text};
use crate::secured::{CA_FILE, CERTIFICATE, KEY, Secured, URL, Variables, without};

const GOOD: &str = r#"{"event_type":"search_call"}"#;

fn run(arguments: &[&str], variables: &Variables, input: &str) -> Output {
    let mut process = program()
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that finds its variables wrong reads nothing.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    process.wait_with_output().unwrap()
}

fn send(variables: &Variables) -> Output {
    run(&["send"], variables, GOOD)
}

#[track_caller]
fn ends(output: &Output, code: i32, told: &[&str]) {
    let log = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{log}");
    assert!(told.iter().all(|told| log.contains(told)), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn send_and_health_show_the_certificate_and_need_no_token_where_there_is_none() {
    let secured = Secured::start(&[]);
    let sent = send(&secured.to_client());
    assert_eq!(text(&sent.stdout), "1 accepted, 0 duplicates, 0 rejected\n", "{}", text(&sent.stderr));
    assert_eq!(secured.accepted("http", ""), 1);
    // The paths of health are open to those without a certificate, too.
    for variables in [secured.to_client(), secured.known_by(None)] {
        let asked = run(&["health"], &variables, "");
        assert_eq!(asked.status.code(), Some(0), "{}", text(&asked.stderr));
        assert!(text(&asked.stdout).contains("\"ready\":true"));
    }
}

#[test]
fn who_shows_no_certificate_or_one_that_the_bridge_does_not_take_is_told_which_would_be_right() {
    let secured = Secured::start(&[]);
    ends(&send(&secured.known_by(None)), 1, &["asks for a certificate of its clients", CERTIFICATE, KEY]);
    let foreign = Authority::new();
    let (stranger, expired) = (foreign.issue("stranger"), secured.authority.issue_expired("expired"));
    // So much that the bridge has closed the connection while it is still being written.
    let much = format!("{GOOD}\n").repeat(5000);
    for (shown, alert) in [(&stranger, "UnknownCA"), (&expired, "CertificateExpired")] {
        let variables = secured.known_by(Some(shown));
        let file = shown.cert_file.to_str().unwrap();
        let told = ["does not take the certificate in", file, alert, CERTIFICATE, "tls.client_ca_file"];
        ends(&send(&variables), 1, &told);
        ends(&run(&["send"], &variables, &much), 1, &told);
        ends(&run(&["health"], &variables, ""), 1, &told);
    }
    assert_eq!(secured.accepted("http", ""), 0);
}

#[test]
fn the_certificate_comes_beside_the_token_and_the_right_of_the_token() {
    let secured = Secured::start(&[
        ("MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN", "to-read"),
        ("MCP_OTEL_BRIDGE_AUTH_INGEST_TOKEN", "to-report"),
    ]);
    let with = |token: &str| {
        let mut variables = secured.to_client();
        variables.push(("MCP_OTEL_BRIDGE_TOKEN", token.to_owned()));
        send(&variables)
    };
    assert_eq!(with("to-report").status.code(), Some(0));
    ends(&with("to-read"), 1, &["refuses what this command has shown", "the right `ingest`"]);
    ends(&with("neither"), 1, &["asks for its token, which the one", "MCP_OTEL_BRIDGE_TOKEN"]);
    ends(&send(&secured.to_client()), 1, &["asks for its token: ", "MCP_OTEL_BRIDGE_TOKEN"]);
    assert_eq!(secured.accepted("http", "to-read"), 1);
}

#[test]
fn variables_and_files_that_are_wrong_are_named() {
    let secured = Secured::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let client = secured.authority.issue("other");
    let nonsense = file("nonsense", "nonsense");
    let garbage = file("garbage", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n");
    // A key whose label says that it is of another form than it is.
    let mislabelled = file("mislabelled", &client.key.replace("PRIVATE KEY", "RSA PRIVATE KEY"));
    let nowhere = dir.path().join("nowhere").to_str().unwrap().to_owned();
    let named = |name: &'static str, value: &str| {
        let mut variables = without(name, secured.to_client());
        variables.push((name, value.to_owned()));
        variables
    };
    let other_key = client.key_file.to_str().unwrap();
    for (variables, told) in [
        (without(KEY, secured.to_client()), [CERTIFICATE, KEY, "is not"]),
        (without(CERTIFICATE, secured.to_client()), [KEY, CERTIFICATE, "is not"]),
        (named(CERTIFICATE, &nowhere), [CERTIFICATE, "cannot read", &nowhere]),
        (named(CERTIFICATE, &nonsense), [CERTIFICATE, "holds no certificate", &nonsense]),
        (named(CERTIFICATE, &garbage), [KEY, "cannot be used with", &garbage]),
        (named(KEY, &nowhere), [KEY, "cannot read", &nowhere]),
        (named(KEY, &nonsense), [KEY, "holds no private key", &nonsense]),
        (named(KEY, other_key), [KEY, "cannot be used with", other_key]),
        (named(KEY, &mislabelled), [KEY, "cannot be used with", &mislabelled]),
        (named(CA_FILE, &nowhere), [CA_FILE, "cannot read", &nowhere]),
        (named(CA_FILE, &nonsense), [CA_FILE, "holds no certificate", &nonsense]),
        (named(CA_FILE, &garbage), [CA_FILE, "holds no certificate", &garbage]),
    ] {
        for (command, code) in [("send", 2), ("mcp", 2), ("health", 1)] {
            ends(&run(&[command], &variables, GOOD), code, &told);
        }
    }
}

#[test]
fn a_bridge_that_cannot_be_trusted_or_speaks_otherwise_is_told_with_what_would_be_right() {
    let secured = Secured::start(&[]);
    let foreign = Authority::new();
    let mut unknown = without(CA_FILE, secured.to_client());
    unknown.push((CA_FILE, foreign.file().to_str().unwrap().to_owned()));
    let ca = foreign.file();
    let plain_dir = tempfile::tempdir().unwrap();
    let plain = Serving::start(plain_dir.path(), &[]);
    let elsewhere = |url: String| {
        let mut variables = without(URL, secured.to_client());
        variables.push((URL, url));
        variables
    };
    // The certificate is for localhost and its address.
    let authority = Authority::new();
    let named = authority.issue_for(&["bridge.example.org"], "named");
    let (cert, key) = (named.cert_file.to_str().unwrap(), named.key_file.to_str().unwrap());
    let other = Serving::spawn(
        program()
            .args(["serve", "--listen", "127.0.0.1:0", "--ephemeral"])
            .envs([("MCP_OTEL_BRIDGE_TLS_CERT_FILE", cert), ("MCP_OTEL_BRIDGE_TLS_KEY_FILE", key)]),
    );
    let mut misnamed = vec![(URL, format!("https://{}", other.address()))];
    misnamed.push((CA_FILE, authority.file().to_str().unwrap().to_owned()));
    for (variables, told) in [
        (without(CA_FILE, secured.to_client()), vec!["UnknownIssuer", "private authority", CA_FILE]),
        (unknown, vec!["UnknownIssuer", ca.to_str().unwrap(), CA_FILE]),
        (misnamed, vec!["is for another name", "bridge.example.org"]),
        (elsewhere(format!("http://{}", secured.bridge.address())), vec!["does not speak HTTP", "https://"]),
        (elsewhere(format!("https://{}", plain.address())), vec!["does not speak TLS", "http://"]),
    ] {
        ends(&send(&variables), 1, &told);
        ends(&run(&["health"], &variables, ""), 1, &told);
    }
}

#[test]
fn health_shows_the_token_to_a_bridge_that_was_named() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", peer.local_addr().unwrap());
    let answered = std::thread::spawn(move || {
        let (mut stream, _) = peer.accept().unwrap();
        let mut asked = [0; 1024];
        let read = stream.read(&mut asked).unwrap();
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        text(&asked[..read]).to_lowercase()
    });
    let output = run(&["health"], &vec![(URL, url), ("MCP_OTEL_BRIDGE_TOKEN", "s3cret".to_owned())], "");
    ends(&output, 1, &["asks for its token, which the one"]);
    let asked = answered.join().unwrap();
    assert!(asked.contains("authorization: bearer s3cret\r\n"), "{asked}");
}
