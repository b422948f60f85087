//! Skills, as hosts report them and as a Rust program asks for them. Time is the events' own.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use mcp_otel_bridge::config::Config;
use mcp_otel_bridge::event::{Event, Label, Outcome, SkillInvocation, Timestamp};
use mcp_otel_bridge::{Bridge, RecordError};
use serde_json::{Value, json};
use support::events::{send, send_all, session_id, start};
use support::samples::Samples;

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn bridge() -> Bridge {
    Bridge::builder().build().unwrap()
}

fn stop(bridge: Bridge) {
    bridge.shutdown(Duration::from_secs(5)).unwrap();
}

fn ago(duration: Duration) -> String {
    Timestamp::from(std::time::SystemTime::now() - duration).to_string()
}

fn invocation(skill: &str, completed: bool) -> Value {
    json!({"event_type": "skill_invocation", "skill_name": skill, "completed": completed})
}

fn rate(skill: &str, rate: impl Into<Value>) -> Value {
    json!({"event_type": "skill_completion_rate", "skill_name": skill, "rate": rate.into()})
}

#[track_caller]
fn taken(outcome: &Outcome) {
    assert!(!outcome.is_rejected(), "{outcome:?}");
}

#[test]
fn invocations_are_counted_by_phase_and_completion_and_timed_where_they_tell_their_time() {
    let bridge = bridge();
    let mut full = invocation("pytest-run", true);
    full["workflow_phase"] = "execution".into();
    full["duration_seconds"] = 45.25.into();
    full["workflow_path"] = "setup/execution".into();
    for outcome in send_all(&bridge, &[full.clone(), full, invocation("pytest-run", false)]) {
        taken(&outcome);
    }
    let samples = Samples::of(&bridge);
    let counted = |phase: &str, completed: bool| {
        format!(
            "skill_invocations_total{{skill_name=\"pytest-run\",workflow_phase=\"{phase}\",completed=\"{completed}\"}}"
        )
    };
    assert_eq!(samples.get(&counted("execution", true)), 2.0);
    assert_eq!(samples.get(&counted("unknown", false)), 1.0);
    let timed = "{skill_name=\"pytest-run\",workflow_phase=\"execution\"}";
    assert_eq!(samples.get(&format!("skill_duration_seconds_sum{timed}")), 90.5);
    assert_eq!(samples.get(&format!("skill_duration_seconds_count{timed}")), 2.0);
    let bucket = |le| {
        format!("skill_duration_seconds_bucket{{skill_name=\"pytest-run\",workflow_phase=\"execution\",le=\"{le}\"}}")
    };
    assert_eq!((samples.get(&bucket("30.0")), samples.get(&bucket("60.0"))), (0.0, 2.0));
    assert_eq!(samples.total("skill_duration_seconds_count"), 2.0, "one told no time");
}

#[test]
fn a_rate_is_from_0_to_1() {
    let bridge = bridge();
    for bad in [json!(1.01), json!(-0.01), json!(92), json!("0.5"), json!(null)] {
        let outcome = send(&bridge, rate("a", bad.clone()));
        assert!(outcome.is_rejected() && outcome.field.as_deref() == Some("rate"), "{bad}: {outcome:?}");
    }
    for bad in [1.01, -0.01, f64::NAN, f64::INFINITY] {
        assert!(matches!(bridge.skill_completion_rate("a", bad), Err(RecordError::Invalid(_))), "{bad}");
    }
    assert_eq!(Samples::of(&bridge).find("skill_completion_rate{skill_name=\"a\"}"), None);
    for good in [0.0, 0.92, 1.0] {
        taken(&send(&bridge, rate("a", good)));
        assert_eq!(Samples::of(&bridge).get("skill_completion_rate{skill_name=\"a\"}"), good);
    }
}

#[test]
fn anomalies_of_any_type_are_counted_and_can_be_asked_for() {
    let bridge = bridge();
    let reported = json!({"event_type": "anomaly", "skill_name": "pytest-run", "anomaly_type": "performance_drop",
        "deviation_score": -3.5, "timestamp": ago(Duration::from_secs(60))});
    taken(&send(&bridge, reported));
    bridge.anomaly("spike", "ruff-check", None).unwrap();
    bridge.anomaly("spike", "ruff-check", Some(2.5)).unwrap();
    let samples = Samples::of(&bridge);
    let counted = |kind, skill| format!("anomalies_detected_total{{anomaly_type=\"{kind}\",skill_name=\"{skill}\"}}");
    assert_eq!(samples.get(&counted("performance_drop", "pytest-run")), 1.0);
    assert_eq!(samples.get(&counted("spike", "ruff-check")), 2.0);

    let since = |seconds| Timestamp::from(std::time::SystemTime::now() - Duration::from_secs(seconds));
    let all = bridge.anomalies_blocking(since(3600));
    let kinds: Vec<_> = all.iter().map(|one| (one.anomaly_type.as_str(), one.deviation_score)).collect();
    assert_eq!(kinds, [("spike", Some(2.5)), ("spike", None), ("performance_drop", Some(-3.5))]);
    assert!(all.iter().all(|one| !one.detected && one.timestamp == one.last_seen));
    assert_eq!(bridge.anomalies_blocking(since(30)).len(), 2);
}

