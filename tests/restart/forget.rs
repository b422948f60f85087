//! Series that nobody wants are forgotten with what docs/durability.md says, and leave their room to others.

use std::path::Path;
use std::time::Duration;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, Metrics};
use serde_json::{Value, json};

use crate::support::events::send_all;
use crate::support::files::{open, tell};
use crate::support::samples::Samples;

const LIMIT: usize = 10;

/// The statement of the page that begins so, as it stands there.
fn statement(begins: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/durability.md")).unwrap();
    let (_, section) = page.split_once("\n## Forgetting series\n").unwrap();
    let at = section.find(begins).unwrap_or_else(|| panic!("nothing begins with {begins} in {section}"));
    section[at..].split('"').next().unwrap().to_owned()
}

fn emission(component: &str) -> Value {
    json!({"event_type": "mcp_event", "component_name": component, "emitted_type": "e", "duration_seconds": 1})
}

fn stop(bridge: &Bridge) {
    bridge.shutdown(Duration::from_secs(10)).unwrap();
}

#[test]
fn series_that_are_deleted_as_the_page_says_leave_room() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { metrics: Metrics { series_limit: LIMIT, ..Metrics::default() }, ..Config::default() };
    let count = |bridge: &Bridge, component: &str| {
        let key = format!("mcp_event_emit_success_total{{component_name=\"{component}\",event_type=\"e\"}}");
        Samples::of(bridge).find(&key)
    };
    let bridge = open(dir.path(), &config);
    send_all(&bridge, &[emission("good")]);
    let bad: Vec<Value> = (0..LIMIT).map(|number| emission(&format!("bad-client-{number}"))).collect();
    send_all(&bridge, &bad);
    stop(&bridge);
    let bridge = open(dir.path(), &config);
    send_all(&bridge, &[emission("late")]);
    assert_eq!((count(&bridge, "good"), count(&bridge, "late")), (Some(1.0), None), "there is room already");
    stop(&bridge);

    let most: (String, i64) = {
        let db = rusqlite::Connection::open(dir.path().join("bridge.db")).unwrap();
        db.query_row(&statement("SELECT t.metric"), [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert!(most.0.starts_with("mcp.event.emit") && most.1 >= LIMIT as i64, "{most:?}");
    tell(dir.path(), &statement("DELETE FROM series"));
    let bridge = open(dir.path(), &config);
    assert_eq!(count(&bridge, "bad-client-1"), None);
    let overflow =
        |bridge: &Bridge| Samples::of(bridge).get("mcp_event_emit_success_total{otel_metric_overflow=\"true\"}");
    let before = overflow(&bridge);
    assert!(before > 0.0);
    send_all(&bridge, &[emission("late"), emission("good")]);
    assert_eq!((count(&bridge, "good"), count(&bridge, "late")), (Some(2.0), Some(1.0)));
    assert_eq!(overflow(&bridge), before);
}
