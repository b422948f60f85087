//! `--inject-trace-context`, the only flag that changes bytes.

use crate::support::{Wrapped, seen, wrap};

const SPAN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn requests_get_the_trace_context_of_the_environment_and_nothing_else_changes() {
    let input = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"n\":1.0}}\n\
        {\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n garbage \n{\"half\"";
    let expected = input.replace("{\"name\"", &format!("{{\"_meta\":{{\"traceparent\":\"{SPAN}\"}},\"name\""));
    let mut command = wrap(&["--inject-trace-context"], "cat");
    command.env("TRACEPARENT", SPAN);
    assert_eq!(String::from_utf8(seen(command, input.as_bytes(), false).output).unwrap(), expected);
    // The same without the flag, and where there is no context to give.
    let mut command = wrap(&[], "cat");
    command.env("TRACEPARENT", SPAN);
    assert_eq!(seen(command, input.as_bytes(), false).output, input.as_bytes());
    assert_eq!(seen(wrap(&["--inject-trace-context"], "cat"), input.as_bytes(), false).output, input.as_bytes());
}

#[test]
fn whole_lines_go_on_at_once_and_what_the_server_says_is_never_changed() {
    let mut command = wrap(&["--inject-trace-context"], "echo '{\"id\":1,\"method\":\"ping\"}'; cat");
    command.env("TRACEPARENT", SPAN);
    let mut wrapped = Wrapped::start(command);
    assert_eq!(wrapped.line(), "{\"id\":1,\"method\":\"ping\"}");
    for _ in 0..3 {
        wrapped.write(b"{\"id\":2,\"method\":");
        wrapped.write(b"\"ping\"}\n");
        let line = wrapped.line();
        assert!(line.contains(SPAN), "{line}");
    }
}