#[test]
fn the_library_s_calls_refuse_what_cannot_be_recorded() {
    let bridge = bridge();
    let invalid = |result: Result<Outcome, RecordError>| assert!(matches!(result, Err(RecordError::Invalid(_))));
    invalid(bridge.skill_invocation("", None, true, None));
    invalid(bridge.skill_invocation("a", Some("line\nbreak"), true, None));
    invalid(bridge.skill_invocation("a", None, true, Some(-1.0)));
    invalid(bridge.anomaly("", "a", None));
    invalid(bridge.anomaly("drop", "a", Some(f64::NAN)));
    assert_eq!(Samples::of(&bridge).total("skill_invocations_total"), 0.0);
    assert_eq!(bridge.top_skills_blocking(10), []);
}

#[test]
fn invocations_are_linked_to_the_trace_of_their_session_or_of_the_call() {
    let bridge = bridge();
    let started = send(&bridge, start("server", "2026-02-06T12:00:00Z", "6f1c0a52"));
    let id = session_id(&started).to_owned();
    let span = started.traceparent.unwrap().span_context();

    let mut of_session = invocation("in-session", true);
    of_session["session_id"] = id.clone().into();
    of_session["duration_seconds"] = 0.25.into();
    let outcome = send(&bridge, of_session);
    assert_eq!(session_id(&outcome), id);
    for (skill, traceparent) in [("traced", SAMPLED), ("unsampled", UNSAMPLED)] {
        let mut event = invocation(skill, true);
        event["traceparent"] = traceparent.into();
        taken(&send(&bridge, event));
    }
    taken(&send(&bridge, invocation("alone", true)));

    let samples = Samples::of(&bridge);
    let exemplar = |skill: &str| {
        let counted = samples.exemplars_of(&format!("skill_invocations_total{{skill_name=\"{skill}\""));
        counted.first().map(|exemplar| (exemplar.trace_id.clone(), exemplar.span_id.clone()))
    };
    assert_eq!(exemplar("in-session"), Some((span.trace_id().to_string(), span.span_id().to_string())));
    assert_eq!(samples.exemplars_of("skill_duration_seconds_bucket").len(), 1);
    assert_eq!(exemplar("traced").unwrap().0, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!((exemplar("unsampled"), exemplar("alone")), (None, None));
}

#[test]
fn a_repeated_event_counts_once_everywhere() {
    let bridge = bridge();
    let mut event = invocation("a", true);
    event["event_id"] = "0e1d2c3b-4a59-4687-8796-a5b4c3d2e1f0".into();
    let outcomes = send_all(&bridge, &[event.clone(), event]);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.duplicate).count(), 1);
    assert_eq!(Samples::of(&bridge).total("skill_invocations_total"), 1.0);
    assert_eq!(bridge.top_skills_blocking(10)[0].total_invocations, 1);
}

#[test]
fn the_top_skills_are_told_in_json_as_the_feed_needs_them() {
    let bridge = bridge();
    bridge.skill_invocation("a", None, true, Some(2.0)).unwrap();
    bridge.skill_invocation("a", Some("setup"), false, None).unwrap();
    bridge.skill_invocation("b", None, false, None).unwrap();
    assert_eq!(
        serde_json::to_value(bridge.top_skills_blocking(10)).unwrap(),
        json!([
            {"skill_name": "a", "total_invocations": 2, "completion_rate": 0.5, "avg_duration_seconds": 2.0},
            {"skill_name": "b", "total_invocations": 1, "completion_rate": 0.0, "avg_duration_seconds": null},
        ])
    );
    assert_eq!(bridge.top_skills_blocking(1).len(), 1);
}

#[tokio::test]
async fn async_tasks_ask_without_blocking() {
    let bridge = bridge();
    let invocation = SkillInvocation::new(Label::new("a").unwrap(), true);
    bridge.record_async(Event::new(invocation)).await.unwrap();
    assert_eq!(bridge.top_skills(10).await[0].total_invocations, 1);
    assert_eq!(bridge.skill_summary("a").await.unwrap().completion_rate, 1.0);
    assert_eq!(bridge.skill_summary("b").await, None);
    assert_eq!(bridge.anomalies(Timestamp::from_unix_nanos(0).unwrap()).await, []);
}

