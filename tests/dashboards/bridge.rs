//! The bridge about itself.

use crate::grafana::{Dashboard, Row, areas, lines, stat, table};

pub const DASHBOARD: Dashboard = Dashboard {
    uid: "mcp-otel-bridge",
    title: "The bridge",
    what: "Whether the bridge takes in, shows and pushes all that it is given.",
    component: None,
    marks: &[],
    rows: &[
        Row {
            title: "In",
            panels: &[
                stat("Ready", "1 while every bridge can take and keep events.", "short", &[("min(bridge_ready{@job})", "")]).at_least(1.0, 1.0),
                stat("Accepted", "Events accepted a second.", "ops", &[("sum(rate(bridge_events_accepted_total{@job}[@rate]))", "")]),
                stat(
                    "Rejected events",
                    "Share of the events that were rejected.",
                    "percentunit",
                    &[("sum(rate(bridge_events_rejected_total{@job}[@rate])) / sum(rate(bridge_events_received_total{@job}[@rate]))", "")],
                )
                .limits(0.001, 0.01),
                table("Versions", "The bridges and what they are built of.", "short", &[("max by (instance, version, rustc) (bridge_build_info{@job})", "")]),
                areas(
                    "Received",
                    "Events received a second, by type.",
                    "ops",
                    &[("sum by (event_type) (rate(bridge_events_received_total{@job}[@rate]))", "{{event_type}}")],
                ),
                lines(
                    "Repeated",
                    "Events a second that had been taken before: acknowledged again and not counted.",
                    "ops",
                    &[("sum by (source) (rate(bridge_events_duplicate_total{@job}[@rate]))", "{{source}}")],
                ),
                lines(
                    "Rejected",
                    "Rejected events a second, by reason.",
                    "ops",
                    &[("sum by (source, reason) (rate(bridge_events_rejected_total{@job}[@rate]))", "{{source}} {{reason}}")],
                ),
                lines(
                    "Warnings",
                    "Warnings in answers a second, by reason.",
                    "ops",
                    &[("sum by (reason) (rate(bridge_event_warnings_total{@job}[@rate]))", "{{reason}}")],
                ),
                lines(
                    "Past the limit of series",
                    "Measurements a second that were folded into an overflow series.",
                    "ops",
                    &[("sum by (instrument) (rate(bridge_series_overflow_total{@job}[@rate]))", "{{instrument}}")],
                ),
                lines(
                    "Dropped by wrappers",
                    "Reports that wrappers dropped before a bridge took them, a second.",
                    "ops",
                    &[("sum by (reason) (rate(bridge_wrap_dropped_total{@job}[@rate]))", "{{reason}}")],
                ),
            ],
        },
        Row {
            title: "Shown",
            panels: &[
                lines(
                    "Scrapes",
                    "Scrapes a second, by format and outcome.",
                    "ops",
                    &[("sum by (format, outcome) (rate(bridge_scrapes_total{@job}[@rate]))", "{{format}} {{outcome}}")],
                ),
                lines(
                    "Time of a scrape",
                    "99th percentile of the time to collect and encode.",
                    "s",
                    &[("histogram_quantile(0.99, sum by (format, le) (rate(bridge_scrape_duration_seconds_bucket{@job}[@rate])))", "{{format}}")],
                ),
                lines(
                    "Missed by viewers",
                    "Updates of the live feed a second that slow viewers missed.",
                    "ops",
                    &[("sum(rate(bridge_live_dropped_total{@job}[@rate]))", "updates")],
                ),
            ],
        },
        Row {
            title: "Pushed",
            panels: &[
                lines(
                    "Requests",
                    "Requests to the collector a second, by outcome.",
                    "reqps",
                    &[("sum by (signal, outcome) (rate(bridge_push_requests_total{@job}[@rate]))", "{{signal}} {{outcome}}")],
                ),
                lines(
                    "Items",
                    "Spans and points of metrics a second, by what became of them.",
                    "ops",
                    &[("sum by (signal, outcome) (rate(bridge_push_items_total{@job}[@rate]))", "{{signal}} {{outcome}}")],
                ),
                areas("Waiting", "Spans and points that wait for the collector.", "short", &[("sum by (signal) (bridge_outbox_items{@job})", "{{signal}}")]),
                areas("Size of the outbox", "What waits for the collector, in bytes.", "bytes", &[("sum by (signal) (bridge_outbox_size_bytes{@job})", "{{signal}}")]),
            ],
        },
    ],
};
