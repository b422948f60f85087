//! `wrap --serve`: the bridge in the same process, one that joins another, and what goes wrong with either.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

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
    let mut stderr = wrapped.stderr.take().unwrap();
    let said = crate::support::within(move || {
        let mut said = String::new();
        let mut byte = [0];
        while !said.contains("unobserved\n") && stderr.read(&mut byte).unwrap() == 1 {
            said.push(byte[0].into());
        }
        said
    });
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
