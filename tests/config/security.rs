//! Tokens, certificates, addresses.

use mcp_otel_bridge::config::{Config, Right, TokenSource, load};

use crate::support::{error, errors, file, loaded, sources};

/// The one token with every right.
fn only(config: &Config) -> &str {
    let [token] = &config.auth.all.as_ref().unwrap().tokens[..] else { panic!("not one token") };
    token.expose()
}

#[test]
fn a_token_comes_from_a_file_or_a_variable() {
    let path = file("token", "file-token\n");
    let yaml = format!("auth: {{token_file: {}}}\n", path.display());
    let config = loaded(&yaml, &[]).config;
    assert_eq!(only(&config), "file-token");
    assert_eq!(config.auth.all.unwrap().source, Some(TokenSource::File(path.clone())));
    let config = loaded("auth: {token_env: MY_TOKEN}\n", &[("MY_TOKEN", "env-token")]).config;
    assert_eq!(only(&config), "env-token");
    assert_eq!(config.auth.all.unwrap().source, Some(TokenSource::Env("MY_TOKEN".into())));
    // The environment goes before the file, even where the file's own would be missing.
    let config = loaded("auth: {token_file: /no/such}\n", &[("MCP_OTEL_BRIDGE_TOKEN", "own-token")]).config;
    assert_eq!(only(&config), "own-token");
    let env = [("MCP_OTEL_BRIDGE_TOKEN_FILE", path.to_str().unwrap()), ("MY_TOKEN", "env-token")];
    let config = loaded("auth: {token_env: MY_TOKEN}\n", &env).config;
    assert_eq!(only(&config), "file-token");
}

#[test]
fn a_token_that_is_not_there_is_an_error() {
    let message = error("auth: {token_file: /no/such}\n", &[]);
    assert!(message.starts_with("bridge.yaml: auth.token_file (line 1): \"/no/such\" cannot be read"), "{message}");
    let empty = file("token", "\n");
    assert!(error(&format!("auth: {{token_file: {}}}\n", empty.display()), &[]).contains("is empty or unset"));
    let message = error("auth: {token_env: MY_TOKEN}\n", &[]);
    assert!(message.contains("the variable that it names is empty or unset"), "{message}");
    let there = file("token", "abc");
    let both = format!("auth: {{token_env: A, token_file: {}}}\n", there.display());
    assert!(error(&both, &[("A", "x")]).contains("auth.token_env (line 1): is set beside `token_file`"));
    let env = [("MCP_OTEL_BRIDGE_TOKEN", "a"), ("MCP_OTEL_BRIDGE_TOKEN_FILE", "/b")];
    assert_eq!(
        error("", &env),
        "environment: MCP_OTEL_BRIDGE_TOKEN: is set beside MCP_OTEL_BRIDGE_TOKEN_FILE; one of them"
    );
}

