//! The file: its own keys, its messages, its syntax.

use std::time::Duration;

use mcp_otel_bridge::catalog::Group;
use mcp_otel_bridge::config::{Config, Durability, LogFormat, Sources, load};

use crate::support::{error, errors, from_file, loaded, sources};

#[test]
fn an_empty_file_and_none_give_the_defaults() {
    assert_eq!(from_file("# nothing\n"), Config::default());
    assert_eq!(from_file(""), Config::default());
    assert_eq!(from_file("limits:\nlisten:\nmeter_provider:\n"), Config::default());
}

#[test]
fn every_key_of_the_bridge_sets_its_value() {
    let config = from_file(
        "listen: 127.0.0.1:9464
grpc: {listen: '[::1]:4320'}
data_dir: /var/lib/bridge
ephemeral: true
durability: off
log: {format: json, filter: 'mcp_otel_bridge=debug,warn'}
limits:
  body_bytes: 1MiB
  connections: 10
  first_bytes: 1s
  tls_handshake: 2s
  headers: 1m30s
  request: 250ms
  idle_stream: 1h
  queue_events: 20
  shutdown: 3s
metrics:
  groups: {mcp_hub: false, gen_ai: false}
  series_limit: 50
sessions: {timeout: 12h, max_active: 30, remember_ended: 2d}
events: {dedupe_horizon: 1h, dedupe_max: 40}
requests: {timeout: 5m, max_active: 60}
system: {enabled: false, interval: 1m}
app: {name: my hub, version: '2'}
circuit_breakers: {max_latency_samples: 500, observe_requests: true}
enable_prometheus_metrics: false
prometheus_metrics_path: /scrape
",
    );
    assert_eq!(config.listen.to_string(), "127.0.0.1:9464");
    assert_eq!(config.grpc_listen.unwrap().to_string(), "[::1]:4320");
    assert_eq!(config.data_dir.unwrap().to_str(), Some("/var/lib/bridge"));
    assert!(config.ephemeral);
    assert_eq!(config.durability, Durability::Off);
    assert_eq!((config.log.format, config.log.filter.as_str()), (LogFormat::Json, "mcp_otel_bridge=debug,warn"));
    let limits = config.limits;
    assert_eq!((limits.body_bytes, limits.connections, limits.queue_events), (1 << 20, 10, 20));
    assert_eq!((limits.first_bytes, limits.tls_handshake), (Duration::from_secs(1), Duration::from_secs(2)));
    assert_eq!((limits.headers, limits.request), (Duration::from_secs(90), Duration::from_millis(250)));
    assert_eq!((limits.idle_stream, limits.shutdown), (Duration::from_secs(3600), Duration::from_secs(3)));
    let groups = [Group::Session, Group::Skill, Group::CircuitBreaker, Group::Mcp, Group::Bridge];
    assert_eq!(config.metrics.groups, groups);
    assert_eq!(config.metrics.series_limit, 50);
    assert_eq!((config.metrics.enabled, config.metrics.path.as_str()), (false, "/scrape"));
    let sessions = config.sessions;
    assert_eq!((sessions.timeout, sessions.max_active), (Duration::from_secs(43_200), 30));
    assert_eq!(sessions.remember_ended, Duration::from_secs(172_800));
    assert_eq!((config.events.dedupe_horizon, config.events.dedupe_max), (Duration::from_secs(3600), 40));
    assert_eq!((config.requests.timeout, config.requests.max_active), (Duration::from_secs(300), 60));
    assert_eq!((config.system.enabled, config.system.interval), (false, Duration::from_secs(60)));
    assert_eq!((config.app.name.as_deref(), config.app.version.as_deref()), (Some("my hub"), Some("2")));
    let breakers = config.circuit_breakers;
    assert_eq!((breakers.max_latency_samples, breakers.observe_requests), (500, true));
}

#[test]
fn every_group_has_its_switch() {
    for group in Group::ALL {
        let config = from_file(&format!("metrics: {{groups: {{{}: false}}}}\n", group.name()));
        assert!(!config.metrics.groups.contains(&group), "{}", group.name());
        assert_eq!(config.metrics.groups.len(), Group::ALL.len() - 1);
    }
}

