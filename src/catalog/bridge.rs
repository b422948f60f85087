//! The bridge about itself, since its own start.

use super::{buckets, declare};

declare! { Bridge:
    BRIDGE_BUILD_INFO = Gauge("bridge_build_info", "bridge.build_info", "", ["version", "rustc"])
        "Version of the bridge and of the compiler that built it, always 1";
    BRIDGE_READY = Gauge("bridge_ready", "bridge.ready", "", [])
        "1 while events can be taken and kept, else 0";
    BRIDGE_EVENTS_RECEIVED = Counter("bridge_events_received_total", "bridge.events.received", "{event}", ["source", "event_type"])
        "Total number of events received: the accepted, the duplicates and the rejected";
    BRIDGE_EVENTS_ACCEPTED = Counter("bridge_events_accepted_total", "bridge.events.accepted", "{event}", ["source"])
        "Total number of events accepted";
    BRIDGE_EVENTS_DUPLICATE = Counter("bridge_events_duplicate_total", "bridge.events.duplicate", "{event}", ["source"])
        "Total number of events recognised as repeated, acknowledged again and not counted";
    BRIDGE_EVENTS_REJECTED = Counter("bridge_events_rejected_total", "bridge.events.rejected", "{event}", ["source", "reason"])
        "Total number of events rejected";
    BRIDGE_EVENT_WARNINGS = Counter("bridge_event_warnings_total", "bridge.event.warnings", "{warning}", ["reason"])
        "Total number of warnings given in answers to events";
    BRIDGE_SERIES_OVERFLOW = Counter("bridge_series_overflow_total", "bridge.series.overflow", "{measurement}", ["instrument"])
        "Total number of measurements folded into an overflow series, or left out for gauges";
    BRIDGE_SCRAPES = Counter("bridge_scrapes_total", "bridge.scrapes", "{scrape}", ["format", "outcome"])
        "Total number of scrapes answered";
    BRIDGE_SCRAPE_DURATION = Histogram("bridge_scrape_duration_seconds", "bridge.scrape.duration", "s", ["format"], buckets::EMIT)
        "Time to collect and encode a scrape, in seconds";
    BRIDGE_PUSH_REQUESTS = Counter("bridge_push_requests_total", "bridge.push.requests", "{request}", ["signal", "outcome"])
        "Total number of OTLP export requests";
    BRIDGE_PUSH_ITEMS = Counter("bridge_push_items_total", "bridge.push.items", "{item}", ["signal", "outcome"])
        "Total number of spans and metric points on their way to the collector, by what became of them";
    BRIDGE_OUTBOX_ITEMS = Gauge("bridge_outbox_items", "bridge.outbox.items", "{item}", ["signal"])
        "Number of spans and metric points waiting for the collector";
    BRIDGE_OUTBOX_SIZE = Gauge("bridge_outbox_size_bytes", "bridge.outbox.size", "By", ["signal"])
        "Size of what waits for the collector, in bytes";
    BRIDGE_WRAP_DROPPED = Counter("bridge_wrap_dropped_total", "bridge.wrap.dropped", "{event}", ["reason"])
        "Total number of events dropped by wrappers while the bridge was away";
    BRIDGE_LIVE_DROPPED = Counter("bridge_live_dropped_total", "bridge.live.dropped", "{update}", [])
        "Total number of live-feed updates that slow clients missed";
}
