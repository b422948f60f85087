//! SIGTERM under full load: it ends in time, and what was acknowledged is on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::client::{ask, event};
use crate::process::Serving;
use crate::support::events::until;

/// Senders at once.
const SENDERS: u32 = 16;

#[test]
fn what_was_acknowledged_before_sigterm_is_kept() {
    for batch in [1, 50] {
        stop_under_load(batch);
    }
}

fn stop_under_load(batch: u32) {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Arc::new(Serving::start(dir.path(), &[]));
    let (next, acknowledged) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicUsize::new(0)));
    let stopping = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (bridge, next, acknowledged) = (Arc::clone(&bridge), Arc::clone(&next), Arc::clone(&acknowledged));
            let stopping = Arc::clone(&stopping);
            std::thread::spawn(move || {
                let mut mine = Vec::new();
                // Until the bridge stops taking events, in whatever way.
                loop {
                    let first = next.fetch_add(batch, Ordering::Relaxed);
                    let events: Vec<Value> = (first..first + batch).map(event).collect();
                    match ask(&bridge, "POST", "/v1/events", &Value::from(events).to_string()) {
                        Ok(answer) if answer.status == 200 => {
                            let answer: Value = serde_json::from_str(&answer.body).unwrap();
                            assert_eq!(answer["accepted"], batch);
                            mine.extend(first..first + batch);
                            acknowledged.fetch_add(1, Ordering::Relaxed);
                        }
                        _ if stopping.load(Ordering::Relaxed) => break mine,
                        Ok(answer) => panic!("{} {}", answer.status, answer.body),
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    until("there is load", || acknowledged.load(Ordering::Relaxed) > 300);
    let id = bridge.id().to_string();
    stopping.store(true, Ordering::Relaxed);
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let mut kept: Vec<u32> = Vec::new();
    for sender in senders {
        kept.extend(sender.join().unwrap());
    }
    let (code, took, log) = Arc::into_inner(bridge).unwrap().wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!crate::files::beside(&crate::files::database(dir.path()), "-wal").exists(), "the log is folded in");

    let again = Serving::start(dir.path(), &[]);
    for some in kept.chunks(500) {
        let events: Vec<Value> = some.iter().map(|number| event(*number)).collect();
        let answer = ask(&again, "POST", "/v1/events", &Value::from(events).to_string()).unwrap();
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&answer["duplicates"], &answer["accepted"]), (&some.len().into(), &0.into()));
    }
}

#[test]
fn a_store_that_hangs_does_not_hold_up_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("bridge.yaml");
    std::fs::write(&config, "limits: {shutdown: 1s}\n").unwrap();
    let bridge = Serving::start(dir.path(), &["--config", config.to_str().unwrap()]);
    let other = rusqlite::Connection::open(crate::files::database(dir.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = ask(&bridge, "POST", "/v1/events", &event(1).to_string()).unwrap();
    assert!(refused.status == 503 && refused.body.contains("let it finish"), "{}", refused.body);
    let (code, took, log) = bridge.stop("-TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(took < Duration::from_millis(1500), "{took:?}: {log}");
}
