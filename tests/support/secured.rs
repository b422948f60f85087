//! A bridge, as a process, that asks for the certificates of its clients; and what a client of it is told.

use std::path::Path;
use std::process::Command;

use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::authority::{Authority, Issued};
use crate::process::{Serving, program};

pub const URL: &str = "MCP_OTEL_BRIDGE_URL";
pub const CA_FILE: &str = "MCP_OTEL_BRIDGE_CA_FILE";
pub const CERTIFICATE: &str = "MCP_OTEL_BRIDGE_CLIENT_CERTIFICATE";
pub const KEY: &str = "MCP_OTEL_BRIDGE_CLIENT_KEY";

/// Variables of an environment.
pub type Variables = Vec<(&'static str, String)>;

pub struct Secured {
    pub bridge: Serving,
    /// Made the bridge's certificate, and those of its clients.
    pub authority: Authority,
    client: Issued,
}

impl Secured {
    /// On a free port, in memory, with these variables beside those of its TLS.
    pub fn start(more: &[(&str, &str)]) -> Self {
        let mut command = program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--ephemeral"]).envs(more.iter().copied());
        Self::spawn(&mut command, Authority::new())
    }

    /// As that command says, with that authority.
    pub fn spawn(command: &mut Command, authority: Authority) -> Self {
        let server = authority.issue("server");
        let bridge = Serving::spawn(command.envs(asking(&server, &authority)));
        Self { bridge, client: authority.issue("client"), authority }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.bridge.address())
    }

    /// What a client is told: where the bridge is, whom to trust, and what to show, if anything.
    pub fn known_by(&self, shown: Option<&Issued>) -> Variables {
        let mut variables = vec![(URL, self.url()), (CA_FILE, shows(&self.authority.file()))];
        if let Some(shown) = shown {
            variables.extend([(CERTIFICATE, shows(&shown.cert_file)), (KEY, shows(&shown.key_file))]);
        }
        variables
    }

    /// The same with a certificate of the bridge's authority.
    pub fn to_client(&self) -> Variables {
        self.known_by(Some(&self.client))
    }

    /// How many events it has accepted from this kind of client, as it tells one with a certificate and this token.
    pub fn accepted(&self, source: &str, token: &str) -> u64 {
        accepted(&agent(&self.authority, &self.client), &self.url(), source, token)
    }
}

/// A client of another make, with a certificate.
pub fn agent(authority: &Authority, client: &Issued) -> ureq::Agent {
    let trusted = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let shown = Certificate::from_pem(client.cert.as_bytes()).unwrap();
    let key = PrivateKey::from_pem(client.key.as_bytes()).unwrap();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[trusted]))
        .client_cert(Some(ClientCert::new_with_certs(&[shown], key)))
        .build();
    ureq::Agent::config_builder().tls_config(tls).build().new_agent()
}

/// How many events of this kind of client a bridge has accepted.
pub fn accepted(agent: &ureq::Agent, url: &str, source: &str, token: &str) -> u64 {
    let request = agent.get(format!("{url}/metrics")).header("authorization", format!("Bearer {token}"));
    let metrics = request.call().unwrap().body_mut().read_to_string().unwrap();
    let start = format!("bridge_events_accepted_total{{source=\"{source}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |count| count.parse().unwrap())
}

/// What a bridge is told that asks for certificates.
pub fn asking(server: &Issued, clients: &Authority) -> Variables {
    vec![
        ("MCP_OTEL_BRIDGE_TLS_CERT_FILE", shows(&server.cert_file)),
        ("MCP_OTEL_BRIDGE_TLS_KEY_FILE", shows(&server.key_file)),
        ("MCP_OTEL_BRIDGE_TLS_CLIENT_CA_FILE", shows(&clients.file())),
    ]
}

fn shows(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The variables without this one.
pub fn without(name: &str, variables: Variables) -> Variables {
    variables.into_iter().filter(|(other, _)| *other != name).collect()
}
