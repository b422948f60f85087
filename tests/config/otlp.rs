//! OpenTelemetry's part of the file: push, sampling.

use std::time::Duration;

use mcp_otel_bridge::config::{ExemplarFilter, Sampler, Temporality};

use crate::support::{error, errors, file, from_env, from_file, loaded};

#[test]
fn the_whole_subset_is_read() {
    let pem = file("a.pem", "x");
    let pem = pem.to_str().unwrap();
    let config = from_file(&format!(
        "file_format: \"1.0\"
meter_provider:
  readers:
    - pull: {{exporter: {{prometheus/development: {{host: localhost, port: 9464}}}}}}
    - periodic:
        interval: 1000
        timeout: 2000
        exporter:
          otlp_grpc:
            endpoint: https://collector:4317
            tls: {{ca_file: {pem}, cert_file: {pem}, key_file: {pem}, insecure: false}}
            headers: [{{name: X-A, value: '1'}}]
            headers_list: x-a=0,x-b=2
            compression: gzip
            timeout: 3000
            temporality_preference: low_memory
            default_histogram_aggregation: explicit_bucket_histogram
  exemplar_filter: always_off
tracer_provider:
  processors:
    - batch:
        schedule_delay: 1
        export_timeout: 2
        max_queue_size: 30
        max_export_batch_size: 4
        exporter: {{otlp_grpc: {{endpoint: 'http://traces:4317', compression: none, timeout: 5}}}}
  sampler:
    parent_based:
      root: {{trace_id_ratio_based: {{ratio: 0.5}}}}
      remote_parent_sampled: {{always_on: }}
      remote_parent_not_sampled: {{always_off: {{}}}}
"
    ));
    assert_eq!(config.listen.to_string(), "127.0.0.1:9464");
    let push = config.push_metrics.unwrap();
    assert_eq!((push.interval, push.timeout), (Duration::from_secs(1), Duration::from_secs(2)));
    assert_eq!(push.temporality, Temporality::Delta);
    assert_eq!((push.otlp.endpoint.as_str(), push.otlp.gzip), ("https://collector:4317", true));
    assert_eq!(push.otlp.timeout, Duration::from_secs(3));
    assert_eq!(push.otlp.ca_file.unwrap().to_str(), Some(pem));
    assert_eq!(push.otlp.client.unwrap().key_file.to_str(), Some(pem));
    let headers: Vec<_> = push.otlp.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("x-a", "1"), ("x-b", "2")]);
    assert_eq!(config.exemplar_filter, ExemplarFilter::AlwaysOff);
    let push = config.push_spans.unwrap();
    assert_eq!((push.schedule_delay, push.export_timeout), (Duration::from_millis(1), Duration::from_millis(2)));
    assert_eq!((push.max_queue_size, push.max_export_batch_size), (30, 4));
    assert_eq!((push.otlp.endpoint.as_str(), push.otlp.gzip), ("http://traces:4317", false));
    assert_eq!(config.sampler, Sampler { parent_based: true, ratio: 0.5 });
}

#[test]
fn an_exporter_in_the_file_is_enough_for_push() {
    let config = from_file("meter_provider: {readers: [{periodic: {exporter: {otlp_grpc: }}}]}\n");
    assert_eq!(config.push_metrics.unwrap().otlp.endpoint, "http://localhost:4317");
    assert!(config.push_spans.is_none());
}

#[test]
fn only_what_the_bridge_has_is_taken() {
    for (yaml, part) in [
        ("meter_provider: {readers: [{periodic: {exporter: {console: {}}}}]}", "only `otlp_grpc`"),
        ("tracer_provider: {processors: [{batch: {exporter: {otlp_http: {}}}}]}", "only `otlp_grpc`"),
        ("tracer_provider: {processors: [{simple: {exporter: {otlp_grpc: {}}}}]}", "only `batch`"),
        ("meter_provider: {readers: [{periodic: {interval: 5}}]}", "has no `exporter`"),
        ("tracer_provider: {processors: [{batch: }]}", "has no `exporter`"),
        ("meter_provider: {readers: [{}]}", "exactly one of `periodic`, `pull`"),
        ("meter_provider: {readers: [{periodic: {exporter: }}]}", "exactly one of `otlp_grpc`"),
        ("tracer_provider: {sampler: always_on}", "is a single value, not a mapping"),
        ("tracer_provider: {sampler: {always_on: {}, always_off: {}}}", "has 2 keys"),
        ("tracer_provider: {sampler: {always_on: {ratio: 1}}}", "takes no settings"),
        ("tracer_provider: {sampler: {parent_based: {remote_parent_sampled: {always_off: }}}}", "is not the default"),
        ("tracer_provider: {sampler: {jaeger_remote: {}}}", "is not taken here"),
        (
            "meter_provider: {readers: [{pull: {exporter: {prometheus/development: {translation_strategy: x}}}}]}",
            "one standard form",
        ),
        (
            "meter_provider: {readers: [{periodic: {exporter: {otlp_grpc: {default_histogram_aggregation: \
             base2_exponential_bucket_histogram}}}}]}",
            "explicit_bucket_histogram",
        ),
        ("resource: {attributes: [{name: a, value: 1, type: int}]}", "one of `string`"),
        ("resource: {attributes: [{name: a}]}", "has no `value`"),
    ] {
        let messages = errors(yaml, &[]);
        assert!(messages.iter().any(|message| message.contains(part)), "{yaml}: {messages:#?}");
    }
    let two =
        "meter_provider: {readers: [{periodic: {exporter: {otlp_grpc: }}}, {periodic: {exporter: {otlp_grpc: }}}]}";
    assert!(error(two, &[]).contains("readers[1] (line 1): is a second `periodic`"));
}

