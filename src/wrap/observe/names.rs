//! Who takes part, by names that can be labels: the component, the shell, the tools.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use super::message::Implementation;
use super::methods::OTHER;
use crate::event::{self, ComponentName, Label, Text};

/// The most tools that are known of a server.
const MAX_TOOLS: usize = 1024;
/// The revisions of the protocol so far.
const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
/// The most revisions beyond those: room for the ones to come.
const MAX_REVISIONS: usize = 4;
/// The most codes of errors that are told apart.
const MAX_CODES: usize = 32;
/// OpenTelemetry's `error.type` for what is not told apart.
const OTHER_ERROR: &str = "_OTHER";
/// The shell of a client that has not told its name.
const UNKNOWN: &str = "unknown";

/// The client and the server, as far as they have told.
#[derive(Debug)]
pub(super) struct Names {
    /// The component, where it was given.
    given: Option<ComponentName>,
    command: ComponentName,
    pub(super) server: Implementation,
    pub(super) client: Implementation,
    tools: HashSet<Label>,
    codes: HashSet<i64>,
    /// The revisions that were heard of and are not known.
    revisions: HashSet<Label>,
}

impl Names {
    pub(super) fn new(given: Option<&str>, command: Option<&OsStr>) -> Self {
        let base = command.and_then(|command| Path::new(command).file_name()).map(OsStr::to_string_lossy);
        Self {
            given: given.and_then(component),
            command: base.and_then(|base| component(&base)).unwrap_or_else(|| ComponentName::lossy(UNKNOWN)),
            server: Implementation::default(),
            client: Implementation::default(),
            tools: HashSet::new(),
            codes: HashSet::new(),
            revisions: HashSet::new(),
        }
    }

    /// The component: as given, else the server's own name, else the command's.
    pub(super) fn component(&self) -> ComponentName {
        let own = || self.server.name.as_deref().and_then(component);
        self.given.clone().or_else(own).unwrap_or_else(|| self.command.clone())
    }

    /// The kind of shell: the client's name.
    pub(super) fn shell(&self) -> Label {
        Label::lossy(self.client.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(UNKNOWN))
    }

    /// Takes what the server says of itself, unless it was said before.
    pub(super) fn hear_server(&mut self, server: Implementation) {
        hear(&mut self.server, server);
    }

    /// The same of the client.
    pub(super) fn hear_client(&mut self, client: Implementation) {
        hear(&mut self.client, client);
    }

    /// Takes the names of a list of tools.
    pub(super) fn hear_tools(&mut self, tools: Vec<String>) {
        for tool in tools.iter().filter_map(|tool| Label::new(tool).ok()) {
            if self.tools.len() < MAX_TOOLS {
                self.tools.insert(tool);
            }
        }
    }

    /// The tool of that name, if a list has named it.
    pub(super) fn tool(&self, name: Option<&str>) -> Label {
        name.and_then(|name| self.tools.get(name)).cloned().unwrap_or_else(|| Label::literal(OTHER))
    }

    /// The revision of the protocol, if it is a known one, or one of the first few other dates.
    pub(super) fn revision(&mut self, version: &str) -> Label {
        if REVISIONS.contains(&version) {
            return Label::lossy(version);
        }
        if !is_date(version) {
            return Label::literal(OTHER);
        }
        let label = Label::lossy(version);
        if self.revisions.contains(&label) {
            return label;
        }
        if self.revisions.len() >= MAX_REVISIONS {
            return Label::literal(OTHER);
        }
        self.revisions.insert(label.clone());
        label
    }

    /// The error of that code, unless a server uses more codes than can be told apart.
    pub(super) fn error(&mut self, code: Option<i64>) -> Label {
        match code {
            Some(code) if self.codes.contains(&code) || self.codes.len() < MAX_CODES => {
                self.codes.insert(code);
                Label::lossy(&code.to_string())
            }
            _ => Label::literal(OTHER_ERROR),
        }
    }
}

fn hear(known: &mut Implementation, said: Implementation) {
    if known.name.is_none() && said.name.is_some() {
        *known = said;
    }
}

/// The name with a hyphen for each character that no component may have.
fn component(name: &str) -> Option<ComponentName> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = name.chars().take(ComponentName::MAX_CHARS).map(allowed).collect();
    ComponentName::new(&name).ok()
}

/// Whether it looks like a revision of the protocol: a date, as all of them have been.
fn is_date(version: &str) -> bool {
    version.len() == 10
        && version.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
}

impl Implementation {
    /// What only a span tells, where the name is known.
    pub(super) fn told(&self) -> Option<Box<event::Implementation>> {
        let text = |value: &Option<String>| value.as_deref().filter(|value| !value.is_empty()).map(Text::lossy);
        Some(Box::new(event::Implementation { name: text(&self.name)?, version: text(&self.version) }))
    }
}
