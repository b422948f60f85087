//! Clients that do not do their part: slow ones, dead ones, and those who have nothing to say for long.

use std::time::Duration;

use futures_util::SinkExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::bench::{Bench, Client, LONG};

/// A client whose system takes next to nothing for it.
async fn with_small_buffers(bench: &Bench) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    let stream = socket.connect(bench.addr).await.unwrap();
    Client::over(stream, bench.addr, "/live", &[]).await.unwrap()
}

/// Updates that fill buffers soon.
async fn make_updates_large(bench: &Bench) {
    let bridge = bench.bridge.clone();
    let report = move || {
        for number in 0..100 {
            let name = format!("{number:0>128}");
            bridge.anomaly(&name, &name, Some(1.0)).unwrap();
        }
    };
    tokio::task::spawn_blocking(report).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_loses_updates_and_then_its_place_and_another_gets_all() {
    let bench = Bench::with(|config| {
        config.live.interval = Duration::from_millis(20);
        config.live.max_clients = 2;
    })
    .await;
    make_updates_large(&bench).await;
    assert_eq!(bench.lost(), 0.0);
    let mut slow = with_small_buffers(&bench).await;
    let mut quick = bench.client().await;
    slow.next_of("metrics_update").await;
    let began = Instant::now();
    let mut stamps = Vec::new();
    // From here on nobody reads what the slow one gets.
    while bench.lost() < 30.0 {
        let update = quick.next_of("metrics_update").await;
        assert_eq!(update["data"]["anomalies"].as_array().unwrap().len(), 100);
        stamps.push(update["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        assert!(began.elapsed() < LONG, "the slow client loses nothing");
    }
    assert!(stamps.is_sorted());
    // Its place is free again, so it was sent away; the other one lost nothing and goes on.
    while let Err(status) = bench.client_with(&[]).await {
        assert_eq!(status, 503);
        quick.next_of("metrics_update").await;
        assert!(began.elapsed() < LONG, "the slow client keeps its place");
    }
    assert_eq!(bench.lost(), 30.0);
    assert!(quick.is_served().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_outlives_every_deadline_of_a_connection_while_its_peer_answers_pings() {
    let bench = Bench::with(|config| {
        config.live.interval = Duration::from_secs(3600);
        config.limits.headers = Duration::from_millis(300);
        config.limits.request = Duration::from_millis(300);
        config.limits.idle_stream = Duration::from_millis(900);
    })
    .await;
    let mut client = bench.client().await;
    client.next_of("metrics_update").await;
    // Twice what silence may last: the client answers pings as it reads, and nothing else comes.
    assert!(timeout(Duration::from_secs(2), client.next()).await.is_err());
    assert!(client.is_served().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_peer_is_cut_off() {
    let bench = Bench::with(|config| {
        config.live.interval = Duration::from_secs(3600);
        config.limits.idle_stream = Duration::from_millis(300);
    })
    .await;
    let mut client = bench.client().await;
    client.next_of("metrics_update").await;
    // The bytes are read, but no ping is answered.
    let stream = client.socket.get_mut();
    let mut bytes = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("it is still connected");
    let told = String::from_utf8_lossy(&bytes);
    assert!(told.contains("no answer to pings"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_and_never_reads_comes_to_a_halt_and_others_are_served() {
    let bench = Bench::start().await;
    make_updates_large(&bench).await;
    let mut rude = with_small_buffers(&bench).await;
    let mut quick = bench.client().await;
    let noise = Message::text("x".repeat(16 * 1024));
    let began = Instant::now();
    // Its answers find no room, so nothing more is read of it; or its place is gone already.
    while let Ok(Ok(())) = timeout(Duration::from_millis(500), rude.socket.send(noise.clone())).await {
        assert!(began.elapsed() < LONG, "whatever it sends is taken");
    }
    assert!(quick.is_served().await);
    quick.next_of("metrics_update").await;
}
