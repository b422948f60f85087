//! Every variable.

use std::time::Duration;

use mcp_otel_bridge::config::{ExemplarFilter, OTHER_VARIABLES, Sampler, Temporality, reference};

use crate::support::{error, errors, file, from_env, from_file, loaded};

#[test]
fn the_resource_comes_from_the_file_then_its_variables() {
    let yaml = "resource:
  attributes_list: a=1,service.name=listed
  attributes:
    - {name: service.name, value: filed}
    - {name: b, value: 2}
    - {name: gone, value: '${UNDEFINED}'}
    - name: skipped
      value: ${UNDEFINED}
";
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        from_file(yaml).resource,
        [pair("a", "1"), pair("service.name", "filed"), pair("b", "2"), pair("gone", "")]
    );
    let env = [("OTEL_RESOURCE_ATTRIBUTES", "b=two%20words,service.name=attributed,c=3")];
    let resource = loaded(yaml, &env).config.resource;
    assert_eq!(resource[1..3], [pair("service.name", "attributed"), pair("b", "two words")]);
    assert_eq!(resource.last(), Some(&pair("c", "3")));
    let env = [env[0], ("OTEL_SERVICE_NAME", "named")];
    assert!(loaded(yaml, &env).config.resource.contains(&pair("service.name", "named")));
    assert_eq!(
        error("", &[("OTEL_RESOURCE_ATTRIBUTES", "a=1,b")]),
        "environment: OTEL_RESOURCE_ATTRIBUTES: entry 2 has no `=`; key1=value1,key2=value2, percent-encoded"
    );
}

#[test]
fn a_disabled_sdk_stops_push_and_spans_but_not_the_scrape() {
    let env = [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")];
    let disabled = loaded("", &env);
    assert!(disabled.config.push_metrics.is_none() && disabled.config.push_spans.is_none());
    assert_eq!(disabled.config.sampler, Sampler { parent_based: false, ratio: 0.0 });
    assert!(disabled.config.metrics.enabled);
    assert_eq!(disabled.warnings.len(), 1);
    assert_eq!(loaded("disabled: true\n", &[("OTEL_SDK_DISABLED", "false")]).config, from_file(""));
    assert!(error("", &[("OTEL_SDK_DISABLED", "1")]).contains("is not a boolean"));
}

#[test]
fn the_metrics_exporters_are_a_list() {
    let on = |value: &str| {
        let config = from_env(&[("OTEL_METRICS_EXPORTER", value)]);
        (config.push_metrics.map(|push| push.otlp.endpoint), config.metrics.enabled)
    };
    let default = Some("http://localhost:4317".to_owned());
    assert_eq!(on("otlp"), (default.clone(), true));
    assert_eq!(on("otlp, prometheus"), (default, true));
    assert_eq!(on("prometheus"), (None, true));
    assert_eq!(on("none"), (None, false));
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    for list in ["prometheus", "none"] {
        assert!(from_env(&[endpoint, ("OTEL_METRICS_EXPORTER", list)]).push_metrics.is_none(), "{list}");
    }
    let off = "enable_prometheus_metrics: false\n";
    assert!(loaded(off, &[("OTEL_METRICS_EXPORTER", "prometheus")]).config.metrics.enabled);
    assert!(!loaded(off, &[("OTEL_METRICS_EXPORTER", "otlp")]).config.metrics.enabled);
    assert!(error("", &[("OTEL_METRICS_EXPORTER", "console")]).contains("\"console\" is not an exporter"));
    assert!(error("", &[("OTEL_METRICS_EXPORTER", "none,otlp")]).contains("`none` stands beside"));
}

#[test]
fn the_trace_exporters_are_a_list() {
    let config = from_env(&[("OTEL_TRACES_EXPORTER", "otlp")]);
    assert_eq!(config.push_spans.unwrap().otlp.endpoint, "http://localhost:4317");
    assert!(config.push_metrics.is_none());
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    let config = from_env(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]);
    assert!(config.push_spans.is_none() && config.push_metrics.is_some());
    assert!(error("", &[("OTEL_TRACES_EXPORTER", "prometheus")]).contains("is not an exporter of this signal"));
}