#[test]
fn every_sampler_of_the_file() {
    for (yaml, parent_based, ratio) in [
        ("{always_on: }", false, 1.0),
        ("{always_off: {}}", false, 0.0),
        ("{trace_id_ratio_based: {ratio: 0.001}}", false, 0.001),
        ("{trace_id_ratio_based: }", false, 1.0),
        ("{parent_based: {root: {always_off: }}}", true, 0.0),
        ("{parent_based: }", true, 1.0),
    ] {
        let config = from_file(&format!("tracer_provider: {{sampler: {yaml}}}\n"));
        assert_eq!(config.sampler, Sampler { parent_based, ratio }, "{yaml}");
    }
}

#[test]
fn endpoints_are_scheme_host_and_port() {
    for (endpoint, part) in [
        ("collector:4317", "has no scheme"),
        ("localhost", "has no scheme"),
        ("grpc://collector:4317", "a scheme other than http and https"),
        ("http://collector:4317/v1/metrics", "has a path"),
        ("http://collector:4317?x=1", "(not shown) with a query"),
        ("http://:4317", "OTLP endpoint"),
        ("http://collector:0", "no port that can be reached"),
        ("http://collector:99999", "no port that can be reached"),
        ("http://", "OTLP endpoint"),
    ] {
        let message = error("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
        assert!(
            message.starts_with("environment: OTEL_EXPORTER_OTLP_ENDPOINT: ")
                && (message.contains(part) || message.contains("has no host")),
            "{message}"
        );
    }
    let message = error("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@collector:4317")]);
    assert!(!message.contains("hunter2") && message.contains("headers"), "{message}");
    for endpoint in ["http://[2001:db8::1]:4317", "https://collector.example:443", "http://10.0.0.1:4317"] {
        let config = from_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
        assert_eq!(config.push_metrics.unwrap().otlp.endpoint, endpoint);
    }
}

#[test]
fn the_bridge_is_not_its_own_collector() {
    for (listen, endpoint) in [
        ("127.0.0.1:9090", "http://localhost:9090"),
        ("127.0.0.1:9090", "http://LOCALHOST.:9090"),
        ("127.0.0.1:9090", "http://127.0.0.1:9090"),
        ("127.0.0.1:9090", "http://[::1]:9090"),
        ("127.0.0.1:9090", "http://0.0.0.0:9090"),
        ("0.0.0.0:9090", "https://localhost:9090"),
        ("[::]:80", "http://127.0.0.1"),
        ("10.1.2.3:9090", "http://10.1.2.3:9090"),
    ] {
        let env = [("MCP_OTEL_BRIDGE_LISTEN", listen), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
        let message = error("", &env);
        assert!(message.contains("is the bridge itself") && message.contains(listen), "{listen} {endpoint}: {message}");
    }
    for (listen, endpoint) in [
        ("127.0.0.1:9090", "http://localhost:4317"),
        ("127.0.0.1:9090", "http://collector:9090"),
        ("10.1.2.3:4317", "http://localhost:4317"),
        ("127.0.0.1:4317", "http://10.1.2.3:4317"),
    ] {
        loaded("", &[("MCP_OTEL_BRIDGE_LISTEN", listen), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
    }
    let grpc = [("MCP_OTEL_BRIDGE_GRPC_LISTEN", "127.0.0.1:4317"), ("OTEL_METRICS_EXPORTER", "otlp")];
    assert!(error("", &grpc).starts_with("OTLP endpoint (default): \"http://localhost:4317\" is the bridge itself"));
}

#[test]
fn seldom_meant_endpoints_are_warned_of() {
    for (endpoint, part) in [("http://collector", "has no port, so 80"), ("http://collector:4318", "4318 is mostly")] {
        let warnings = loaded("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(part), "{warnings:?}");
    }
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "false")];
    assert!(loaded("", &env).warnings[0].contains("has no effect"));
}

#[test]
fn headers_that_grpc_cannot_send_are_refused_without_their_values() {
    for list in [
        "content-type=hunter2",
        "grpc-timeout=hunter2",
        "x-bin=hunter2",
        "x%20y=hunter2",
        "x=hunter2%0a",
        "hunter2",
        "Bearer hunter2==",
    ] {
        let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_HEADERS", list)];
        let message = error("", &env);
        assert!(!message.contains("hunter2"), "{message}");
    }
}
