//! Which source wins, step by step.

use mcp_otel_bridge::config::{Flags, load};

use crate::support::{errors, file, loaded, sources};

#[test]
fn the_file_goes_before_the_defaults() {
    assert_eq!(loaded("prometheus_metrics_port: 9001\n", &[]).config.listen.port(), 9001);
}

#[test]
fn the_standard_and_the_seeds_variables_go_before_the_file() {
    let yaml = "listen: 127.0.0.1:9001\nprometheus_metrics_path: /file\n";
    assert_eq!(loaded(yaml, &[("OTEL_EXPORTER_PROMETHEUS_PORT", "9002")]).config.listen.port(), 9002);
    assert_eq!(loaded(yaml, &[("SESSION_BUDDY_PROMETHEUS_METRICS_PORT", "9003")]).config.listen.port(), 9003);
    assert_eq!(loaded(yaml, &[("SESSION_BUDDY_PROMETHEUS_METRICS_PATH", "/env")]).config.metrics.path, "/env");
}

#[test]
fn the_bridge_s_own_variables_go_before_the_standard_and_the_seeds() {
    let env = [
        ("MCP_OTEL_BRIDGE_LISTEN", "127.0.0.1:9004"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "9002"),
        ("SESSION_BUDDY_PROMETHEUS_METRICS_PORT", "9003"),
        ("SESSION_BUDDY_PROMETHEUS_METRICS_PATH", "/seed"),
        ("MCP_OTEL_BRIDGE_PROMETHEUS_METRICS_PATH", "/own"),
        ("SESSION_BUDDY_ENABLE_PROMETHEUS_METRICS", "true"),
        ("MCP_OTEL_BRIDGE_ENABLE_PROMETHEUS_METRICS", "false"),
    ];
    let config = loaded("listen: 127.0.0.1:9001\n", &env).config;
    assert_eq!(config.listen.port(), 9004);
    assert_eq!((config.metrics.path.as_str(), config.metrics.enabled), ("/own", false));
}

#[test]
fn flags_go_before_everything() {
    let mut sources = sources(
        "listen: 127.0.0.1:9001\ngrpc: {listen: 127.0.0.1:9011}\ndata_dir: /file\n",
        &[
            ("MCP_OTEL_BRIDGE_LISTEN", "127.0.0.1:9004"),
            ("MCP_OTEL_BRIDGE_DATA_DIR", "/env"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://env:4317"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ],
    );
    sources.flags = Flags {
        listen: Some("127.0.0.1:9005".into()),
        grpc_listen: Some("127.0.0.1:9015".into()),
        otlp_endpoint: Some("http://flag:4317".into()),
        data_dir: Some("/flag".into()),
        ephemeral: true,
    };
    let config = load(&sources).unwrap().config;
    assert_eq!(config.listen.port(), 9005);
    assert_eq!(config.grpc_listen.unwrap().port(), 9015);
    assert_eq!(config.data_dir.unwrap().to_str(), Some("/flag"));
    assert!(config.ephemeral);
    assert_eq!(config.push_metrics.unwrap().otlp.endpoint, "http://flag:4317");
    assert_eq!(config.push_spans.unwrap().otlp.endpoint, "http://flag:4317");
}

#[test]
fn a_wrong_flag_names_itself() {
    let mut sources = sources("", &[]);
    sources.flags = Flags {
        listen: Some("9464".into()),
        grpc_listen: Some("x".into()),
        otlp_endpoint: Some("collector:4317".into()),
        ..Flags::default()
    };
    let errors = load(&sources).unwrap_err();
    let places: Vec<_> = errors.errors().iter().map(|error| error.place.as_str()).collect();
    assert_eq!(places, ["flag: --listen", "flag: --grpc-listen", "flag: --otlp-endpoint"]);
}

#[test]
fn faults_of_all_sources_come_together_the_file_s_first() {
    let messages = errors(
        "limits: {connections: 0}\n",
        &[("OTEL_BSP_SCHEDULE_DELAY", "soon"), ("MCP_OTEL_BRIDGE_LOG_FORMAT", "xml")],
    );
    assert_eq!(messages.len(), 3, "{messages:#?}");
    assert!(messages[0].starts_with("bridge.yaml: limits.connections"));
    assert!(messages[1].starts_with("environment: OTEL_BSP_SCHEDULE_DELAY: \"soon\" is not a whole number"));
    assert!(messages[2].starts_with("environment: MCP_OTEL_BRIDGE_LOG_FORMAT: \"xml\" is not a log format"));
}

#[test]
fn a_variable_names_the_file_where_no_flag_does() {
    let path = file("named.yaml", "limits: {connections: 5}\n");
    let env = [("MCP_OTEL_BRIDGE_CONFIG", path.to_str().unwrap())];
    assert_eq!(loaded("", &env).config.limits.connections, 5);
    assert_eq!(loaded("limits: {connections: 6}\n", &env).config.limits.connections, 6);
}
