//! The printout loads again as the same; the reference knows every key.

use std::time::Duration;

use mcp_otel_bridge::catalog::Group;
use mcp_otel_bridge::config::{
    Auth, Basic, Config, ExemplarFilter, KeyPair, ListenerTls, OTHER_VARIABLES, Otlp, PushMetrics, PushSpans, Sampler,
    Secret, Selector, Stream, Temporality, TokenSource, Tokens, View, example, reference, show,
};

use crate::support::{file, from_file, loaded};

#[track_caller]
fn round_trip(config: &Config, env: &[(&str, &str)]) {
    let text = show(config);
    assert_eq!(&loaded(&text, env).config, config, "{text}");
}

#[test]
fn the_defaults_load_again() {
    round_trip(&Config::default(), &[]);
}

#[test]
fn everything_set_loads_again() {
    let pem = file("a.pem", "x");
    let token = file("token", "abc");
    let pair = KeyPair { cert_file: pem.clone(), key_file: pem.clone() };
    let from = |path: std::path::PathBuf, tokens: &[&str]| {
        let tokens = tokens.iter().map(|token| Secret::new(*token)).collect();
        Some(Tokens { tokens, source: Some(TokenSource::File(path)) })
    };
    let mut config = Config {
        listen: "0.0.0.0:9464".parse().unwrap(),
        grpc_listen: Some("[::1]:4320".parse().unwrap()),
        tls: Some(ListenerTls { identity: pair.clone(), client_ca_file: Some(pem.clone()) }),
        // A name that looks like a reference, a comment, a boolean.
        data_dir: Some("/var/$HOME/${X}/$$/# no".into()),
        ephemeral: true,
        auth: Auth {
            all: from(token, &["abc"]),
            scrape: from(file("scrape", "old\nnew\n"), &["old", "new"]),
            ingest: from(file("ingest", "i"), &["i"]),
            admin: from(file("admin", "a"), &["a"]),
            basic: Some(Basic {
                username: "prom".into(),
                password: Secret::new("p w"),
                source: Some(TokenSource::File(file("password", "p w\n"))),
            }),
        },
        resource: vec![
            ("service.name".into(), "true".into()),
            ("empty".into(), String::new()),
            ("odd".into(), "a: b # c\n\"d\" 'é' ${E:?}".into()),
            ("number".into(), "1.10".into()),
            ("null".into(), "null".into()),
        ],
        exemplar_filter: ExemplarFilter::AlwaysOff,
        sampler: Sampler { parent_based: true, ratio: 0.000_001 },
        ..Config::default()
    };
    config.metrics.groups = vec![Group::Skill, Group::Bridge];
    config.metrics.enabled = false;
    config.metrics.path = "/m".into();
    config.live.listen = Some("[::1]:8765".parse().unwrap());
    config.live.interval = Duration::from_millis(1500);
    config.live.allowed_origins = vec!["https://grafana.example:3000".into(), "http://[::1]".into()];
    config.mcp.allowed_hosts = vec!["bridge.example".into(), "[::1]:9090".into()];
    config.mcp.allowed_origins = vec!["https://app.example".into()];
    config.limits.body_bytes = 12_345;
    config.limits.request = Duration::from_millis(61_001);
    config.views = vec![
        View {
            selector: Selector { instrument_name: Some("session.*".into()), ..Selector::default() },
            stream: Stream { boundaries: Some(vec![0.1, 1.0, 1e9]), cardinality_limit: Some(3), ..Stream::default() },
        },
        View {
            selector: Selector { instrument_name: Some("*".into()), ..Selector::default() },
            stream: Stream {
                included: Some(vec!["gen_ai.request.model".into(), "component_name".into()]),
                excluded: vec!["shell_type".into()],
                ..Stream::default()
            },
        },
        View {
            selector: Selector { unit: Some("{event}".into()), ..Selector::default() },
            stream: Stream { drop: true, ..Stream::default() },
        },
        View { selector: Selector { unit: Some("s".into()), ..Selector::default() }, stream: Stream::default() },
    ];
    let otlp = Otlp {
        // The value that a secret shows as: it alone comes back.
        headers: vec![("authorization".into(), Secret::new("****"))],
        gzip: true,
        timeout: Duration::from_millis(1234),
        ca_file: Some(pem),
        client: Some(pair),
        ..Otlp::new("https://collector:4317")
    };
    config.push_metrics = Some(PushMetrics {
        interval: Duration::from_millis(15_000),
        timeout: Duration::from_millis(5_000),
        temporality: Temporality::Delta,
        ..PushMetrics::new(otlp.clone())
    });
    config.push_spans = Some(PushSpans { max_queue_size: 100, max_export_batch_size: 10, ..PushSpans::new(otlp) });
    round_trip(&config, &[]);
}