#[test]
fn an_endpoint_turns_push_on_and_a_signal_s_own_wins() {
    let config = from_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://both:4317/")]);
    assert_eq!(config.push_metrics.unwrap().otlp.endpoint, "http://both:4317");
    assert_eq!(config.push_spans.unwrap().otlp.endpoint, "http://both:4317");
    let config = from_env(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://metrics:4317")]);
    assert!(config.push_metrics.is_some() && config.push_spans.is_none());
    let config = from_env(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://both:4317"),
    ]);
    assert_eq!(config.push_metrics.unwrap().otlp.endpoint, "http://both:4317");
    assert_eq!(config.push_spans.unwrap().otlp.endpoint, "http://traces:4317");
}

#[test]
fn the_other_exporter_variables_hold_for_both_signals_or_one() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317");
    let pem = file("a.pem", "x");
    let other = file("b.pem", "x");
    let (pem, other) = (pem.to_str().unwrap(), other.to_str().unwrap());
    let config = from_env(&[
        endpoint,
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20abc,x-a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-b=2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "7000"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", pem),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", other),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", pem),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", pem),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", other),
        ("OTEL_EXPORTER_OTLP_INSECURE", "false"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ]);
    let (metrics, spans) = (config.push_metrics.unwrap().otlp, config.push_spans.unwrap().otlp);
    let headers = |headers: &[(String, mcp_otel_bridge::config::Secret)]| -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(headers(&metrics.headers), [pair("authorization", "Bearer abc"), pair("x-a", "1")]);
    assert_eq!(headers(&spans.headers), [pair("x-b", "2")]);
    assert_eq!((metrics.gzip, spans.gzip), (true, false));
    assert_eq!((metrics.timeout, spans.timeout), (Duration::from_secs(7), Duration::from_secs(5)));
    assert_eq!(metrics.ca_file.unwrap().to_str(), Some(other));
    assert_eq!(spans.ca_file.unwrap().to_str(), Some(pem));
    assert_eq!(metrics.client.unwrap().key_file.to_str(), Some(pem));
    assert_eq!(spans.client.unwrap().key_file.to_str(), Some(other));
}

#[test]
fn only_grpc_is_spoken_and_the_signal_s_own_variable_decides() {
    assert_eq!(
        error("", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]),
        "environment: OTEL_EXPORTER_OTLP_PROTOCOL: the protocol \"http/protobuf\" is not supported; only `grpc`; a \
         collector takes it on port 4317"
    );
    assert!(error("", &[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")]).contains("TRACES_PROTOCOL"));
    from_env(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
    ]);
}

#[test]
fn the_push_of_metrics_has_its_variables() {
    let config = from_env(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1500"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "900"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
    ]);
    let push = config.push_metrics.unwrap();
    assert_eq!((push.interval, push.timeout), (Duration::from_millis(1500), Duration::from_millis(900)));
    assert_eq!(push.temporality, Temporality::Delta);
    assert_eq!(config.exemplar_filter, ExemplarFilter::AlwaysOff);
    let low = [("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory")];
    assert_eq!(from_env(&low).push_metrics.unwrap().temporality, Temporality::Delta);
    // A setting of push does not turn it on.
    assert!(from_env(&[("OTEL_METRIC_EXPORT_INTERVAL", "1500")]).push_metrics.is_none());
    assert!(error("", &[("OTEL_METRIC_EXPORT_INTERVAL", "0")]).contains("out of range"));
}

