//! Tokens, certificates, addresses.

use mcp_otel_bridge::config::{TokenSource, load};

use crate::support::{error, errors, file, loaded, sources};

#[test]
fn a_token_comes_from_a_file_or_a_variable() {
    let path = file("token", "file-token\n");
    let yaml = format!("auth: {{token_file: {}}}\n", path.display());
    let config = loaded(&yaml, &[]).config;
    assert_eq!(config.token.unwrap().expose(), "file-token");
    assert_eq!(config.token_source, Some(TokenSource::File(path.clone())));
    let config = loaded("auth: {token_env: MY_TOKEN}\n", &[("MY_TOKEN", "env-token")]).config;
    assert_eq!(config.token.unwrap().expose(), "env-token");
    assert_eq!(config.token_source, Some(TokenSource::Env("MY_TOKEN".into())));
    // The environment goes before the file, even where the file's own would be missing.
    let config = loaded("auth: {token_file: /no/such}\n", &[("MCP_OTEL_BRIDGE_TOKEN", "own-token")]).config;
    assert_eq!(config.token.unwrap().expose(), "own-token");
    let env = [("MCP_OTEL_BRIDGE_TOKEN_FILE", path.to_str().unwrap()), ("MY_TOKEN", "env-token")];
    let config = loaded("auth: {token_env: MY_TOKEN}\n", &env).config;
    assert_eq!(config.token.unwrap().expose(), "file-token");
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
    assert_eq!(config.tls.unwrap().cert_file.to_str(), Some(pem));
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