#[test]
fn every_sampler_loads_again() {
    for parent_based in [true, false] {
        for ratio in [0.0, 0.25, 1.0] {
            round_trip(&Config { sampler: Sampler { parent_based, ratio }, ..Config::default() }, &[]);
        }
    }
}

/// Tokens and a password that a program set itself.
fn secret_everywhere() -> Auth {
    let token = || Some(Tokens::from(Secret::new("hunter2")));
    let basic = Basic { username: "prom".into(), password: Secret::new("hunter2"), source: None };
    Auth { all: token(), scrape: token(), ingest: token(), admin: token(), basic: Some(basic) }
}

#[test]
fn secrets_are_masked() {
    let env = [("MCP_OTEL_BRIDGE_TOKEN", "hunter2")];
    let yaml = "tracer_provider: {processors: [{batch: {exporter: {otlp_grpc: {headers_list: 'a=hunter2'}}}}]}\n";
    let config = loaded(yaml, &env).config;
    let text = show(&config);
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("****") && text.contains("token_env: MCP_OTEL_BRIDGE_TOKEN"), "{text}");
    let again = loaded(&text, &env).config;
    assert_eq!(again.auth, config.auth);
    assert_eq!(again.push_spans.unwrap().otlp.headers[0].0, "a");
    // A token of the library's user, from no source, shows as the variable that would set it.
    let text = show(&Config { auth: secret_everywhere(), ..Config::default() });
    for (key, variable) in [
        ("token_env", "MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN"),
        ("token_env", "MCP_OTEL_BRIDGE_AUTH_INGEST_TOKEN"),
        ("token_env", "MCP_OTEL_BRIDGE_AUTH_ADMIN_TOKEN"),
        ("password_env", "MCP_OTEL_BRIDGE_AUTH_BASIC_PASSWORD"),
    ] {
        assert!(text.contains(&format!("{key}: {variable}")), "{text}");
    }
    assert!(text.contains("token_env: MCP_OTEL_BRIDGE_TOKEN") && !text.contains("hunter2"), "{text}");
    let everything = Config { auth: secret_everywhere(), ..Config::default() };
    assert!(!format!("{everything:?}").contains("hunter2"));
}

#[test]
fn the_reference_has_every_key_with_type_default_and_variables() {
    let keys = reference();
    let key = |path: &str| keys.iter().find(|key| key.path == path).unwrap_or_else(|| panic!("{path}"));
    let timeout = key("sessions.timeout");
    assert_eq!(timeout.default.as_deref(), Some("1d"));
    assert_eq!(timeout.env, ["MCP_OTEL_BRIDGE_SESSIONS_TIMEOUT"]);
    assert!(timeout.takes.starts_with("a duration, 1ms to "), "{}", timeout.takes);
    let interval = key("meter_provider.readers[].periodic.interval");
    assert_eq!(
        (interval.default.as_deref(), interval.env.as_slice()),
        (Some("60000"), &["OTEL_METRIC_EXPORT_INTERVAL".to_owned()][..])
    );
    let endpoint = key("tracer_provider.processors[].batch.exporter.otlp_grpc.endpoint");
    assert_eq!(endpoint.env, ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]);
    assert_eq!(endpoint.default.as_deref(), Some("http://localhost:4317"));
    assert_eq!(
        key("prometheus_metrics_path").env,
        ["SESSION_BUDDY_PROMETHEUS_METRICS_PATH", "MCP_OTEL_BRIDGE_PROMETHEUS_METRICS_PATH"]
    );
    assert_eq!(key("meter_provider.views[].selector.instrument_name").default, None);
    for key in &keys {
        assert!(key.doc.ends_with('.') && !key.takes.is_empty(), "{}", key.path);
    }
    let mut paths: Vec<_> = keys.iter().map(|key| &key.path).collect();
    paths.dedup();
    assert_eq!(paths.len(), keys.len());
}

