//! The budget of the outbox.

use crate::yard::{Yard, until};

#[test]
fn beyond_the_budget_the_oldest_spans_go_first_and_are_counted() {
    let mut yard = Yard::in_an_outage(&[
        ("MCP_OTEL_BRIDGE_OUTBOX_MAX_BYTES", "1MiB"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100"),
    ]);
    let mut sent = Vec::new();
    let book = until("spans to be dropped", || {
        sent.extend(yard.call(1000));
        let book = yard.book();
        assert!(book.bytes("spans") <= f64::from(1 << 20));
        (book.items("spans", "dropped") > 1000.0).then_some(book)
    });
    let dropped = book.items("spans", "dropped") as usize;
    assert_eq!(dropped % 100, 0, "whole rows go");
    yard.kill_and_start();
    yard.collector.come_back();
    yard.drained();
    assert_eq!(yard.taken(), sent[dropped..]);
}
