//! An outage of the collector that fills the disk: events are refused then, and nothing that was acknowledged before is
//! lost, whichever is mended first.

use std::time::Duration;

use crate::calls::{arrived, calls, spans};
use crate::client::{Answer, ask, check_books};
use crate::process::{Serving, program};
use crate::small::Small;
use crate::support::collector::Collector;
use crate::support::events::until_within;

/// The calls of one batch.
const CALLS: u32 = 20;
/// Longer than the push waits between two requests at the most.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Sends batches of calls, and remembers the spans of those that were acknowledged.
#[derive(Default)]
struct Caller {
    next: u32,
    spans: Vec<String>,
}

impl Caller {
    /// Sends the next batch, and goes on to the one after it where it was taken.
    fn send(&mut self, bridge: &Serving) -> Answer {
        let answer = ask(bridge, "POST", "/v1/events", &calls(self.next, CALLS)).unwrap();
        if answer.status == 200 {
            self.spans.extend(spans(&answer));
            self.next += CALLS;
        }
        answer
    }

    fn send_until_refused(&mut self, bridge: &Serving) -> Answer {
        let refused = (0..5000).map(|_| self.send(bridge)).find(|answer| answer.status != 200);
        refused.expect("nothing was refused")
    }
}

fn serve(small: &Small, collector: &Collector) -> Serving {
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--otlp-endpoint", &collector.endpoint(), "--data-dir"]);
    command.arg(small.inner());
    command.env("OTEL_METRIC_EXPORT_INTERVAL", "100").env("OTEL_BSP_SCHEDULE_DELAY", "20");
    Serving::spawn(&mut small.inside(&command))
}

/// Fills the disk with what waits for the collector, and then mends both.
fn filled(mend: impl FnOnce(&Small, &mut Collector)) {
    let dir = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(dir.path(), "8m", "no outbox fills a disk") else { return };
    let mut collector = Collector::start();
    collector.kill();
    small.take(2 << 20);
    let bridge = serve(&small, &collector);
    let mut caller = Caller::default();
    let refused = caller.send_until_refused(&bridge);
    assert!(refused.status == 503 && refused.body.contains("make room"), "{}", refused.body);
    let acknowledged = caller.spans.len();
    let shown = |bridge: &Serving| {
        let samples = check_books(bridge);
        (samples.total("mcp_hub_llm_api_calls_total"), samples.total("bridge_outbox_items{signal=\"spans\""))
    };
    assert_eq!(shown(&bridge), (acknowledged as f64, acknowledged as f64), "/metrics goes on, and they wait");

    mend(&small, &mut collector);
    // Events are refused until the push has tried again and made room.
    until_within(LONGEST_WAIT, "events are taken", || caller.send(&bridge).status == 200);
    until_within(LONGEST_WAIT, "all spans are delivered", || shown(&bridge).1 == 0.0);
    assert_eq!(arrived(&collector), caller.spans, "each once, in order");
    let samples = check_books(&bridge);
    assert_eq!(samples.total("bridge_push_items_total{signal=\"spans\",outcome=\"dropped\"}"), 0.0);

    bridge.stop("-KILL");
    let bridge = serve(&small, &collector);
    assert_eq!(shown(&bridge), (caller.spans.len() as f64, 0.0), "and it is remembered");
}

#[test]
fn an_outage_that_fills_the_disk_and_room_before_the_collector() {
    filled(|small, collector| {
        small.free();
        collector.come_back();
    });
}

/// Room is kept to note what was sent: nobody has to make any.
#[test]
fn an_outage_that_fills_the_disk_and_nothing_but_the_collector() {
    filled(|_, collector| collector.come_back());
}
