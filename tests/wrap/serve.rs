//! `wrap --serve`: the bridge in the same process, one that joins another, and what goes wrong with either.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Wrapped, await_some, wrap};

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn serving(address: &str, data: &std::path::Path) -> Command {
    let mut command = wrap(&["--serve"], "while read line; do echo \"$line\"; done; exit 6");
    command.env("MCP_OTEL_BRIDGE_LISTEN", address).env("MCP_OTEL_BRIDGE_DATA_DIR", data);
    command
}

fn get(address: &str, path: &str) -> Option<String> {
    ureq::get(format!("http://{address}{path}")).call().ok()?.body_mut().read_to_string().ok()
}

/// The session works, and stdout carries nothing but its lines.
fn works(wrapped: &mut Wrapped) {
    for id in 0..20 {
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}");
        wrapped.write(format!("{line}\n").as_bytes());
        assert_eq!(wrapped.line(), line);
    }
}

fn ends(mut wrapped: Wrapped) -> String {
    wrapped.close_stdin();
    assert_eq!(wrapped.output(), b"", "something else printed to stdout");
    assert_eq!(wrapped.wait().code(), Some(6));
    wrapped.errors()
}

#[test]
fn the_bridge_serves_while_the_session_lasts_and_a_second_one_joins_it() {
    let (address, data) = (free_address(), tempfile::tempdir().unwrap());
    let mut first = Wrapped::start(serving(&address, data.path()));
    works(&mut first);
    await_some(|| get(&address, "/metrics").filter(|metrics| metrics.contains("# HELP")));
    let mut second = Wrapped::start(serving(&address, data.path()));
    works(&mut second);
    // The port is another one here, the store the same: it is found where the environment says.
    let mut third = serving(&free_address(), data.path());
    third.env("MCP_OTEL_BRIDGE_URL", format!("http://{address}"));
    let mut third = Wrapped::start(third);
    works(&mut third);
    for joined in [second, third] {
        let errors = ends(joined);
        assert!(!errors.contains("unobserved"), "{errors}");
        assert!(get(&address, "/livez").is_some());
    }
    let errors = ends(first);
    assert!(errors.contains(&format!("http://{address}/metrics")), "the banner goes to stderr: {errors}");
    assert!(get(&address, "/livez").is_none());
}