#[test]
fn exemplars_always_name_a_sampled_trace() {
    let always = loaded("", &[("OTEL_METRICS_EXEMPLAR_FILTER", "always_on")]);
    assert_eq!(always.config.exemplar_filter, ExemplarFilter::TraceBased);
    assert!(always.warnings[0].starts_with("environment: OTEL_METRICS_EXEMPLAR_FILTER: always_on is taken as"));
}

#[test]
fn the_push_of_spans_has_its_variables() {
    let config = from_env(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "200"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "300"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "40"),
    ]);
    let push = config.push_spans.unwrap();
    assert_eq!((push.schedule_delay, push.export_timeout), (Duration::from_millis(100), Duration::from_millis(200)));
    assert_eq!((push.max_queue_size, push.max_export_batch_size), (300, 40));
    // A small queue alone takes the default batch down with it.
    let config = from_env(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_BSP_MAX_QUEUE_SIZE", "100")]);
    assert_eq!(config.push_spans.unwrap().max_export_batch_size, 100);
    let env = [("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4000")];
    assert_eq!(
        error("", &env),
        "environment: OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 4000 is more than the queue holds; 1 to 2048, the max_queue_size"
    );
}

#[test]
fn every_sampler_has_its_name() {
    for (name, argument, parent_based, ratio) in [
        ("always_on", "", false, 1.0),
        ("always_off", "", false, 0.0),
        ("traceidratio", "0.25", false, 0.25),
        ("traceidratio", "", false, 1.0),
        ("parentbased_always_on", "0.5", true, 1.0),
        ("parentbased_always_off", "", true, 0.0),
        ("ParentBased_TraceIdRatio", "0.1", true, 0.1),
    ] {
        let config = from_env(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        assert_eq!(config.sampler, Sampler { parent_based, ratio }, "{name}");
    }
    assert!(error("", &[("OTEL_TRACES_SAMPLER", "jaeger_remote")]).contains("is not a sampler of the bridge"));
    let env = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")];
    assert!(error("", &env).starts_with("environment: OTEL_TRACES_SAMPLER_ARG: \"1.5\" is not a ratio"));
    assert_eq!(loaded("", &[("OTEL_TRACES_SAMPLER_ARG", "0.5")]).warnings.len(), 1);
}

#[test]
fn the_scrape_s_address_has_the_standard_variables() {
    let env = [("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "9464")];
    assert_eq!(from_env(&env).listen.to_string(), "127.0.0.1:9464");
    assert_eq!(from_env(&[("OTEL_EXPORTER_PROMETHEUS_HOST", "::1")]).listen.to_string(), "[::1]:9090");
    assert!(error("", &[("OTEL_EXPORTER_PROMETHEUS_HOST", "example.com")]).contains("is not an IP address"));
}

#[test]
fn the_seeds_variables_work() {
    for (value, enabled) in [("false", false), ("0", false), ("no", false), ("true", true), ("1", true), ("On", true)] {
        let config = from_env(&[("SESSION_BUDDY_ENABLE_PROMETHEUS_METRICS", value)]);
        assert_eq!(config.metrics.enabled, enabled, "{value}");
    }
    assert!(error("", &[("SESSION_BUDDY_ENABLE_PROMETHEUS_METRICS", "maybe")]).contains("\"maybe\" is not a boolean"));
    assert_eq!(from_env(&[("SESSION_BUDDY_PROMETHEUS_METRICS_PORT", "9100")]).listen.port(), 9100);
    assert_eq!(from_env(&[("SESSION_BUDDY_PROMETHEUS_METRICS_PATH", "/m")]).metrics.path, "/m");
    assert_eq!(errors("", &[("SESSION_BUDDY_PROMETHEUS_METRICS_PATH", "/live")]).len(), 1);
}

#[test]
fn empty_variables_are_unset() {
    let names = [
        "OTEL_SDK_DISABLED",
        "OTEL_METRICS_EXPORTER",
        "OTEL_TRACES_EXPORTER",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_TRACES_SAMPLER",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_SERVICE_NAME",
        "MCP_OTEL_BRIDGE_LISTEN",
        "MCP_OTEL_BRIDGE_TOKEN",
        "MCP_OTEL_BRIDGE_CONFIG",
        "SESSION_BUDDY_ENABLE_PROMETHEUS_METRICS",
    ];
    let env: Vec<_> = names.iter().map(|name| (*name, "")).collect();
    assert_eq!(from_env(&env), from_file(""));
}

#[test]
fn every_key_of_the_bridge_has_its_variable() {
    let config = from_env(&[
        ("MCP_OTEL_BRIDGE_GRPC_LISTEN", "127.0.0.1:4320"),
        ("MCP_OTEL_BRIDGE_EPHEMERAL", "true"),
        ("MCP_OTEL_BRIDGE_LOG_FILTER", "debug"),
        ("MCP_OTEL_BRIDGE_LIMITS_CONNECTIONS", "9"),
        ("MCP_OTEL_BRIDGE_LIMITS_BODY_BYTES", "8KiB"),
        ("MCP_OTEL_BRIDGE_METRICS_GROUPS_GEN_AI", "false"),
        ("MCP_OTEL_BRIDGE_METRICS_SERIES_LIMIT", "77"),
        ("MCP_OTEL_BRIDGE_SESSIONS_TIMEOUT", "1h"),
        ("MCP_OTEL_BRIDGE_EVENTS_DEDUPE_MAX", "5"),
    ]);
    assert_eq!(config.grpc_listen.unwrap().port(), 4320);
    assert!(config.ephemeral);
    assert_eq!(config.log.filter, "debug");
    assert_eq!((config.limits.connections, config.limits.body_bytes), (9, 8192));
    assert_eq!(config.metrics.groups.len(), 6);
    assert_eq!(config.metrics.series_limit, 77);
    assert_eq!(config.sessions.timeout, Duration::from_secs(3600));
    assert_eq!(config.events.dedupe_max, 5);
    // Each variable of the reference is known, and each key that has a default takes it through its own variable.
    for key in reference() {
        let (Some(default), Some(name)) = (&key.default, key.env.last()) else { continue };
        if name.starts_with("MCP_OTEL_BRIDGE_") {
            let loaded = loaded("", &[(name, default)]);
            assert_eq!((loaded.config, loaded.warnings), (from_file(""), vec![]), "{name}");
        }
    }
}

#[test]
fn a_variable_that_only_looks_like_ours_is_a_warning() {
    let mut env = vec![("MCP_OTEL_BRIDGE_LISTNE", "x"), ("MCP_OTEL_BRIDGE_WHATEVER", "x")];
    // Those of this program's clients may stand beside: `wrap --serve` has both.
    let of_clients = OTHER_VARIABLES.iter().map(|(name, _)| *name).filter(|name| name.starts_with("MCP_OTEL_BRIDGE_"));
    env.extend(of_clients.filter(|name| *name != "MCP_OTEL_BRIDGE_CONFIG").map(|name| (name, "x")));
    assert_eq!(env.len(), 6);
    assert_eq!(
        loaded("", &env).warnings,
        [
            "environment: MCP_OTEL_BRIDGE_LISTNE: is not a variable of the bridge; did you mean MCP_OTEL_BRIDGE_LISTEN?",
            "environment: MCP_OTEL_BRIDGE_WHATEVER: is not a variable of the bridge",
        ]
    );
}

#[test]
fn the_links_that_kubernetes_sets_are_no_variables_of_ours() {
    let env = [
        ("MCP_OTEL_BRIDGE_SERVICE_HOST", "10.0.0.1"),
        ("MCP_OTEL_BRIDGE_SERVICE_PORT_HTTP", "9090"),
        ("MCP_OTEL_BRIDGE_PORT", "tcp://10.0.0.1:9090"),
        ("MCP_OTEL_BRIDGE_PORT_9090_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(loaded("", &env).warnings.is_empty());
}
