//! What the feed tells, and what it answers.

use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::bench::{Bench, Client};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_greeted_and_then_told_once_an_interval() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let first = client.next().await.unwrap();
    assert_eq!((&first["type"], &first["auth_required"]), (&json!("connected"), &json!(false)));
    assert_eq!(first["interval_seconds"], 0.02);
    let update = client.next().await.unwrap();
    let keys: Vec<_> = update.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["type", "timestamp", "data"]);
    assert_eq!(update["type"], "metrics_update");
    assert_eq!(update["data"], json!({"top_skills": [], "anomalies": [], "active_sessions": 0}));
    let stamp: jiff::Timestamp = update["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(stamp).as_secs() < 20);
    let later = client.next_of("metrics_update").await;
    let later: jiff::Timestamp = later["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(later.duration_since(stamp).as_millis() >= 15, "updates come once an interval");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_holds_the_top_ten_the_anomalies_and_the_active_sessions() {
    let bench = Bench::start().await;
    for number in 1..=12 {
        bench.use_skill(&format!("skill-{number}"), number).await;
    }
    let bridge = bench.bridge.clone();
    let report = move || {
        for _ in 0..4 {
            bridge.skill_invocation("skill-12", None, false, None).unwrap();
        }
        bridge.anomaly("drop", "skill-3", Some(-2.5)).unwrap();
        bridge.session_start("agent", "Shell").unwrap();
        bridge.active_sessions(Some("elsewhere"), 4).unwrap();
    };
    tokio::task::spawn_blocking(report).await.unwrap();
    let mut client = bench.client().await;
    let data = client.until(|data| data["active_sessions"] == 5).await;
    let top = data["top_skills"].as_array().unwrap();
    assert_eq!(top.len(), 10);
    let first = json!({
        "skill_name": "skill-12",
        "total_invocations": 16,
        "completion_rate": 0.75,
        "avg_duration_seconds": 0.5,
    });
    assert_eq!(top[0], first);
    assert_eq!(top[9]["skill_name"], "skill-3");
    let [anomaly] = &data["anomalies"].as_array().unwrap()[..] else { panic!("{data}") };
    assert_eq!((&anomaly["skill_name"], &anomaly["anomaly_type"]), (&json!("skill-3"), &json!("drop")));
    assert_eq!((&anomaly["deviation_score"], &anomaly["detected"]), (&json!(-2.5), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn anomalies_of_more_than_an_hour_ago_are_left_out() {
    let bench = Bench::start().await;
    let event = |minutes: i64, skill: &str| {
        let time = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
        json!({"event_type": "anomaly", "skill_name": skill, "anomaly_type": "drop", "timestamp": time.to_string()})
    };
    let body = json!([event(61, "old"), event(59, "new")]).to_string();
    let url = format!("http://{}/v1/events", bench.addr);
    let sent = move || ureq::post(&url).header("content-type", "application/json").send(&body).unwrap();
    assert_eq!(tokio::task::spawn_blocking(sent).await.unwrap().status(), 200);
    let mut client = bench.client().await;
    let data = client.until(|data| data["anomalies"] != json!([])).await;
    let names: Vec<&Value> = data["anomalies"].as_array().unwrap().iter().map(|one| &one["skill_name"]).collect();
    assert_eq!(names, ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_shows_one_skill_until_it_ends() {
    let bench = Bench::start().await;
    bench.use_skill("lint", 2).await;
    bench.use_skill("test", 3).await;
    let bridge = bench.bridge.clone();
    let report = move || ["lint", "test"].map(|skill| bridge.anomaly("spike", skill, None).unwrap());
    tokio::task::spawn_blocking(report).await.unwrap();
    let mut client = bench.client().await;
    let mut other = bench.client().await;
    client.until(|data| data["top_skills"].as_array().unwrap().len() == 2).await;
    client.say(json!({"type": "subscribe", "skill": "lint"})).await;
    assert_eq!(client.next_of("subscription_confirmed").await["skill"], "lint");
    for _ in 0..5 {
        // Nothing else comes after the confirmation.
        let update = client.next().await.unwrap();
        let data = &update["data"];
        assert_eq!((&data["top_skills"][0]["skill_name"], &data["top_skills"][1]), (&json!("lint"), &Value::Null));
        assert_eq!((&data["anomalies"][0]["skill_name"], &data["anomalies"][1]), (&json!("lint"), &Value::Null));
    }
    // Others see everything as before.
    assert_eq!(other.next_of("metrics_update").await["data"]["top_skills"].as_array().unwrap().len(), 2);
    // A skill of which nothing is known yet, and then something.
    client.say(json!({"type": "subscribe", "skill": "deploy"})).await;
    client.next_of("subscription_confirmed").await;
    assert_eq!(client.next().await.unwrap()["data"]["top_skills"], json!([]));
    bench.use_skill("deploy", 1).await;
    client.until(|data| data["top_skills"][0]["total_invocations"] == 1).await;
    client.say(json!({"type": "unsubscribe"})).await;
    client.next_of("unsubscription_confirmed").await;
    assert_eq!(client.next().await.unwrap()["data"]["top_skills"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_answered_and_the_connection_stays() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    for text in [
        "{",
        "",
        "7",
        "[]",
        "{}",
        r#"{"type":"dance"}"#,
        r#"{"type":"subscribe"}"#,
        r#"{"type":"subscribe","skill":7}"#,
    ] {
        client.say_text(text).await;
        let error = client.next_of("error").await;
        assert!(!error["error"].as_str().unwrap().is_empty(), "{text}");
    }
    client.socket.send(Message::binary(vec![0xff, 0xfe])).await.unwrap();
    client.next_of("error").await;
    assert!(client.is_served().await);
    client.say(json!({"type": "auth", "token": "none is needed"})).await;
    client.next_of("auth_confirmed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_closes_the_connection_with_its_code() {
    let bench = Bench::start().await;
    for size in [64 * 1024 + 1, 200 * 1024, 300 * 1024] {
        let mut client = bench.client().await;
        client.say_text(&" ".repeat(size)).await;
        assert_eq!(client.closed().await, Some(1009), "{size}");
    }
    let mut client = bench.client().await;
    client.say_text(&" ".repeat(64 * 1024)).await;
    client.next_of("error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_a_port_of_its_own_when_asked_for() {
    let bench = Bench::with(|config| config.live.listen = Some(([127, 0, 0, 1], 0).into())).await;
    let own = bench.live_addr.unwrap();
    assert_ne!(own, bench.addr);
    for (addr, path) in [(own, "/"), (own, "/live"), (bench.addr, "/live")] {
        let mut client = Client::connect(addr, path, &[]).await.unwrap();
        client.next_of("connected").await;
        client.next_of("metrics_update").await;
    }
    assert_eq!(Client::connect(own, "/metrics", &[]).await.unwrap_err(), 404);
    assert_eq!(Client::connect(bench.addr, "/", &[]).await.unwrap_err(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_turned_off() {
    let bench = Bench::with(|config| config.live.enabled = false).await;
    assert_eq!(bench.client_with(&[]).await.unwrap_err(), 404);
    assert_eq!(bench.live_addr, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_every_feed_and_waits_for_it() {
    let mut bench = Bench::with(|config| {
        config.auth.all = Some(mcp_otel_bridge::config::Secret::new("s3cret").into());
        config.live.interval = Duration::from_secs(3600);
    })
    .await;
    let mut admitted = bench.client_with(&[("authorization", "Bearer s3cret")]).await.unwrap();
    let mut waits = bench.client().await;
    admitted.next_of("metrics_update").await;
    waits.next_of("connected").await;
    bench.signal();
    assert_eq!((admitted.closed().await, waits.closed().await), (Some(1001), Some(1001)));
    // They agreed to the close, so nothing is left to wait for.
    drop((admitted, waits));
    let took = bench.ended().await;
    assert!(took < Duration::from_secs(3), "{took:?}");
}
