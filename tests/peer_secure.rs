//! A real Prometheus scrapes a bridge that is closed to others: over mTLS with a token, and with a user name and
//! password; with anything else it stays down. Nothing secret shows in what the bridge writes.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used)]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/peers/mod.rs"]
mod peers;

use authority::Authority;
use peers::bridge::Bridge;
use peers::prometheus::Prometheus;
use peers::until;
use serde_json::Value;

const TOKEN: &str = "t0ken-of-the-scraper";
const PASSWORD: &str = "passw0rd of the scraper";

#[test]
fn prometheus_scrapes_with_certificate_and_token_or_password_and_with_nothing_less() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let (server, client, stranger) = (authority.issue("server"), authority.issue("client"), foreign.issue("client"));
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let token = file("token", TOKEN);
    let password = file("password", PASSWORD);
    let bridge = Bridge::options()
        .variable("MCP_OTEL_BRIDGE_TLS_CERT_FILE", &server.cert_file.display().to_string())
        .variable("MCP_OTEL_BRIDGE_TLS_KEY_FILE", &server.key_file.display().to_string())
        .variable("MCP_OTEL_BRIDGE_TLS_CLIENT_CA_FILE", &authority.file().display().to_string())
        .variable("MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN_FILE", &token)
        .variable("MCP_OTEL_BRIDGE_AUTH_INGEST_TOKEN", "an0ther-token")
        .variable("MCP_OTEL_BRIDGE_AUTH_BASIC_USERNAME", "prometheus")
        .variable("MCP_OTEL_BRIDGE_AUTH_BASIC_PASSWORD_FILE", &password)
        .variable("MCP_OTEL_BRIDGE_LOG_FILTER", "debug")
        .start();

    let job = |name: &str, shown: Option<&authority::Issued>, authorization: &str| {
        let certificate = shown.map_or(String::new(), |shown| {
            format!(", cert_file: \"{}\", key_file: \"{}\"", shown.cert_file.display(), shown.key_file.display())
        });
        format!(
            "{{job_name: {name}, scheme: https, static_configs: [{{targets: [\"{}\"]}}], {authorization}\
             tls_config: {{ca_file: \"{}\"{certificate}}}}}",
            bridge.address,
            authority.file().display()
        )
    };
    let bearer = format!("authorization: {{credentials_file: \"{token}\"}}, ");
    let basic = format!("basic_auth: {{username: prometheus, password_file: \"{password}\"}}, ");
    let prometheus = Prometheus::with_jobs(
        "500ms",
        &[
            job("token", Some(&client), &bearer),
            job("password", Some(&client), &basic),
            job("wrong-token", Some(&client), "authorization: {credentials: wr0ng-token}, "),
            job("wrong-right", Some(&client), "authorization: {credentials: an0ther-token}, "),
            job("wrong-password", Some(&client), "basic_auth: {username: prometheus, password: wr0ng-password}, "),
            job("no-certificate", None, &bearer),
            job("foreign-certificate", Some(&stranger), &bearer),
        ],
    );
    let targets = || prometheus.page("targets")["activeTargets"].as_array().unwrap().clone();
    let targets = until("a scrape of each job", || {
        let targets = targets();
        (targets.len() == 7 && targets.iter().all(|target| target["health"] != "unknown")).then_some(targets)
    });
    let of = |job: &str| {
        let target = targets.iter().find(|target| target["labels"]["job"] == job).unwrap();
        let text = |name: &str| target.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("health"), text("lastError"))
    };
    for job in ["token", "password"] {
        assert_eq!(of(job), ("up".to_owned(), String::new()), "{job}");
        until("samples", || {
            prometheus.value(&format!("count({{job=\"{job}\"}}) > bool 10")).filter(|more| *more == 1.0)
        });
    }
    for (job, why) in [
        ("wrong-token", "401"),
        ("wrong-password", "401"),
        ("wrong-right", "403"),
        ("no-certificate", "403"),
        ("foreign-certificate", ""),
    ] {
        let (health, error) = of(job);
        assert!(health == "down" && !error.is_empty() && error.contains(why), "{job}: {health} {error}");
        assert_eq!(prometheus.value(&format!("max_over_time(up{{job=\"{job}\"}}[1m])")), Some(0.0), "{job}");
    }

    let log = bridge.process.lines().join("\n");
    assert!(log.contains("a TLS handshake failed"), "{log}");
    let names = prometheus.page("label/__name__/values").to_string();
    assert!(names.contains("bridge_"), "{names}");
    let series = format!("{:?}", prometheus.query("{job=\"token\"}"));
    for secret in [TOKEN, PASSWORD, "an0ther-token", "wr0ng-token", "wr0ng-password", "PRIVATE KEY"] {
        assert!(!log.contains(secret) && !series.contains(secret), "{secret} shows");
    }
}
