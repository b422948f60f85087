//! `wrap` and a bridge that asks for the certificates of its clients.

use std::path::Path;
use std::process::Command;

use crate::authority::Authority;
use crate::client::{Wrapped, wrap};
use crate::process::program;
use crate::secured::{self, CA_FILE, CERTIFICATE, KEY, Secured, Variables};
use crate::session::{Session, command, command_with, free_address};
use crate::support::events::until;

fn told(variables: &Variables) -> Session {
    let mut command = command();
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    Session::of(command)
}

#[test]
fn a_session_is_reported_with_the_certificate() {
    let secured = Secured::start(&[]);
    let mut session = told(&secured.to_client());
    session.ping(10);
    assert_eq!(session.close(), "");
    // The start, the handshake, the pings and the end.
    assert_eq!(secured.accepted("wrap", ""), 13);
}

#[test]
fn a_session_goes_on_and_says_once_which_certificate_would_be_right() {
    let secured = Secured::start(&[]);
    let foreign = Authority::new();
    let stranger = foreign.issue("stranger");
    let mut half = secured.to_client();
    half.retain(|(name, _)| *name != KEY);
    for (variables, said) in [
        (secured.known_by(None), "asks for a certificate of its clients"),
        (secured.known_by(Some(&stranger)), "does not take the certificate in"),
        (half, "MCP_OTEL_BRIDGE_CLIENT_KEY is not"),
    ] {
        let mut session = told(&variables);
        session.ping(10);
        let errors = session.close();
        assert_eq!(errors.matches(said).count(), 1, "{errors}");
        // The other line tells how much was not delivered.
        assert!(errors.contains("13 reports were not delivered") && errors.lines().count() == 2, "{errors}");
    }
    assert_eq!(secured.accepted("wrap", ""), 0);
}

fn at(address: &str, dir: &Path, token: &str) -> Command {
    let mut command = program();
    command.args(["serve", "--listen", address, "--data-dir"]).arg(dir).env("MCP_OTEL_BRIDGE_TOKEN", token);
    command
}

#[test]
fn what_was_renewed_while_the_session_goes_on_is_shown_from_then_on() {
    let (address, data, own) = (free_address(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [ca, certificate, key, token] = ["ca", "certificate", "key", "token"].map(|name| own.path().join(name));
    let old = Secured::spawn(&mut at(&address, data.path(), "old-token"), Authority::new());
    let client = old.authority.issue("wrapper");
    std::fs::copy(old.authority.file(), &ca).unwrap();
    std::fs::copy(&client.cert_file, &certificate).unwrap();
    std::fs::copy(&client.key_file, &key).unwrap();
    std::fs::write(&token, "old-token\n").unwrap();
    let mut command = command();
    command.env("MCP_OTEL_BRIDGE_URL", old.url()).env(CA_FILE, &ca).env(CERTIFICATE, &certificate).env(KEY, &key);
    command.env("MCP_OTEL_BRIDGE_TOKEN_FILE", &token);
    let mut session = Session::of(command);
    session.ping(10);
    until("12 accepted", || old.accepted("wrap", "old-token") == 12);

    // Half of a pair is none: what was shown before still holds.
    let renewed = Authority::new();
    let client = renewed.issue("wrapper");
    std::fs::copy(&client.cert_file, &certificate).unwrap();
    session.ping(10);
    until("22 accepted", || old.accepted("wrap", "old-token") == 22);

    // All that either shows and trusts is another's.
    old.bridge.stop("-TERM");
    std::fs::copy(&client.key_file, &key).unwrap();
    std::fs::copy(renewed.file(), &ca).unwrap();
    std::fs::write(&token, "new-token\n").unwrap();
    let new = Secured::spawn(&mut at(&address, data.path(), "new-token"), renewed);
    session.ping(10);
    until("the rest", || new.accepted("wrap", "new-token") == 10);
    assert_eq!(session.close(), "");
    assert_eq!(new.accepted("wrap", "new-token"), 11);
}

#[test]
fn files_that_were_not_there_when_the_session_began_are_used_once_they_are() {
    let secured = Secured::start(&[]);
    let client = secured.authority.issue("wrapper");
    let away = client.cert_file.with_extension("away");
    std::fs::rename(&client.cert_file, &away).unwrap();
    let mut command = wrap(&[], "cat");
    command.envs(secured.known_by(Some(&client)));
    let mut session = Wrapped::start(command);
    // It has asked once, in vain, before it is tried again.
    let said = session.errors_until("nothing is reported meanwhile\n");
    assert!(said.contains("cannot read") && said.contains(CERTIFICATE), "{said}");
    std::fs::rename(&away, &client.cert_file).unwrap();
    session.close_stdin();
    assert!(session.wait().success());
    until("the start and the end", || secured.accepted("wrap", "") == 2);
}

#[test]
fn the_bridge_inside_and_one_that_is_joined_are_shown_the_certificate() {
    let (address, data, authority) = (free_address(), tempfile::tempdir().unwrap(), Authority::new());
    let (server, client) = (authority.issue("server"), authority.issue("client"));
    let start = |certified: bool, trusts: &Path| {
        let mut command = command_with(&["--serve"]);
        command.env(CA_FILE, trusts);
        command.env("MCP_OTEL_BRIDGE_LISTEN", &address).env("MCP_OTEL_BRIDGE_DATA_DIR", data.path());
        command.envs(secured::asking(&server, &authority));
        if certified {
            command.env(CERTIFICATE, &client.cert_file).env(KEY, &client.key_file);
        }
        let mut session = Session::of(command);
        session.ping(10);
        session
    };
    let (agent, url) = (secured::agent(&authority, &client), format!("https://{address}"));
    let accepted = || secured::accepted(&agent, &url, "wrap", "");
    let ca = authority.file();
    let inside = start(true, &ca);
    until("it to serve", || agent.get(format!("{url}/livez")).call().is_ok());
    until("12 accepted", || accepted() == 12);
    let joined = start(true, &ca);
    until("24 accepted", || accepted() == 24);
    let uncertified = start(false, &ca).close();
    assert!(uncertified.contains("asks for a certificate of its clients"), "{uncertified}");
    let foreign = Authority::new();
    let mut distrusting = start(true, &foreign.file());
    let said = distrusting.server.errors_until("unobserved\n");
    assert!(said.contains("no bridge answers that could be joined (") && said.contains("UnknownIssuer"), "{said}");
    assert!(!joined.close().contains("certificate"));
    assert_eq!(accepted(), 25);
    assert!(!inside.close().contains("not delivered"));
}