#[test]
fn a_restart_keeps_skills_and_shows_their_rates_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Bridge::builder().data_dir(dir.path()).build().unwrap();
    let first = open();
    let earlier = ago(Duration::from_secs(600));
    let mut report = rate("used-since", 0.9);
    report["timestamp"] = earlier.clone().into();
    let mut before = invocation("reported-since", false);
    before["timestamp"] = earlier.into();
    send_all(&first, &[report, before, rate("reported-since", 0.75)]);
    first.skill_invocation("used-since", None, true, Some(1.5)).unwrap();
    first.skill_invocation("used-since", None, false, None).unwrap();
    first.anomaly("drop", "used-since", Some(-4.0)).unwrap();
    let (top, anomalies) =
        (first.top_skills_blocking(10), first.anomalies_blocking(Timestamp::from_unix_nanos(0).unwrap()));
    assert_eq!((top.len(), anomalies.len()), (2, 1));
    stop(first);

    let second = open();
    let samples = Samples::of(&second);
    assert_eq!(samples.get("skill_completion_rate{skill_name=\"used-since\"}"), 0.5);
    assert_eq!(samples.get("skill_completion_rate{skill_name=\"reported-since\"}"), 0.75);
    assert_eq!(second.top_skills_blocking(10), top);
    assert_eq!(second.anomalies_blocking(Timestamp::from_unix_nanos(0).unwrap()), anomalies);
}

/// Two days of twenty uses an hour, and then an hour in which all fail.
#[test]
fn a_drop_is_found_in_the_store_counted_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Bridge::builder().data_dir(dir.path()).build().unwrap();
    let first = open();
    let mut events = Vec::new();
    for minute in (3..=49 * 60).step_by(3) {
        let lately = minute <= 70;
        let mut event = invocation("a", !lately);
        event["timestamp"] = ago(Duration::from_secs(minute * 60)).into();
        events.push(event);
    }
    send_all(&first, &events);
    stop(first);
    // A bridge that stops looks a last time at what is due, and the first search is due at once.
    stop(open());
    let second = open();
    let found = second.anomalies_blocking(Timestamp::from_unix_nanos(0).unwrap());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detected && found[0].anomaly_type == "drop" && found[0].deviation_score.unwrap() < -2.0);
    stop(second);
    assert_eq!(open().anomalies_blocking(Timestamp::from_unix_nanos(0).unwrap()).len(), 1);
}

#[test]
fn where_the_search_is_off_nothing_is_found() {
    let mut config = Config::default();
    config.skills.anomalies.enabled = false;
    let dir = tempfile::tempdir().unwrap();
    let bridge = Bridge::builder().config(config).data_dir(dir.path()).build().unwrap();
    let events: Vec<Value> = (3..=49 * 60)
        .step_by(3)
        .map(|minute: u64| {
            let mut event = invocation("a", minute > 70);
            event["timestamp"] = ago(Duration::from_secs(minute * 60)).into();
            event
        })
        .collect();
    send_all(&bridge, &events);
    stop(bridge);
    let again = Bridge::builder().data_dir(dir.path()).build().unwrap();
    assert_eq!(again.anomalies_blocking(Timestamp::from_unix_nanos(0).unwrap()), []);
}

#[test]
fn sixty_four_threads_at_once_lose_nothing() {
    const EACH: u32 = 50;
    let bridge = bridge();
    std::thread::scope(|scope| {
        for thread in 0..64 {
            let bridge = bridge.clone();
            scope.spawn(move || {
                let own = format!("skill-{thread}");
                for n in 0..EACH {
                    bridge.skill_invocation("shared", Some("run"), n % 2 == 0, Some(0.5)).unwrap();
                    bridge.skill_invocation(&own, None, true, None).unwrap();
                }
            });
        }
    });
    let samples = Samples::of(&bridge);
    let all = f64::from(64 * EACH);
    assert_eq!(samples.total("skill_invocations_total{skill_name=\"shared\""), all);
    assert_eq!(samples.total("skill_invocations_total"), 2.0 * all);
    assert_eq!(samples.get("skill_duration_seconds_sum{skill_name=\"shared\",workflow_phase=\"run\"}"), all / 2.0);
    let top = bridge.top_skills_blocking(100);
    assert_eq!((top.len(), top[0].total_invocations, top[0].completion_rate), (65, u64::from(64 * EACH), 0.5));
    assert!(top[1..].iter().all(|skill| skill.total_invocations == u64::from(EACH)));
}
