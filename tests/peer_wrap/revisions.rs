//! Both revisions of the protocol pass through, and are told apart in the labels: that of 2025-11-25 with its handshake,
//! and that of 2026-07-28, whose first request is `server/discover`.

use std::collections::BTreeSet;

use crate::ledger::{assert_counted, labels_of, value};
use crate::peers::bridge::Bridge;
use crate::peers::until;
use crate::servers::{everything, modern, time};
use crate::stage::{Client, Session, play};

#[test]
fn a_server_of_both_revisions() {
    let bridge = Bridge::options().start();
    let sessions = [
        // The client asks for the revision; it asks the server which it has; it takes the newer one for granted.
        Session::wrapped(&bridge, "handshake", "legacy"),
        Session::wrapped(&bridge, "discovered", "auto"),
        Session::wrapped(&bridge, "adopted", "2026-07-28"),
    ];
    let played = play(Client::Python, &time(), &sessions).finish();
    let revisions = ["2025-11-25", "2026-07-28", "2026-07-28"];
    let first = ["initialize", "server/discover", "tools/list"];
    for ((one, revision), first) in played.iter().zip(revisions).zip(first) {
        one.assert_passed_through();
        assert_eq!(one.lines().next().unwrap()["connected"], revision);
        assert_eq!(one.ledger[0]["method"], first);
        assert_counted(&bridge, one);
        assert_eq!(protocols(&bridge, &one.name), BTreeSet::from([revision.to_owned()]), "{}", one.name);
    }
}

#[test]
fn a_server_of_the_older_revision_refuses_the_probe_and_that_is_no_error() {
    let bridge = Bridge::options().start();
    let mut server = everything();
    server.steps.truncate(4);
    let played = play(Client::Python, &server, &[Session::wrapped(&bridge, "probed", "auto")]).finish();
    assert_eq!(played[0].lines().next().unwrap()["connected"], "2025-11-25");
    assert!(played[0].ledger.iter().any(|line| line["probed"] == true));
    assert_counted(&bridge, &played[0]);
    let component = ("component_name", "probed");
    assert_eq!(value(&bridge, "mcp_event_emit_failure_total", &[component]), 0.0);
    assert_eq!(value(&bridge, "session_end_total", &[component, ("status", "success")]), 1.0);
}

#[test]
fn a_call_in_several_steps_is_one_and_a_subscription_is_counted_when_it_is_open() {
    let bridge = Bridge::options().start();
    let server = modern();
    // In a process of its own: the client numbers all the subscriptions of its process.
    let bare = play(Client::Python, &server, &[Session::bare("auto")]).finish().remove(0);
    let sessions = [
        Session::wrapped(&bridge, "older", "legacy").steps(server.steps[..2].to_vec()),
        Session::wrapped(&bridge, "newer", "auto").waiting_at(&["listening"]),
    ];
    let mut playing = play(Client::Python, &server, &sessions);
    // It is open still: what is counted is the time until it was, and not how long it lasts.
    let listens = [("component_name", "newer"), ("mcp_method_name", "subscriptions/listen")];
    playing.at("newer", "listening", || {
        until("the subscription to be counted", || {
            (value(&bridge, "mcp_server_operation_duration_seconds_count", &listens) == 1.0).then_some(())
        });
    });
    let played = playing.finish();
    let [older, newer] = &played[..] else { panic!("{played:?}") };
    assert_eq!(bare.transcript, newer.transcript);
    for wrapped in [older, newer] {
        wrapped.assert_passed_through();
        assert_counted(&bridge, wrapped);
    }
    // Of old the server asks in requests of its own.
    let asked = |direction| value(&bridge, direction, &[("mcp_method_name", "elicitation/create")]);
    assert_eq!(asked("mcp_client_operation_duration_seconds_count"), 1.0);
    assert_eq!(asked("mcp_server_operation_duration_seconds_count"), 0.0);
}

/// The revisions in the labels of a component's operations.
fn protocols(bridge: &Bridge, component: &str) -> BTreeSet<String> {
    let samples = bridge.samples();
    let labels = samples.keys().filter_map(|series| labels_of(series));
    let operations = labels.filter(|(name, labels)| {
        *name == "mcp_server_operation_duration_seconds_count" && labels["component_name"] == component
    });
    operations.map(|(_, labels)| labels.get("mcp_protocol_version").cloned().unwrap_or_default()).collect()
}
