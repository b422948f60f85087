//! Kills: while the collector is away, while the outbox drains, and a stop in good order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::collector::Answer;
use crate::yard::{Yard, until};

/// How often each id is there.
fn times(ids: &[String]) -> BTreeMap<&String, usize> {
    let mut times = BTreeMap::new();
    for id in ids {
        *times.entry(id).or_default() += 1;
    }
    times
}

#[test]
fn spans_of_acknowledged_events_outlive_kills_in_an_outage_and_arrive_once() {
    let mut yard = Yard::in_an_outage(&[]);
    let mut sent = yard.call(1500);
    yard.kill_and_start();
    assert_eq!(yard.book().items("spans", "queued"), 1500.0, "what waits counts as queued anew");
    sent.extend(yard.call(1000));
    // Once more at once, before anything of the second life was sent or tidied.
    yard.kill_and_start();
    sent.extend(yard.call(10));
    assert_eq!(yard.book().waiting("spans"), 2510.0);

    yard.collector.come_back();
    let book = yard.drained();
    assert_eq!(yard.taken(), sent, "each once, in order, with its own id");
    assert_eq!(book.items("spans", "taken"), 2510.0);
    assert_eq!(book.items("spans", "dropped") + book.items("spans", "rejected"), 0.0);
}

#[test]
fn a_kill_while_the_outbox_drains_repeats_at_most_the_batch_in_flight() {
    const BATCH: usize = 20;
    let mut yard = Yard::in_an_outage(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "20")]);
    let sent = yard.call(3000);
    yard.collector.come_back();
    let mut kills = 0;
    for part in 1..=4 {
        until("some of it to be taken", || (yard.taken().len() > part * 400).then_some(()));
        yard.kill_and_start();
        kills += 1;
    }
    yard.drained();
    let taken = yard.taken();
    let times = times(&taken);
    assert_eq!(times.keys().copied().collect::<BTreeSet<_>>(), sent.iter().collect());
    let repeated = times.values().filter(|times| **times > 1).count();
    assert!(repeated <= kills * BATCH, "{repeated} spans came again after {kills} kills");
}

#[test]
fn what_a_stop_in_good_order_cannot_deliver_waits_on_disk_and_is_not_dropped() {
    let mut yard = Yard::new(&[("MCP_OTEL_BRIDGE_LIMITS_SHUTDOWN", "1s")]);
    yard.collector.then((0..50).map(|_| Answer::Hang));
    yard.start();
    let sent = yard.call(700);
    yard.bridge.as_mut().unwrap().stop();
    let told = yard.bridge().log_lines("waits on disk");
    let of_spans: Vec<_> = told.iter().filter(|line| line.contains("signal=\"spans\"")).collect();
    assert!(of_spans.len() == 1 && of_spans[0].contains("waiting=700"), "once: {told:#?}");
    drop(yard.bridge.take());

    yard.collector.seen(|seen| seen.answers.clear());
    yard.start();
    yard.drained();
    assert_eq!(yard.taken(), sent);
}

#[test]
fn what_is_acknowledged_before_a_stop_is_delivered_before_its_end() {
    let mut yard = Yard::new(&[("OTEL_BSP_SCHEDULE_DELAY", "60000")]);
    yard.start();
    let sent = yard.call(600);
    let started = std::time::Instant::now();
    yard.bridge.take().unwrap().stop();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(yard.taken(), sent);
    yard.start();
    assert_eq!(yard.book().items("spans", "queued"), 0.0, "nothing waits that was delivered");
}
