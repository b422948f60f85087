//! The bridge is stopped in the middle of a session and started again: the session never notices, and each operation is
//! reported once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ledger::{Counts, expected};
use crate::peers::bridge::Bridge;
use crate::peers::collector::Collector;
use crate::peers::{free_port, until, until_equal};
use crate::servers::{ask, call, faulty};
use crate::stage::{Client, Session, play};

#[test]
fn a_bridge_that_is_stopped_and_started_again_loses_nothing() {
    across_an_outage(Client::Node, Bridge::stop);
}

#[test]
fn a_bridge_that_crashes_and_is_started_again_loses_nothing() {
    across_an_outage(Client::Python, |bridge| bridge.process.kill());
}

fn across_an_outage(client: Client, end: fn(&mut Bridge)) {
    let data = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let port = free_port();
    let start = || Bridge::options().data_dir(data.path()).port(port).push_to(&collector).start();
    let mut bridge = start();
    let sessions = [Session::bare("legacy"), Session::wrapped(&bridge, "outlasting", "legacy")];
    let [bare, outlasting] = sessions;
    let server = faulty().steps(steps());
    let mut playing = play(client, &server, &[bare, outlasting.waiting_at(&["outage", "return"])]);
    playing.at("outlasting", "outage", || {
        // What the bridge has not pushed when it crashes is its own loss, and no report's.
        until("the spans before the outage", || (spans(&collector).values().sum::<u64>() >= 4).then_some(()));
        end(&mut bridge);
    });
    let bridge = playing.at("outlasting", "return", start);

    let played = playing.finish();
    let [bare, wrapped] = &played[..] else { panic!("{played:?}") };
    assert_eq!(bare.transcript, wrapped.transcript);
    assert_eq!(bare.stderr, wrapped.stderr);
    wrapped.assert_passed_through();
    until_equal(|| expected(wrapped).into_iter().collect(), || spans(&collector).into_iter().collect());
    until("the end of the session", || {
        let ended = r#"session_end_total{component_name="outlasting",status="success"}"#;
        (bridge.samples().get(ended) == Some(&1.0)).then_some(())
    });
    let session = || collector.spans().iter().filter(|span| span.name == "session outlasting").count();
    until("the span of the session", || (session() == 1).then_some(()));
    assert_eq!(bridge.samples()[r#"active_sessions{component_name="outlasting"}"#], 0.0);
}

fn steps() -> Vec<Value> {
    let calls = |from: u32| (from..from + 25).map(|number| call("echo", json!({"text": number.to_string()})));
    [ask("tools/list"), call("fail", json!({})), call("refuse", json!({}))]
        .into_iter()
        .chain([json!({"barrier": "outage"})])
        .chain(calls(0))
        .chain([call("fail", json!({})), ask("ping"), json!({"barrier": "return"})])
        .chain(calls(100))
        .collect()
}

/// The operations among the spans that the collector has, each as often as it came.
fn spans(collector: &Collector) -> Counts {
    let mut counts = BTreeMap::new();
    for span in collector.spans() {
        let attribute = |name: &str| span.attributes.get(name).cloned().unwrap_or_default();
        let method = attribute("mcp.method.name");
        if !method.is_empty() {
            let operation = ("to_server".to_owned(), method, attribute("gen_ai.tool.name"), attribute("error.type"));
            *counts.entry(operation).or_default() += 1;
        }
    }
    counts
}
