//! What becomes of series when the configuration changes between two runs, and of those that are special.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::catalog::Group;
use mcp_otel_bridge::config::{Config, Metrics, Selector, Stream, View};
use serde_json::{Value, json};

use crate::support::events::{send, send_all, try_send};
use crate::support::files::{self, COMMITS_FAIL, WELL_AGAIN, open, tell};
use crate::support::samples::Samples;

const DURATION: &str = "mcp_event_emit_duration_seconds";

fn emission(component: &str, seconds: f64) -> Value {
    json!({"event_type": "mcp_event", "component_name": component, "emitted_type": "e", "duration_seconds": seconds})
}

fn viewed(instrument: &str, stream: Stream) -> Config {
    let selector = Selector { instrument_name: Some(instrument.to_owned()), ..Selector::default() };
    Config { views: vec![View { selector, stream }], ..Config::default() }
}

/// Stops the bridge, and starts it with another configuration.
fn restarted(bridge: &Bridge, dir: &Path, config: &Config) -> Bridge {
    bridge.shutdown(Duration::from_secs(10)).unwrap();
    open(dir, config)
}

fn stored(dir: &Path, sql: &str) -> Vec<i64> {
    let db = rusqlite::Connection::open(dir.join("bridge.db")).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn other_buckets_start_anew_and_the_earlier_ones_go_on_when_they_are_back() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, other) = (
        Config::default(),
        viewed("mcp.event.emit.duration", Stream { boundaries: Some(vec![1.0, 2.0]), ..Default::default() }),
    );
    let count = format!("{DURATION}_count{{component_name=\"a\",event_type=\"e\"}}");
    let bridge = open(dir.path(), &plain);
    send_all(&bridge, &[emission("a", 0.25), emission("a", 7.0)]);

    let bridge = restarted(&bridge, dir.path(), &other);
    let samples = Samples::of(&bridge);
    assert_eq!(samples.find(&count), None, "no value is shown under bounds it was not counted by");
    assert_eq!(samples.get("mcp_event_emit_success_total{component_name=\"a\",event_type=\"e\"}"), 2.0);
    send(&bridge, emission("a", 1.5));
    let bridge = restarted(&bridge, dir.path(), &other);
    assert_eq!(Samples::of(&bridge).get(&count), 1.0);

    let bridge = restarted(&bridge, dir.path(), &plain);
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get(&count), 2.0);
    assert_eq!(samples.get(&format!("{DURATION}_sum{{component_name=\"a\",event_type=\"e\"}}")), 7.25);
}

#[test]
fn a_dropped_label_makes_other_series() {
    let dir = tempfile::tempdir().unwrap();
    let dropped = Stream { excluded: vec!["event_type".to_owned()], ..Default::default() };
    let dropped = viewed("mcp.event.emit.success", dropped);
    let bridge = open(dir.path(), &Config::default());
    send(&bridge, emission("a", 1.0));
    let bridge = restarted(&bridge, dir.path(), &dropped);
    assert_eq!(Samples::of(&bridge).total("mcp_event_emit_success_total"), 0.0);
    send(&bridge, emission("a", 1.0));
    let bridge = restarted(&bridge, dir.path(), &dropped);
    assert_eq!(Samples::of(&bridge).get("mcp_event_emit_success_total{component_name=\"a\"}"), 1.0);
}

#[test]
fn a_group_that_was_off_goes_on_when_it_is_on_again() {
    let dir = tempfile::tempdir().unwrap();
    let groups = Group::ALL.into_iter().filter(|group| *group != Group::McpHub).collect();
    let off = Config { metrics: Metrics { groups, ..Metrics::default() }, ..Config::default() };
    let bridge = open(dir.path(), &Config::default());
    let request = |kind: &str, id: &str| json!({"event_type": kind, "request_id": id, "agent": "a", "operation": "o"});
    send_all(
        &bridge,
        &[json!({"event_type": "search_call"}), request("request_start", "1"), request("request_start", "2")],
    );

    let bridge = restarted(&bridge, dir.path(), &off);
    assert_eq!(Samples::of(&bridge).find("mcp_hub_search_api_calls_total"), None);
    send_all(&bridge, &[json!({"event_type": "search_call"}), request("request_end", "1")]);

    let bridge = restarted(&bridge, dir.path(), &Config::default());
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("mcp_hub_search_api_calls_total"), 1.0);
    // What is open is known all the same.
    assert_eq!(samples.get("mcp_hub_active_operations{agent=\"a\"}"), 1.0);
    send(&bridge, request("request_end", "2"));
    let bridge = restarted(&bridge, dir.path(), &Config::default());
    assert_eq!(Samples::of(&bridge).get("mcp_hub_active_operations{agent=\"a\"}"), 0.0);
}