#[test]
fn a_token_never_stands_in_the_file_nor_in_a_message() {
    for yaml in ["auth: {token: hunter2}\n", "token: hunter2\n"] {
        let message = error(yaml, &[]);
        assert!(message.contains("token_file") && !message.contains("hunter2"), "{message}");
    }
    for yaml in ["auth: {token_env: hunter2}\n", "auth: {token_env: hunter2-hunter2}\n"] {
        let message = error(yaml, &[]);
        assert!(!message.contains("hunter2"), "{message}");
    }
    let message = error("", &[("MCP_OTEL_BRIDGE_TOKEN", "hunter2 with spaces")]);
    assert!(!message.contains("hunter2"), "{message}");
    let path = file("token", "hunter2 with spaces");
    let message = error(&format!("auth: {{token_file: {}}}\n", path.display()), &[]);
    assert!(!message.contains("hunter2"), "{message}");
    let loaded = load(&sources("", &[("MCP_OTEL_BRIDGE_TOKEN", "hunter2")])).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn certificates_must_be_there_with_their_keys() {
    let pem = file("a.pem", "x");
    let pem = pem.to_str().unwrap();
    let config = loaded(&format!("tls: {{cert_file: {pem}, key_file: {pem}}}\n"), &[]).config;
    assert_eq!(config.tls.unwrap().identity.cert_file.to_str(), Some(pem));
    let env = [("MCP_OTEL_BRIDGE_TLS_CERT_FILE", pem), ("MCP_OTEL_BRIDGE_TLS_KEY_FILE", pem)];
    assert!(loaded("", &env).config.tls.is_some());
    let message = error(&format!("tls:\n  cert_file: {pem}\n"), &[]);
    assert!(message.starts_with("bridge.yaml: tls.cert_file (line 2): the certificate has no key"), "{message}");
    let message = error(&format!("tls:\n  key_file: {pem}\n"), &[]);
    assert!(message.starts_with("bridge.yaml: tls.key_file (line 2): the key has no certificate"), "{message}");
    let messages = errors("tls:\n  cert_file: /no/a.pem\n  key_file: /\n", &[]);
    assert_eq!(messages.len(), 2);
    assert!(messages[0].contains("\"/no/a.pem\" cannot be read") && messages[1].contains("is a directory"));
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4317");
    assert!(
        error("", &[endpoint, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no")])
            .contains("environment: OTEL_EXPORTER_OTLP_CERTIFICATE")
    );
    assert!(error("", &[endpoint, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", pem)]).contains("the key has no certificate"));
    let plain = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", pem)];
    assert!(loaded("", &plain).warnings[0].contains("no effect without https"));
}

#[test]
fn an_open_address_without_a_token_is_a_warning() {
    let open = loaded("listen: 0.0.0.0:9090\ngrpc: {listen: '[::]:4320'}\n", &[]);
    assert_eq!(open.warnings.len(), 2);
    assert!(open.warnings[0].contains("0.0.0.0:9090") && open.warnings[1].contains("[::]:4320"));
    let token = [("MCP_OTEL_BRIDGE_TOKEN", "abc")];
    assert!(loaded("listen: 0.0.0.0:9090\n", &token).warnings.is_empty());
    assert!(loaded("listen: '[::1]:9090'\n", &[]).warnings.is_empty());
}

#[test]
fn two_listeners_need_two_addresses() {
    let message = error("listen: 127.0.0.1:9464\ngrpc:\n  listen: 127.0.0.1:9464\n", &[]);
    assert!(
        message.starts_with("bridge.yaml: grpc.listen (line 3): 127.0.0.1:9464 is the address of `listen`"),
        "{message}"
    );
    loaded("listen: 127.0.0.1:0\ngrpc:\n  listen: 127.0.0.1:0\n", &[]);
}

#[test]
fn each_right_has_its_tokens_and_its_variables() {
    let several = file("scrape", "one\n\n two \n");
    let yaml = format!("auth: {{scrape: {{token_file: {}}}, ingest: {{token_env: MINE}}}}\n", several.display());
    let password = file("password", "p:w d\n");
    let env = [
        ("MINE", "three"),
        ("MCP_OTEL_BRIDGE_AUTH_ADMIN_TOKEN", "four"),
        ("MCP_OTEL_BRIDGE_AUTH_BASIC_USERNAME", "prom"),
        ("MCP_OTEL_BRIDGE_AUTH_BASIC_PASSWORD_FILE", password.to_str().unwrap()),
    ];
    let auth = loaded(&yaml, &env).config.auth;
    let all = |right| auth.of(right).unwrap().tokens.iter().map(|token| token.expose()).collect::<Vec<_>>();
    assert_eq!(Right::ALL.map(all), [vec!["one", "two"], vec!["three"], vec!["four"]]);
    assert_eq!(auth.basic.unwrap().password.expose(), "p:w d");
    // The environment goes before the file, and what it sets twice is a fault.
    let env = [("MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN", "own")];
    assert_eq!(loaded(&yaml, &[env[0], ("MINE", "x")]).config.auth.scrape.unwrap().tokens[0].expose(), "own");
    let message = error("", &[env[0], ("MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN_FILE", "/b")]);
    assert!(message.contains("is set beside MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN_FILE; one of them"), "{message}");
}

#[test]
fn halves_of_what_protects_are_errors() {
    for (yaml, place, problem) in [
        ("auth: {basic: {username: u}}\n", "auth.basic.username", "the user name has no password"),
        ("auth: {basic: {password_env: P}}\n", "auth.basic.password_env", "the password has no user name"),
        ("auth: {basic: {username: 'a:b', password_env: P}}\n", "auth.basic.username", "is not a user name"),
        ("tls: {client_ca_file: /dev/null}\n", "tls.client_ca_file", "without TLS no client can show a certificate"),
        ("auth: {scrape: {token_file: /no/such}}\n", "auth.scrape.token_file", "cannot be read"),
        ("auth: {admin: {token_file: /dev/zero}}\n", "auth.admin.token_file", "holds more than"),
    ] {
        let messages = errors(yaml, &[("P", "p")]);
        assert!(messages[0].contains(place) && messages[0].contains(problem), "{messages:?}");
    }
}

#[test]
fn no_secret_of_a_right_stands_in_the_file_nor_in_a_message() {
    for yaml in [
        "auth: {scrape: {token: hunter2}}\n",
        "auth: {basic: {username: u, password: hunter2}}\n",
        "auth: {ingest: {token_env: hunter2-hunter2}}\n",
        "auth: {basic: {username: u, password_env: hunter2}}\n",
    ] {
        let messages = errors(yaml, &[]).concat();
        assert!(!messages.contains("hunter2"), "{messages}");
    }
    for (variable, wrong) in [
        ("MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN", "hunter2 with spaces"),
        ("MCP_OTEL_BRIDGE_AUTH_BASIC_PASSWORD", "hunter2\u{7}"),
    ] {
        let messages = errors("", &[(variable, wrong)]).concat();
        assert!(messages.contains(variable) && !messages.contains("hunter2"), "{messages}");
    }
    let several = file("tokens", "fine\nhunter2 with spaces\n");
    let message = error(&format!("auth: {{admin: {{token_file: {}}}}}\n", several.display()), &[]);
    assert!(message.contains("does not hold a token") && !message.contains("hunter2"), "{message}");
}

#[test]
fn what_nobody_may_do_is_a_warning() {
    let warned = |env: &[(&str, &str)]| loaded("listen: 0.0.0.0:9090\n", env).warnings.concat();
    let scrape = warned(&[("MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN", "a")]);
    assert!(scrape.starts_with("nobody may report: no token has the right `ingest`"), "{scrape}");
    let ingest = warned(&[("MCP_OTEL_BRIDGE_AUTH_INGEST_TOKEN", "a")]);
    assert!(ingest.starts_with("nobody may read: no token has the right `scrape`"), "{ingest}");
    assert_eq!(warned(&[("MCP_OTEL_BRIDGE_AUTH_ADMIN_TOKEN", "a")]), "");
}