#[test]
fn the_printout_of_the_defaults_has_every_key_that_has_a_default_without_push() {
    let text = show(&from_file(""));
    for name in ["listen: ", "groups:", "series_limit: 2000", "timeout: 1d", "body_bytes: 4MiB", "parent_based:"] {
        assert!(text.contains(name), "{name} in {text}");
    }
    assert!(!text.contains("readers") && !text.contains("token"), "{text}");
}

#[test]
fn any_text_loads_again() {
    for text in [
        "true",
        "null",
        "~",
        "1",
        "1.0",
        "0x1F",
        "*a",
        "&a",
        "!a",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "'",
        "\"",
        "{}",
        "[",
        "%",
        "@",
        "`",
        " lead",
        "trail ",
        "tab\t",
        "line\nbreak",
        "line\n",
        "\n\n",
        "\u{7f}\u{85}\u{feff}",
        "\u{1}",
        "é 🦀",
        "$",
        "$$",
        "${X}",
        "${X:-y}",
        "$${X}",
        "---",
        "...",
        "? a",
        "|",
        ">",
        "<<",
        "=",
        "",
        &"long words ".repeat(60),
        &"x".repeat(500),
    ] {
        round_trip(&Config { resource: vec![("k".into(), text.into())], ..Config::default() }, &[]);
        if !text.is_empty() {
            round_trip(&Config { resource: vec![(text.into(), "v".into())], ..Config::default() }, &[]);
            round_trip(&Config { data_dir: Some(text.into()), ..Config::default() }, &[]);
        }
    }
}

#[test]
fn any_ratio_and_bound_loads_again() {
    for number in [0.1, 1e-9, 1.0 / 3.0, f64::MIN_POSITIVE, 5e-324, 0.999_999_999_999_999_9] {
        let view = View {
            selector: Selector { unit: Some("s".into()), ..Selector::default() },
            stream: Stream { boundaries: Some(vec![-number, number, 1e300]), ..Stream::default() },
        };
        let sampler = Sampler { parent_based: false, ratio: number };
        round_trip(&Config { views: vec![view], sampler, ..Config::default() }, &[]);
    }
}

#[test]
fn the_variables_that_are_no_key_are_listed_once() {
    let keys = reference();
    for (name, doc) in OTHER_VARIABLES {
        assert!(keys.iter().all(|key| key.env.iter().all(|other| other != name)), "{name}");
        assert!(doc.ends_with('.'), "{name}");
    }
}

#[test]
fn the_example_holds_every_key_and_loads_as_the_defaults() {
    let text = example();
    let loaded = loaded(&text, &[]);
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
    // Each key's line stands in it once for each time that the reference has it, with what it sets above it.
    let lines: Vec<&str> = text.lines().map(|line| line.trim_start_matches(['#', ' ', '-'])).collect();
    for key in reference() {
        let name = key.path.rsplit('.').next().unwrap();
        let found = lines.windows(2).any(|pair| {
            pair[0] == format!("{} ({})", key.doc, key.takes)
                && pair[1].strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))
        });
        assert!(found, "{}", key.path);
    }
}