#[test]
fn ten_mistakes_give_ten_messages_in_the_file_s_order() {
    let yaml = "lisetn: 127.0.0.1:9464
log: {format: xml}
limits:
  connections: 0
  request: 30
metrics:
  groups: {sessions: true}
prometheus_metrics_path: metrics
meter_provider:
  readers:
    - periodic:
        interval: 5s
        exporter: {otlp_http: {}}
  views:
    - selector: {instrument_name: session.duratoin}
      stream: {}
tracer_provider:
  sampler: {trace_id_ratio_based: {ratio: 2}}
";
    let expected = [
        "bridge.yaml: lisetn (line 1): is not a known key; did you mean `listen`?",
        "bridge.yaml: log.format (line 2): \"xml\" is not a log format; one of `human`, `json`",
        "bridge.yaml: limits.connections (line 4): \"0\" is out of range; 1 to 1000000",
        "bridge.yaml: limits.request (line 5): 30 has no unit; a number with d, h, m, s or ms, such as 30s or 30ms",
        "bridge.yaml: metrics.groups.sessions (line 7): is not a known key; did you mean `session`?",
        "bridge.yaml: prometheus_metrics_path (line 8): \"metrics\" does not begin with `/`; a path such as /metrics",
        "bridge.yaml: meter_provider.readers[0].periodic.interval (line 12): \"5s\" is not a whole number of \
         milliseconds; digits alone, such as 5000",
        "bridge.yaml: meter_provider.readers[0].periodic.exporter.otlp_http (line 13): is not taken here; only \
         `otlp_grpc`; a collector takes it on port 4317",
        "bridge.yaml: meter_provider.views[0].selector.instrument_name (line 15): \"session.duratoin\" matches no \
         instrument; did you mean `session.duration`?",
        "bridge.yaml: tracer_provider.sampler.trace_id_ratio_based.ratio (line 18): \"2\" is not a ratio; a number \
         from 0 to 1, such as 0.1",
    ];
    assert_eq!(errors(yaml, &[]), expected);
    let shown = load(&sources(yaml, &[])).unwrap_err().to_string();
    assert_eq!(shown.lines().count(), 10);
}

#[test]
fn an_unknown_key_far_from_all_others_is_told_what_is_known() {
    assert_eq!(
        error("log: {colour: red}\n", &[]),
        "bridge.yaml: log.colour (line 1): is not a known key; known here: `format`, `filter`"
    );
}

#[test]
fn keys_of_opentelemetry_that_the_bridge_has_not_are_told_apart() {
    for key in ["logger_provider", "propagator", "attribute_limits", "log_level"] {
        assert!(error(&format!("{key}: {{}}\n"), &[]).contains("is not taken here"), "{key}");
    }
    assert_eq!(from_file("file_format: \"1.0\"\ndisabled: false\n"), Config::default());
    assert_eq!(from_file("file_format: 1.0\n"), Config::default());
}

#[test]
fn a_value_of_the_wrong_shape_is_an_error() {
    assert!(error("limits: 5\n", &[]).contains("is a single value, not a mapping"));
    assert!(error("listen: [a]\n", &[]).contains("is a list, not an address and port"));
    assert!(error("resource: {attributes: {a: b}}\n", &[]).contains("is a mapping, not a list"));
    assert!(error("limits: {connections: '5'}\n", &[]).contains("is text in quotes, not a whole number"));
    assert!(error("- a\n", &[]).contains("is a list, not a mapping"));
    assert!(error("ephemeral: yes\n", &[]).contains("\"yes\" is not a boolean"));
}

#[test]
fn a_syntax_error_is_one_message_with_line_and_column() {
    let message = error("listen: 127.0.0.1:9464\nlimits: {connections: 5\nlog: }\n", &[]);
    assert!(message.starts_with("bridge.yaml: line 3, column "), "{message}");
    assert!(message.contains("not YAML"), "{message}");
}

