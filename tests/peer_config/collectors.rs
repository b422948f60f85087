//! The collectors take what bridges push, and hand it on: one beside a bridge, and two behind a gateway.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::file;
use crate::peers::bridge::Bridge;
use crate::peers::collector::Collector;
use crate::peers::prometheus::Prometheus;
use crate::peers::{fleet, free_port, until};

/// Sessions of one component, all over.
fn some(component: &'static str, count: usize) -> Vec<fleet::Plan> {
    fleet::sessions(component, "Shell", "success", &vec![30.0; count])
}

/// `collector.yaml`, giving metrics to a Prometheus and traces to another collector, which writes them down.
fn beside(prometheus: &Prometheus, traces: &Collector) -> Collector {
    let traces = traces.endpoint().replace("http://", "");
    Collector::configured(
        &file("collector.yaml"),
        &[
            ("OTLP_LISTEN", "127.0.0.1:0"),
            ("HEALTH_LISTEN", &format!("127.0.0.1:{}", free_port())),
            ("PROMETHEUS_OTLP", &prometheus.url("/api/v1/otlp")),
            ("TRACES_OTLP", &traces),
        ],
    )
}

fn gateway(collectors: &[&Collector]) -> Collector {
    let addresses: Vec<String> = collectors.iter().map(|one| one.endpoint().replace("http://", "")).collect();
    Collector::configured(
        &file("collector-gateway.yaml"),
        &[
            ("OTLP_LISTEN", "127.0.0.1:0"),
            ("HEALTH_LISTEN", &format!("127.0.0.1:{}", free_port())),
            ("COLLECTORS", &format!("[{}]", addresses.join(", "))),
        ],
    )
}

#[test]
fn metrics_reach_prometheus_and_spans_the_store_of_traces() {
    let prometheus = Prometheus::configured(&file("prometheus-otlp.yml"));
    let traces = Collector::start();
    let collector = beside(&prometheus, &traces);
    let bridge = Bridge::options().push_to(&collector).start();
    let sent = fleet::send(&bridge, &some("mahavishnu", 5));

    until("the metrics", || prometheus.value("session_start_total{job=\"mcp-otel-bridge\"}").filter(|n| *n == 5.0));
    until("the histogram", || prometheus.value("session_duration_seconds_count").filter(|n| *n == 5.0));
    until("the spans", || (traces.spans().len() == 5).then_some(()));
    assert!(sent.iter().all(|sent| traces.spans().iter().any(|span| span.span_id == sent.span_id)));
    let complaints: Vec<String> =
        collector.lines().into_iter().filter(|line| line.contains("\"level\":\"error\"")).collect();
    assert_eq!(complaints, Vec::<String>::new());
}

#[test]
fn two_bridges_through_one_gateway_give_the_right_rates() {
    let prometheus = Prometheus::configured(&file("prometheus-otlp.yml"));
    let traces = Collector::start();
    let behind = [beside(&prometheus, &traces), beside(&prometheus, &traces)];
    let gateway = gateway(&[&behind[0], &behind[1]]);
    let bridges = ["one", "two"].map(|name| {
        let instance = format!("service.instance.id={name}");
        Bridge::options().push_to(&gateway).variable("OTEL_RESOURCE_ATTRIBUTES", &instance).start()
    });

    // The same series from both: 40 sessions a second from the one, and 20 from the other.
    let (began, mut sent) = (Instant::now(), [0, 0]);
    while began.elapsed() < Duration::from_secs(8) {
        for (at, count) in [8, 4].into_iter().enumerate() {
            fleet::send(&bridges[at], &some("mahavishnu", count));
            sent[at] += count;
        }
        sleep(Duration::from_millis(200));
    }
    let true_rate = (sent[0] + sent[1]) as f64 / began.elapsed().as_secs_f64();
    let rate = prometheus.value("sum(rate(session_start_total[5s]))").unwrap();
    assert!((rate / true_rate - 1.0).abs() < 0.2, "{rate} for {true_rate} a second");

    for (at, name) in ["one", "two"].into_iter().enumerate() {
        let total = format!("session_start_total{{instance=\"{name}\"}}");
        until("the totals", || prometheus.value(&total).filter(|n| *n == sent[at] as f64));
    }
    for metric in ["session_start_total", "session_duration_seconds_count", "bridge_events_received_total"] {
        let resets = prometheus.value(&format!("sum(resets({metric}[1m]))")).unwrap();
        assert_eq!(resets, 0.0, "a stream of {metric} had two writers");
    }
    until("the spans", || (traces.spans().len() == sent[0] + sent[1]).then_some(()));
}
