//! `--inject-trace-context`: the client's requests given the trace context that they lack.
//!
//! It works on whole lines that hold JSON-RPC requests, and inserts: every byte that the client sent stays as it was.
//! A line that is too long, or is not what it knows, goes through untouched.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::trace::TraceContext;

/// The longest line that is looked at, in bytes; as much is held at most.
const LONGEST: usize = 1024 * 1024;

/// Inserts `params._meta.traceparent` into requests without one.
#[derive(Debug)]
pub(super) struct Injector {
    context: TraceContext,
    /// The line that has begun and not ended, to be looked at once it has.
    held: Vec<u8>,
    /// Whether the line that goes by was too long to hold.
    passing: bool,
    out: Vec<u8>,
}

/// The members of an object; a value is where it stands in the line.
type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

impl Injector {
    pub(super) fn new(context: TraceContext) -> Self {
        Self { context, held: Vec::new(), passing: false, out: Vec::new() }
    }

    /// What can be passed on once these bytes have come: whole lines, and the parts of those that are too long.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> &[u8] {
        self.out.clear();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = piece.ends_with(b"\n");
            if self.passing {
                self.out.extend_from_slice(piece);
                self.passing = !whole;
                continue;
            }
            if self.held.len() + piece.len() > LONGEST {
                self.out.append(&mut self.held);
                self.out.extend_from_slice(piece);
                self.passing = !whole;
                continue;
            }
            self.held.extend_from_slice(piece);
            if whole {
                inject(&self.context, &self.held, &mut self.out);
                self.held.clear();
            }
        }
        &self.out
    }

    /// What is still held when the stream ends: a line that never ended, as it is.
    pub(super) fn rest(&mut self) -> &[u8] {
        self.out.clear();
        self.out.append(&mut self.held);
        &self.out
    }
}

/// Appends the line to `out`, with what its requests lack.
fn inject(context: &TraceContext, line: &[u8], out: &mut Vec<u8>) {
    let (Some(span), Ok(text)) = (context.current(), std::str::from_utf8(line)) else {
        return out.extend_from_slice(line);
    };
    let traceparent = format!("\"traceparent\":\"{span}\"");
    let mut from = 0;
    for (at, insert) in insertions(text, &traceparent) {
        out.extend_from_slice(&line[from..at]);
        out.extend_from_slice(insert.as_bytes());
        from = at;
    }
    out.extend_from_slice(&line[from..]);
}

/// What to insert where, in the line's order; of a batch for each of its requests.
fn insertions(line: &str, traceparent: &str) -> Vec<(usize, String)> {
    let elements = match line.trim_start().as_bytes().first() {
        Some(b'{') => vec![line],
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(line)
            .map(|elements| elements.into_iter().map(RawValue::get).collect())
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    elements.into_iter().filter_map(|element| insertion(line, element, traceparent)).collect()
}

fn insertion(line: &str, element: &str, traceparent: &str) -> Option<(usize, String)> {
    let request = members(element)?;
    let asks = |name: &str| request.get(name).map(|value| value.get());
    asks("method").filter(|method| method.starts_with('"'))?;
    asks("id").filter(|id| *id != "null")?;
    let Some(params) = asks("params") else {
        // There is a member before it: the method.
        let end = element.trim_end();
        return Some((offset(line, end) + end.len() - 1, format!(",\"params\":{{\"_meta\":{{{traceparent}}}}}")));
    };
    match members(params)?.get("_meta").map(|meta| meta.get()) {
        Some(meta) if members(meta)?.contains_key("traceparent") => None,
        Some(meta) => Some(first_member(line, meta, traceparent)),
        None => Some(first_member(line, params, &format!("\"_meta\":{{{traceparent}}}"))),
    }
}

/// The members of an object; `None` where the text is none.
fn members(text: &str) -> Option<Members<'_>> {
    serde_json::from_str(text).ok()
}

/// The member as the first of the object.
fn first_member(line: &str, object: &str, member: &str) -> (usize, String) {
    let comma = if object[1..].trim_start().starts_with('}') { "" } else { "," };
    (offset(line, object) + 1, format!("{member}{comma}"))
}

