//! A bridge that is away, frozen or refuses: the session goes on as without one, and ends in time.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::{Wrapped, wrap};

/// Less than the two seconds that clients wait for a server's end.
const IN_TIME: Duration = Duration::from_millis(1950);

fn session_with(bridge: &str) {
    let mut command = wrap(&[], "while read line; do echo \"$line\"; done; exit 6");
    command.env("MCP_OTEL_BRIDGE_URL", bridge);
    let mut wrapped = Wrapped::start(command);
    for id in 0..200 {
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}");
        wrapped.write(format!("{line}\n").as_bytes());
        assert_eq!(wrapped.line(), line);
    }
    let closed = Instant::now();
    wrapped.close_stdin();
    assert_eq!(wrapped.output(), b"");
    let passed_on = closed.elapsed();
    assert_eq!(wrapped.wait().code(), Some(6));
    let ended = closed.elapsed();
    assert!(ended < IN_TIME, "output ended after {passed_on:?}, the process after {ended:?}");
}

#[test]
fn a_bridge_that_is_away() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    session_with(&format!("http://{address}"));
    session_with("not even a URL");
    let mut command = wrap(&[], "cat");
    command.env("MCP_OTEL_BRIDGE_URL", format!("http://me:secret@{address}"));
    let mut wrapped = Wrapped::start(command);
    wrapped.close_stdin();
    assert!(wrapped.wait().success());
    let errors = wrapped.errors();
    let said = format!("2 reports were not delivered: no bridge answers at http://****@{address}/v1/events (");
    assert!(errors.contains(&said) && errors.lines().count() == 1, "{errors}");
}

#[test]
fn a_bridge_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    session_with(&format!("http://{}", listener.local_addr().unwrap()));
}

#[test]
fn a_bridge_that_refuses() {
    for answer in ["HTTP/1.1 503 no\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n", "nonsense\r\n\r\n", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        session_with(&url);
    }
}