/// Whether the bridge there has taken so many sessions' starts.
fn has_started(agent: &ureq::Agent, address: &str, token: Option<&str>, sessions: u32) -> bool {
    let mut request = agent.get(format!("{address}/metrics"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let Ok(mut answer) = request.call() else { return false };
    let metrics = answer.body_mut().read_to_string().unwrap();
    let starts = metrics.lines().filter(|line| line.starts_with("session_start_total{"));
    let count: f64 = starts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
    count >= f64::from(sessions)
}

#[test]
fn a_token_of_the_configuration_is_used_by_the_session_that_serves_and_by_one_that_joins() {
    const TOKEN: &str = "a-token-that-only-the-file-has";
    let (address, data) = (free_address(), tempfile::tempdir().unwrap());
    let (file, secret) = (data.path().join("bridge.yaml"), data.path().join("token"));
    std::fs::write(&secret, TOKEN).unwrap();
    std::fs::write(&file, format!("auth: {{token_file: {}}}", secret.display())).unwrap();
    let start = || {
        let mut command = serving(&address, data.path());
        command.env("MCP_OTEL_BRIDGE_CONFIG", &file);
        Wrapped::start(command)
    };
    let agent = ureq::Agent::new_with_defaults();
    let has_started = |sessions| has_started(&agent, &format!("http://{address}"), Some(TOKEN), sessions);
    let mut first = start();
    works(&mut first);
    await_some(|| has_started(1).then_some(()));
    let mut second = start();
    works(&mut second);
    await_some(|| has_started(2).then_some(()));
    for wrapped in [second, first] {
        let errors = ends(wrapped);
        assert!(!errors.contains("token"), "{errors}");
    }
}

#[test]
fn a_bridge_with_a_private_certificate_is_reached_by_the_session_that_serves_by_one_that_joins_and_by_its_authority() {
    let (address, data) = (free_address(), tempfile::tempdir().unwrap());
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let [file, certificate, key] = ["bridge.yaml", "cert.pem", "key.pem"].map(|name| data.path().join(name));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls: {{cert_file: {}, key_file: {}}}", certificate.display(), key.display());
    std::fs::write(&file, tls).unwrap();
    let config = ureq::tls::TlsConfig::builder().disable_verification(true).build();
    let agent = ureq::Agent::config_builder().tls_config(config).build().new_agent();
    let url = format!("https://{address}");
    let start = || {
        let mut command = serving(&address, data.path());
        command.env("MCP_OTEL_BRIDGE_CONFIG", &file);
        Wrapped::start(command)
    };
    let mut first = start();
    works(&mut first);
    await_some(|| has_started(&agent, &url, None, 1).then_some(()));
    let mut second = start();
    works(&mut second);
    await_some(|| has_started(&agent, &url, None, 2).then_some(()));
    let mut command = wrap(&[], "cat; exit 6");
    command.env("MCP_OTEL_BRIDGE_URL", &url).env("MCP_OTEL_BRIDGE_CA_FILE", &certificate);
    let mut third = Wrapped::start(command);
    works(&mut third);
    await_some(|| has_started(&agent, &url, None, 3).then_some(()));
    // One that does not know the authority says so.
    let mut command = wrap(&[], "cat; exit 6");
    command.env("MCP_OTEL_BRIDGE_URL", &url);
    let mut stranger = Wrapped::start(command);
    works(&mut stranger);
    let errors = ends(stranger);
    assert!(errors.contains("MCP_OTEL_BRIDGE_CA_FILE"), "{errors}");
    for wrapped in [third, second, first] {
        ends(wrapped);
    }
}

#[test]
fn a_port_taken_by_something_else_costs_the_observing_and_nothing_more() {
    let data = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        }
    });
    let mut wrapped = Wrapped::start(serving(&address, data.path()));
    works(&mut wrapped);
    let said = wrapped.errors_until("unobserved\n");
    assert!(said.contains("something else listens there") && said.contains("unobserved"), "{said}");
    works(&mut wrapped);
    wrapped.close_stdin();
    assert_eq!(wrapped.wait().code(), Some(6));
}

#[test]
fn a_broken_configuration_is_said_and_the_session_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("bridge.yaml");
    std::fs::write(&file, "no_such_key: [").unwrap();
    let mut command = serving(&free_address(), data.path());
    command.env("MCP_OTEL_BRIDGE_CONFIG", &file);
    let mut wrapped = Wrapped::start(command);
    works(&mut wrapped);
    let errors = ends(wrapped);
    assert!(errors.contains("the configuration is wrong") && errors.contains("unobserved"), "{errors}");
}

#[test]
fn the_bridge_inside_ends_in_time_whoever_is_connected_and_its_log_leaves_out_what_its_tools_are_asked() {
    let (address, data) = (free_address(), tempfile::tempdir().unwrap());
    let file = data.path().join("bridge.yaml");
    std::fs::write(&file, "log: {format: json}").unwrap();
    let mut command = serving(&address, data.path());
    command.env("MCP_OTEL_BRIDGE_CONFIG", &file);
    let mut wrapped = Wrapped::start(command);
    works(&mut wrapped);
    await_some(|| get(&address, "/livez"));
    for id in 0..3 {
        let answer = ureq::post(format!("http://{address}/mcp"))
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .header("content-type", "application/json")
            .send(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/list\"}}"))
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
    // One that is silent, and one in the middle of its request.
    let _silent = TcpStream::connect(&address).unwrap();
    let mut half = TcpStream::connect(&address).unwrap();
    write!(half, "POST /v1/events HTTP/1.1\r\nhost: {address}\r\ncontent-length: 100\r\n\r\n[").unwrap();
    let closed = Instant::now();
    let errors = ends(wrapped);
    let took = closed.elapsed();
    assert!(took < Duration::from_millis(1950), "{took:?}");
    assert!(errors.contains("\"target\":\"mcp_otel_bridge"), "{errors}");
    assert!(!errors.contains("\"target\":\"rmcp"), "{errors}");
}
