//! The command `mcp` and a bridge that asks for the certificates of its clients.

use serde_json::{Value, json};

use crate::authority::{Authority, Issued};
use crate::client::{Client, Revision};
use crate::secured::{CA_FILE, CERTIFICATE, Secured, Variables};

const SUMMARY: &str = "get_metrics_summary";

fn client(secured: &Secured, variables: &Variables) -> Client<'static> {
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Client::stdio(&secured.url(), &variables, Revision::Stateless)
}

fn event() -> Value {
    json!({"event": {"event_type": "search_call"}})
}

#[test]
fn the_tools_ask_and_report_with_the_certificate() {
    let secured = Secured::start(&[]);
    let mut client = client(&secured, &secured.to_client());
    assert_eq!(client.structured("record_event", event())["status"], "recorded");
    assert_eq!(client.structured(SUMMARY, json!({}))["total_sessions_started"], 0);
    assert_eq!(secured.accepted("mcp", ""), 1);
}

#[test]
fn the_tools_say_which_certificate_would_be_right() {
    let secured = Secured::start(&[]);
    let foreign = Authority::new();
    let stranger = foreign.issue("stranger");
    let told = |shown: Option<&Issued>, tool: &str, arguments: Value| {
        client(&secured, &secured.known_by(shown)).failed(tool, arguments)
    };
    for (tool, arguments) in [(SUMMARY, json!({})), ("record_event", event())] {
        let without = told(None, tool, arguments.clone());
        assert!(
            without.contains("asks for a certificate of its clients") && without.contains(CERTIFICATE),
            "{without}"
        );
        let refused = told(Some(&stranger), tool, arguments);
        assert!(refused.contains("does not take the certificate in") && refused.contains("UnknownCA"), "{refused}");
    }
    let mut unknown = secured.to_client();
    unknown.retain(|(name, _)| *name != CA_FILE);
    let told = client(&secured, &unknown).failed(SUMMARY, json!({}));
    assert!(told.contains("UnknownIssuer") && told.contains(CA_FILE), "{told}");
}
