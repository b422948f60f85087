//! Who may watch: the token, the origin, the places.

use std::time::Duration;

use mcp_otel_bridge::config::Secret;
use serde_json::json;
use tokio::time::Instant;

use crate::bench::{Bench, Client};

const TOKEN: &str = "s3cret";

async fn with_token() -> Bench {
    Bench::with(|config| {
        config.auth.all = Some(Secret::new(TOKEN).into());
        config.live.listen = Some(([127, 0, 0, 1], 0).into());
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_message_may_carry_the_token() {
    let bench = with_token().await;
    let own = bench.live_addr.unwrap();
    for (addr, path) in [(bench.addr, "/live"), (own, "/"), (own, "/live")] {
        let mut client = Client::connect(addr, path, &[]).await.unwrap();
        let connected = client.next().await.unwrap();
        assert_eq!((&connected["type"], &connected["auth_required"]), (&json!("connected"), &json!(true)));
        assert!(connected.get("version").is_none());
        client.say(json!({"type": "auth", "token": TOKEN})).await;
        // No update came before the token.
        assert_eq!(client.next().await.unwrap()["type"], "auth_confirmed");
        client.next_of("metrics_update").await;
        assert!(client.is_served().await);
    }
    // On the bridge's own listener the index needs the token as ever.
    assert_eq!(Client::connect(bench.addr, "/", &[]).await.unwrap_err(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_may_carry_the_token_too() {
    let bench = with_token().await;
    let mut client = bench.client_with(&[("authorization", "Bearer s3cret")]).await.unwrap();
    assert_eq!(client.next().await.unwrap()["auth_required"], false);
    client.next_of("metrics_update").await;
    for wrong in ["Bearer s3cre", "Bearer s3cret2", "Basic s3cret"] {
        assert_eq!(bench.client_with(&[("authorization", wrong)]).await.unwrap_err(), 401);
    }
    // A wrong one later ends it all the same.
    client.say(json!({"type": "auth", "token": "wrong"})).await;
    assert_eq!(client.closed().await, Some(4001));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_the_first_message_closes_with_4001() {
    let bench = with_token().await;
    for first in [
        json!({"type": "auth", "token": "wrong"}),
        json!({"type": "auth", "token": ""}),
        json!({"type": "auth"}),
        json!({"type": "subscribe", "skill": "lint"}),
        json!({"type": "ping"}),
        json!("no JSON object"),
    ] {
        let mut client = bench.client().await;
        client.next_of("connected").await;
        client.say(first.clone()).await;
        assert_eq!(client.next().await.unwrap_err(), Some(4001), "{first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_come_in_five_seconds_closes_with_4001() {
    let bench = with_token().await;
    let mut client = bench.client().await;
    client.next_of("connected").await;
    let began = Instant::now();
    assert_eq!(client.next().await.unwrap_err(), Some(4001));
    let took = began.elapsed();
    assert!(took > Duration::from_millis(4500) && took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_refused() {
    let bench = Bench::with(|config| config.live.allowed_origins = vec!["https://grafana.example".to_owned()]).await;
    let own = format!("http://{}", bench.addr);
    for origin in [own.as_str(), "https://grafana.example"] {
        bench.client_with(&[("origin", origin)]).await.unwrap().next_of("connected").await;
    }
    for origin in ["https://evil.example", "http://127.0.0.1", "http://grafana.example", "null"] {
        assert_eq!(bench.client_with(&[("origin", origin)]).await.unwrap_err(), 403, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_places_and_those_who_leave_give_theirs_back() {
    let bench = Bench::with(|config| config.live.max_clients = 2).await;
    let (mut one, mut other) = (bench.client().await, bench.client().await);
    one.next_of("metrics_update").await;
    other.next_of("metrics_update").await;
    assert_eq!(bench.client_with(&[]).await.unwrap_err(), 503);
    drop(one);
    let began = Instant::now();
    while let Err(status) = bench.client_with(&[]).await {
        assert_eq!(status, 503);
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
    assert!(other.is_served().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_needs_the_right_to_read() {
    let bench = Bench::with(|config| {
        config.auth.scrape = Some(Secret::new("reads").into());
        config.auth.ingest = Some(Secret::new("reports").into());
        config.live.listen = Some(([127, 0, 0, 1], 0).into());
    })
    .await;
    for (addr, path) in [(bench.addr, "/live"), (bench.live_addr.unwrap(), "/")] {
        let mut client = Client::connect(addr, path, &[]).await.unwrap();
        client.next_of("connected").await;
        client.say(json!({"type": "auth", "token": "reports"})).await;
        assert_eq!(client.next().await.unwrap_err(), Some(4003));
        let mut client = Client::connect(addr, path, &[]).await.unwrap();
        client.next_of("connected").await;
        client.say(json!({"type": "auth", "token": "reads"})).await;
        client.next_of("metrics_update").await;
        let with = async |token| Client::connect(addr, path, &[("authorization", token)]).await;
        assert_eq!(with("Bearer reports").await.unwrap_err(), 403);
        with("Bearer reads").await.unwrap().next_of("metrics_update").await;
    }
}