/// Where a part of the line begins in it.
fn offset(line: &str, part: &str) -> usize {
    part.as_ptr().addr() - line.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn injector() -> Injector {
        let context = TraceContext::default();
        context.set_session(SPAN.parse().unwrap());
        Injector::new(context)
    }

    fn passed(text: &str) -> String {
        let mut injector = injector();
        let mut out = injector.pass(text.as_bytes()).to_vec();
        out.extend_from_slice(injector.rest());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_is_given_what_it_lacks_and_keeps_every_byte() {
        let traceparent = format!("\"traceparent\":\"{SPAN}\"");
        for (before, insert, after) in [
            (r#"{"id":1,"method":"ping""#, format!(",\"params\":{{\"_meta\":{{{traceparent}}}}}"), "}\n"),
            (r#" { "id" : 1, "method" : "ping" "#, format!(",\"params\":{{\"_meta\":{{{traceparent}}}}}"), "} \r\n"),
            (r#"{"params":{"#, format!("\"_meta\":{{{traceparent}}}"), "},\"id\":\"a\",\"method\":\"tools/list\"}\n"),
            (r#"{"params": {"#, format!("\"_meta\":{{{traceparent}}},"), " \"a\": 1.00},\"id\":2,\"method\":\"x\"}\n"),
            (r#"{"id":1,"method":"x","params":{"_meta":{"#, traceparent.clone(), " }}}\n"),
            (
                r#"{"id":1,"method":"x","params":{"p":"\u00e9","_meta":{"#,
                format!("{traceparent},"),
                r#""progressToken":1}}}
"#,
            ),
        ] {
            assert_eq!(passed(&format!("{before}{after}")), format!("{before}{insert}{after}"));
            let value: serde_json::Value = serde_json::from_str(&format!("{before}{insert}{after}")).unwrap();
            assert_eq!(value["params"]["_meta"]["traceparent"], SPAN);
        }
    }

    #[test]
    fn of_a_batch_each_request_is_given_it() {
        let line = "[{\"id\":1,\"method\":\"a\"}, {\"method\":\"b\"} ,{\"id\":2,\"method\":\"c\",\"params\":{}}]\n";
        let value: serde_json::Value = serde_json::from_str(&passed(line)).unwrap();
        assert_eq!(value[0]["params"]["_meta"]["traceparent"], SPAN);
        assert_eq!(value[1].get("params"), None);
        assert_eq!(value[2]["params"]["_meta"]["traceparent"], SPAN);
    }

    #[test]
    fn all_else_goes_through_untouched() {
        for line in [
            "{\"method\":\"notifications/cancelled\",\"params\":{}}\n".to_owned(),
            "{\"id\":1,\"result\":{}}\n".to_owned(),
            format!("{{\"id\":1,\"method\":\"a\",\"params\":{{\"_meta\":{{\"traceparent\":\"{SPAN}\"}}}}}}\n"),
            "{\"id\":1,\"method\":\"a\",\"params\":{\"_meta\":{\"traceparent\":null}}}\n".to_owned(),
            "{\"id\":1,\"method\":\"a\",\"params\":[1]}\n".to_owned(),
            "{\"id\":1,\"method\":\"a\",\"params\":null}\n".to_owned(),
            "{\"id\":1,\"method\":\"a\"".to_owned(),
            "{\"id\":1,\"method\":\"a\"} {}\n".to_owned(),
            "[1,2]\n[]\n\n  \nnonsense\n".to_owned(),
        ] {
            assert_eq!(passed(&line), line);
        }
        let mut nobody = Injector::new(TraceContext::default());
        assert_eq!(nobody.pass(b"{\"id\":1,\"method\":\"a\"}\n"), b"{\"id\":1,\"method\":\"a\"}\n");
        assert_eq!(injector().pass(b"{\"id\":1,\"method\":\"\xff\"}\n"), b"{\"id\":1,\"method\":\"\xff\"}\n");
    }

    #[test]
    fn a_line_too_long_to_hold_goes_through_and_the_next_is_looked_at() {
        let mut injector = injector();
        let long = format!("{{\"id\":1,\"method\":\"a\",\"x\":\"{}\"}}\n", "x".repeat(2 * LONGEST));
        let next = "{\"id\":1,\"method\":\"a\"}\n";
        let (mut out, mut most_held) = (Vec::new(), 0);
        for piece in format!("{long}{next}").as_bytes().chunks(10_000) {
            out.extend_from_slice(injector.pass(piece));
            most_held = most_held.max(injector.held.len());
        }
        assert!(out.starts_with(long.as_bytes()));
        assert_eq!(&out[long.len()..], passed(next).as_bytes());
        assert!(most_held <= LONGEST);
    }
}