#[test]
fn a_duplicate_key_is_an_error() {
    let message = error("log: {format: json}\nlisten: 127.0.0.1:1\nlog: {filter: debug}\n", &[]);
    assert_eq!(message, "bridge.yaml: log (line 3): stands here a second time, after line 1; keep one of them");
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_error() {
    let missing = Sources { file: Some("/no/such/bridge.yaml".into()), ..Sources::default() };
    let errors = load(&missing).unwrap_err();
    assert_eq!(errors.errors().len(), 1);
    let text = errors.to_string();
    assert!(text.starts_with("/no/such/bridge.yaml: cannot be read: "), "{text}");
    let directory = Sources { file: Some(env!("CARGO_TARGET_TMPDIR").into()), ..Sources::default() };
    assert!(load(&directory).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn limits_have_ranges() {
    for yaml in [
        "limits: {body_bytes: 0}",
        "limits: {body_bytes: 2GiB}",
        "limits: {queue_events: 0}",
        "limits: {headers: 0s}",
        "limits: {shutdown: 48h}",
        "metrics: {series_limit: 0}",
        "sessions: {timeout: 0ms}",
        "sessions: {max_active: 0}",
        "sessions: {remember_ended: 4000d}",
        "events: {dedupe_max: 0}",
        "events: {dedupe_horizon: 0s}",
        "circuit_breakers: {max_latency_samples: 0}",
        "circuit_breakers: {max_latency_samples: 100001}",
        "skills: {retention: 1h}",
        "skills: {max_invocations: 0}",
        "skills: {refresh_interval: 10ms}",
        "skills: {anomalies: {min_windows: 1}}",
        "skills: {anomalies: {window: 0s}}",
    ] {
        assert!(error(yaml, &[]).contains("is out of range"), "{yaml}");
    }
}

#[test]
fn the_search_for_anomalies_is_set_in_the_file() {
    let config = from_file(
        "skills:
  retention: 10d
  max_invocations: 5000
  max_skills: 50
  refresh_interval: 30s
  anomalies: {enabled: false, interval: 1m, window: 30m, baseline: 7d, threshold: 3, min_samples: 5, min_windows: 9, cooldown: 2h}
",
    );
    let skills = config.skills;
    assert_eq!((skills.retention, skills.refresh_interval), (Duration::from_secs(864_000), Duration::from_secs(30)));
    assert_eq!((skills.max_invocations, skills.max_skills), (5000, 50));
    let anomalies = skills.anomalies;
    assert!(!anomalies.enabled);
    assert_eq!((anomalies.interval, anomalies.cooldown), (Duration::from_secs(60), Duration::from_secs(7200)));
    assert_eq!((anomalies.window, anomalies.baseline), (Duration::from_secs(1800), Duration::from_secs(604_800)));
    assert_eq!((anomalies.threshold, anomalies.min_samples, anomalies.min_windows), (3.0, 5, 9));
}

#[test]
fn a_search_that_could_never_judge_is_refused() {
    for (yaml, wrong) in [
        ("window: 7m", "is not a multiple of 5m"),
        ("threshold: 0", "is not a threshold"),
        ("threshold: -2", "is not a threshold"),
        ("baseline: 5h", "holds 5 windows, and `min_windows` asks for 6"),
        ("window: 6h", "holds 4 windows, and `min_windows` asks for 6"),
    ] {
        let message = error(&format!("skills: {{anomalies: {{{yaml}}}}}\n"), &[]);
        assert!(message.contains(wrong), "{yaml}: {message}");
    }
}

#[test]
fn the_live_feed_is_set_by_its_keys() {
    let config = from_file(
        "live: {listen: '127.0.0.1:8765', interval: 500ms, max_clients: 7, \
         allowed_origins: ['https://a.example', 'http://[::1]:3000']}\n",
    );
    assert_eq!(config.live.listen.unwrap().to_string(), "127.0.0.1:8765");
    assert_eq!((config.live.interval.as_millis(), config.live.max_clients), (500, 7));
    assert_eq!(config.live.allowed_origins, ["https://a.example", "http://[::1]:3000"]);
    // A variable holds a list with commas.
    let env = [
        ("MCP_OTEL_BRIDGE_LIVE_ALLOWED_ORIGINS", "https://a.example, http://b:80"),
        ("MCP_OTEL_BRIDGE_LIVE_ENABLED", "false"),
    ];
    let config = loaded("", &env).config;
    assert_eq!(config.live.allowed_origins, ["https://a.example", "http://b:80"]);
    assert!(!config.live.enabled && loaded("", &[]).config.live.enabled);
    for (yaml, wrong) in [
        ("allowed_origins: ['*']", "is not an origin"),
        ("allowed_origins: [a.example]", "is not an origin"),
        ("allowed_origins: ['https://a.example/']", "is not an origin"),
        ("allowed_origins: ['https://u@a.example']", "is not an origin"),
        ("allowed_origins: https://a.example", "not a list"),
        ("interval: 10ms", "out of range"),
        ("max_clients: 0", "out of range"),
        ("listen: 127.0.0.1:9090", "is the address of `listen`"),
    ] {
        let message = error(&format!("live: {{{yaml}}}\n"), &[]);
        assert!(message.contains(wrong), "{yaml}: {message}");
    }
    let message = error("grpc: {listen: '127.0.0.1:8765'}\nlive: {listen: '127.0.0.1:8765'}\n", &[]);
    assert!(message.contains("is the address of `grpc.listen`"), "{message}");
    let warnings = loaded("live: {listen: '0.0.0.0:8765'}\n", &[]).warnings;
    assert!(warnings.iter().any(|warning| warning.contains("0.0.0.0:8765")), "{warnings:?}");
    let warnings = loaded("live: {enabled: false, listen: '0.0.0.0:8765'}\n", &[]).warnings;
    assert_eq!(warnings, ["live.listen has no effect: live.enabled is false"]);
}

#[test]
fn who_may_ask_the_mcp_server_is_set_by_its_keys() {
    let config = from_file(
        "mcp: {allowed_hosts: [bridge.example, 'bridge.example:9090', '[::1]:80', 10.0.0.7], \
         allowed_origins: ['https://a.example']}\n",
    );
    assert_eq!(config.mcp.allowed_hosts, ["bridge.example", "bridge.example:9090", "[::1]:80", "10.0.0.7"]);
    assert_eq!(config.mcp.allowed_origins, ["https://a.example"]);
    let env = [("MCP_OTEL_BRIDGE_MCP_ALLOWED_HOSTS", "a.example, b.example:80")];
    assert_eq!(loaded("", &env).config.mcp.allowed_hosts, ["a.example", "b.example:80"]);
    assert_eq!(loaded("", &[]).config.mcp, mcp_otel_bridge::config::Mcp::default());
    for (yaml, wrong) in [
        ("allowed_hosts: ['*']", "is not a host"),
        ("allowed_hosts: ['https://a.example']", "is not a host"),
        ("allowed_hosts: ['a.example/']", "is not a host"),
        ("allowed_hosts: ['u@a.example']", "is not a host"),
        ("allowed_hosts: ['a.example:port']", "is not a host"),
        ("allowed_hosts: ['a.example:70000']", "is not a host"),
        ("allowed_hosts: ['a.example:']", "is not a host"),
        ("allowed_hosts: ['']", "is not a host"),
        ("allowed_hosts: a.example", "not a list"),
        ("allowed_origins: [a.example]", "is not an origin"),
    ] {
        let message = error(&format!("mcp: {{{yaml}}}\n"), &[]);
        assert!(message.contains(wrong), "{yaml}: {message}");
    }
}

#[test]
fn the_scrape_s_path_is_a_path_of_its_own() {
    for path in [
        "/",
        "/v1",
        "/v1/metrics",
        "/livez",
        "/readyz",
        "/health/metrics",
        "/prometheus/query",
        "/live",
        "/mcp",
        "/mcp/",
        "/api/get_prometheus_metrics_service",
    ] {
        let message = error(&format!("prometheus_metrics_path: {path}\n"), &[]);
        assert!(message.contains("is another endpoint of the bridge"), "{message}");
    }
    for path in ["metrics", "/{x}", "/a?b", "\"/a b\"", "/*"] {
        assert_eq!(errors(&format!("prometheus_metrics_path: {path}\n"), &[]).len(), 1, "{path}");
    }
    for path in ["/metrics", "/a/b-c_d.e", "/v2", "/health", "/lively"] {
        assert_eq!(from_file(&format!("prometheus_metrics_path: {path}\n")).metrics.path, path);
    }
}

#[test]
fn the_seeds_port_is_the_listener_s_and_keeps_its_address() {
    let loaded = loaded("prometheus_metrics_port: 9100\nlisten: 127.0.0.2:9464\n", &[]);
    assert_eq!(loaded.config.listen.to_string(), "127.0.0.2:9100");
    assert!(error("prometheus_metrics_port: 70000\n", &[]).contains("is not a port"));
}

#[test]
fn variables_are_put_into_values() {
    let env = [("PORT", "9464"), ("LIMIT", "7"), ("HOST", "127.0.0.2")];
    let config = loaded("listen: ${HOST}:${env:PORT}\nlimits:\n  connections: ${LIMIT}\n", &env).config;
    assert_eq!(config.listen.to_string(), "127.0.0.2:9464");
    assert_eq!(config.limits.connections, 7);
    let config =
        loaded("data_dir: ${DIR:-/var/lib/x}/$$y\nlog: {filter: \"${LEVEL}\"}\n", &[("LEVEL", "debug")]).config;
    assert_eq!(config.data_dir.unwrap().to_str(), Some("/var/lib/x/$y"));
    assert_eq!(config.log.filter, "debug");
    // Undefined is null, which leaves the default.
    assert_eq!(from_file("listen: ${UNDEFINED}\n"), Config::default());
    let message = error("log:\n  filter: ${LEVEL:?gone}\n", &[]);
    assert!(
        message.starts_with("bridge.yaml: log.filter (line 2): \"${LEVEL:?gone}\" is not a reference"),
        "{message}"
    );
    // Quotes keep it text, as OpenTelemetry has it.
    assert!(error("limits: {connections: \"${LIMIT}\"}\n", &env).contains("is text in quotes"));
}

#[test]
fn comments_may_stand_anywhere() {
    let config = from_file(
        "# the whole file
listen: 127.0.0.1:9464 # after a value
sessions: # after a key
  # before a key
  timeout: 12h
metrics: {groups: {skill: false}} # after a flow mapping
meter_provider:
  readers: # before a list
    # before an item
    - periodic: # in an item
        interval: 1000 # milliseconds
        exporter: {otlp_grpc: {endpoint: \"http://collector:4317\"}}
    # after the last item
# at the end",
    );
    assert_eq!((config.listen.port(), config.sessions.timeout), (9464, Duration::from_secs(43_200)));
    assert!(!config.metrics.groups.contains(&Group::Skill));
    let push = config.push_metrics.unwrap();
    assert_eq!((push.interval, push.otlp.endpoint.as_str()), (Duration::from_secs(1), "http://collector:4317"));
}

#[test]
fn no_file_makes_the_reading_stop_short() {
    let whole = "listen: 127.0.0.1:9464 # a
tls: &t {cert_file: /a, key_file: \"b\"}
resource: {attributes: [{name: a, value: ${X:-y}}, *t]}
meter_provider:
  readers: [{periodic: {interval: 1, exporter: {otlp_grpc: {headers: [{name: a, value: b}]}}}}]
  views:
    - selector: {instrument_name: '*'}
      stream: {aggregation: {explicit_bucket_histogram: {boundaries: [1, 2]}}, attribute_keys: {included: ['*']}}
tracer_provider: {sampler: {parent_based: {root: {always_on: }}}}
";
    let sources = sources(whole, &[]);
    let path = sources.file.clone().unwrap();
    let mut texts: Vec<String> =
        vec!["[".repeat(100_000), "a: ".repeat(10_000), "- ".repeat(10_000), "\u{feff}listen: x".into()];
    for at in 0..whole.len() {
        texts.push(whole[..at].to_owned());
        for with in ["[", "}", ": ", "\"", "$", "\n", "*", "é"] {
            texts.push(format!("{}{with}{}", &whole[..at], &whole[at + 1..]));
        }
    }
    for text in texts {
        std::fs::write(&path, &text).unwrap();
        if let Err(errors) = load(&sources) {
            assert!(errors.errors().iter().all(|error| !error.to_string().contains('\n')), "{text}\n{errors}");
        }
    }
}