#[test]
fn the_overflow_series_goes_on_and_a_lower_limit_shows_the_first_series_and_keeps_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let limited =
        |limit| viewed("mcp.event.emit.duration", Stream { cardinality_limit: Some(limit), ..Default::default() });
    let counts = |bridge: &Bridge| -> Vec<(String, f64)> {
        let counts = Samples::of(bridge).named(&[&format!("{DURATION}_count")]);
        counts.into_iter().map(|(key, value)| (key.split_once('{').unwrap().1.to_owned(), value)).collect()
    };
    let of = |component: &str, count: f64| (format!("component_name=\"{component}\",event_type=\"e\"}}"), count);
    let overflow = |count: f64| ("otel_metric_overflow=\"true\"}".to_owned(), count);

    let bridge = open(dir.path(), &limited(2));
    send_all(&bridge, &["a", "b", "c", "d", "a"].map(|component| emission(component, 0.5)));
    let all = [of("a", 2.0), of("b", 1.0), overflow(2.0)];
    assert_eq!(counts(&bridge), all);
    let bridge = restarted(&bridge, dir.path(), &limited(2));
    assert_eq!(counts(&bridge), all);
    send_all(&bridge, &["c", "b"].map(|component| emission(component, 0.5)));
    let bridge = restarted(&bridge, dir.path(), &limited(1));
    assert_eq!(counts(&bridge), [of("a", 2.0), overflow(3.0)]);
    send(&bridge, emission("b", 0.5));
    let bridge = restarted(&bridge, dir.path(), &limited(3));
    assert_eq!(counts(&bridge), [of("a", 2.0), of("b", 2.0), overflow(4.0)]);
    assert_eq!(Samples::of(&bridge).get(&format!("{DURATION}_sum{{otel_metric_overflow=\"true\"}}")), 2.0);
}

#[test]
fn a_histogram_without_labels_is_there_at_once_with_the_same_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let bare = Stream { excluded: vec!["component_name".to_owned(), "event_type".to_owned()], ..Default::default() };
    let bare = viewed("mcp.event.emit.duration", bare);
    let mut bridge = open(dir.path(), &bare);
    let mut sent = Vec::new();
    for seconds in [0.125, 3.0, 0.0, 20.0] {
        send(&bridge, emission("a", seconds));
        sent.push(seconds);
        let before = Samples::of(&bridge).named(&[DURATION]);
        bridge = restarted(&bridge, dir.path(), &bare);
        assert_eq!(Samples::of(&bridge).named(&[DURATION]), before);
        assert_eq!(before[&format!("{DURATION}_sum")], sent.iter().sum::<f64>());
        assert_eq!(before[&format!("{DURATION}_count")], sent.len() as f64);
    }
}

#[test]
fn series_at_zero_outlive_a_kill_too_also_those_of_a_batch_that_was_refused() {
    let (dir, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bridge = open(dir.path(), &Config::default());
    let hit = |cache: &str| json!({"event_type": "cache_access", "cache_type": cache, "hit": true});
    send(&bridge, hit("a"));
    tell(dir.path(), COMMITS_FAIL);
    let with_id = json!({"event_type": "cache_access", "cache_type": "b", "hit": false,
                         "event_id": "00000009-0000-4000-8000-000000000000"});
    try_send(&bridge, &[hit("a"), with_id]).unwrap_err();
    tell(dir.path(), WELL_AGAIN);
    send(&bridge, hit("a"));
    let before = Samples::of(&bridge).named(&["mcp_hub_cache_"]);
    files::as_killed(dir.path(), killed.path());
    let after = Samples::of(&open(killed.path(), &Config::default())).named(&["mcp_hub_cache_"]);
    assert_eq!(after, before);
    let value = |family: &str, cache: &str| after[&format!("mcp_hub_cache_{family}_total{{cache_type=\"{cache}\"}}")];
    assert_eq!(
        [value("hits", "a"), value("misses", "a"), value("hits", "b"), value("misses", "b")],
        [2.0, 0.0, 0.0, 0.0]
    );
}

#[test]
fn a_series_keeps_the_time_it_was_first_made() {
    let dir = tempfile::tempdir().unwrap();
    let now_ns = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let starts = || stored(dir.path(), "SELECT start_ns FROM series ORDER BY id");
    let before = now_ns();
    let bridge = open(dir.path(), &Config::default());
    send(&bridge, emission("a", 1.0));
    let after = now_ns();
    let first = starts();
    assert!(!first.is_empty() && first.iter().all(|start| (before..=after).contains(start)), "{first:?}");
    let bridge = restarted(&bridge, dir.path(), &Config::default());
    send_all(&bridge, &[emission("a", 1.0), emission("b", 1.0)]);
    let second = starts();
    assert_eq!(second[..first.len()], first);
    assert!(second.len() > first.len() && second[first.len()..].iter().all(|start| *start > after));
    assert_eq!(Samples::of(&bridge).total("mcp_event_emit_success_total"), 3.0);
}

#[test]
fn a_row_that_somebody_spoiled_is_left_out_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path(), &Config::default());
    send_all(&bridge, &[emission("a", 1.0), emission("b", 1.0)]);
    bridge.shutdown(Duration::from_secs(10)).unwrap();
    tell(dir.path(), "UPDATE series SET buckets = '[1]' WHERE buckets <> '' AND labels LIKE '%\"a\"%'");
    tell(dir.path(), "UPDATE series SET value = 'many' WHERE buckets IS NULL AND labels LIKE '%\"b\"%'");
    let bridge = open(dir.path(), &Config::default());
    let samples = Samples::of(&bridge);
    let names: Vec<&String> = samples.values.keys().filter(|key| key.contains("component_name")).collect();
    assert!(names.iter().all(|name| name.starts_with(DURATION) == name.contains("\"b\"")), "{names:?}");
    assert_eq!(stored(dir.path(), "SELECT count(*) FROM series WHERE value = 'many' OR buckets = '[1]'"), [2]);
}
