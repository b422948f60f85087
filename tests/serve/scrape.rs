//! The scrape: negotiation, compression, filters, the scraper's timeout, and collections that are shared.

use std::io::Read as _;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

use crate::bench::{Answer, Bench, mcp_event, until, write_request};

const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

#[test]
fn each_client_gets_the_format_that_it_asks_for() {
    let bench = Bench::start();
    for (accept, content_type, eof) in [
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8", true),
        ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores", false),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", false),
    ] {
        let answer = bench.get_with("/metrics", &[("Accept", accept)]);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"));
        assert_eq!(answer.text().ends_with("# EOF\n"), eof);
        assert!(answer.text().contains("target_info{"));
    }
    // A list may stand on several lines.
    let answer = bench.get_with("/metrics", &[("Accept", "text/html"), ("Accept", "application/openmetrics-text")]);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let answer = bench.get("/api/get_prometheus_metrics_service");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.text().contains("bridge_build_info{"));
}

#[test]
fn gzip_holds_the_same_text() {
    let bench = Bench::start();
    let filter = "/metrics?name[]=bridge_build_info&name%5B%5D=target%5Finfo";
    let plain = bench.get(filter);
    let packed = bench.get_with(filter, &[("Accept-Encoding", "gzip")]);
    assert_eq!((plain.header("content-encoding"), packed.header("content-encoding")), (None, Some("gzip")));
    let mut text = String::new();
    GzDecoder::new(&packed.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text());
    let types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_eq!(types, ["target_info gauge", "bridge_build_info gauge"]);
}

#[test]
fn head_tells_the_length_and_sends_no_body() {
    let bench = Bench::start();
    let mut stream = bench.connect();
    write_request(&mut stream, "HEAD", "/metrics?name[]=bridge_build_info", &[], b"");
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("content-length: "), "{head}");
}

#[test]
fn another_path_can_be_chosen() {
    let bench = Bench::with(|config| config.metrics.path = "/prom/metrics".to_owned());
    assert_eq!(bench.get("/prom/metrics").status, 200);
    assert_eq!(bench.get("/api/get_prometheus_metrics_service").status, 200);
    assert_eq!(bench.get("/metrics").status, 404);
}

#[test]
fn a_scrape_that_cannot_be_in_time_is_refused_rather_than_late() {
    let bench = Bench::start();
    let began = Instant::now();
    let answer = {
        let _gate = bench.bridge.telemetry().hold();
        bench.get_with("/metrics", &[("X-Prometheus-Scrape-Timeout-Seconds", "0.4")])
    };
    assert!(began.elapsed() > Duration::from_millis(350) && began.elapsed() < Duration::from_secs(5));
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.text(), "the metrics could not be collected within the scrape's timeout\n");
    // Time enough, and headers that say nothing.
    for timeout in ["10", "soon", "-1", "NaN"] {
        assert_eq!(bench.get_with("/metrics", &[("X-Prometheus-Scrape-Timeout-Seconds", timeout)]).status, 200);
    }
    let metrics = bench.metrics();
    assert!(metrics.contains("bridge_scrapes_total{format=\"text_0.0.4\",outcome=\"timeout\"} 1\n"), "{metrics}");
    assert!(metrics.contains("bridge_scrapes_total{format=\"text_0.0.4\",outcome=\"success\"} 4\n"), "{metrics}");
    assert!(metrics.contains("bridge_scrape_duration_seconds_count{format=\"text_0.0.4\"} 4\n"), "{metrics}");
}

#[test]
fn scrapes_that_overlap_get_one_and_the_same_collection() {
    let bench = Bench::start();
    let bodies: Vec<String> = std::thread::scope(|scope| {
        let gate = bench.bridge.telemetry().hold();
        // The first one's collection waits for the gate; it is running by the time its request has given up.
        let answer = bench.get_with("/metrics", &[("X-Prometheus-Scrape-Timeout-Seconds", "0.2")]);
        assert_eq!(answer.status, 503);
        let mut others: Vec<_> = (0..8).map(|_| bench.connect()).collect();
        for other in &mut others {
            write_request(other, "GET", "/metrics", &[], b"");
        }
        let ready = scope.spawn(|| bench.get("/readyz").status);
        assert_eq!(ready.join().unwrap(), 200, "a collection holds nobody else up");
        std::thread::sleep(Duration::from_millis(300));
        drop(gate);
        others.iter_mut().map(|other| Answer::read(other).text()).collect()
    });
    // Each scrape that is answered counts, so bodies of two collections would differ.
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    until("the count of scrapes", || {
        bench.sum("bridge_scrapes_total{format=\"text_0.0.4\",outcome=\"success\"}") >= 8.0
    });
}

#[test]
fn what_was_acknowledged_is_in_the_next_scrape() {
    let bench = Bench::start();
    std::thread::scope(|scope| {
        for component in ["a", "b", "c", "d"] {
            let bench = &bench;
            scope.spawn(move || {
                let start = format!("mcp_event_emit_success_total{{component_name=\"{component}\",");
                for count in 1..=50 {
                    assert_eq!(bench.event(&mcp_event(component)).status, 200);
                    assert_eq!(bench.sum(&start), f64::from(count));
                }
            });
        }
    });
}

#[test]
fn a_scrape_that_is_turned_off_says_so_and_all_else_goes_on() {
    let bench = Bench::with(|config| config.metrics.enabled = false);
    for path in ["/metrics", "/api/get_prometheus_metrics_service"] {
        let answer = bench.get(path);
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("enable_prometheus_metrics"), "{}", answer.text());
    }
    assert_eq!(bench.event(&mcp_event("a")).status, 200);
    assert_eq!(bench.get("/v1/metrics/summary").json()["mcp_events_success"], 1);
    assert_eq!(bench.get("/readyz").status, 200);
}
