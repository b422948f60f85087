//! The methods of MCP, declared once: what else is said on a stream is reported as `_other`.

use crate::event::Label;

/// What stands for a name that is not known.
pub(super) const OTHER: &str = "_other";

/// What a method asks of its observer, beyond being counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Plain,
    /// Opens a session of the older revisions.
    Initialize,
    /// Asks which era the server is of; an older one refuses it.
    Discover,
    /// Its answer names the tools.
    ListTools,
    /// Names a tool, whose failure stands in its result.
    CallTool,
    /// Gives the result of a tool that was called before.
    TaskResult,
    /// Stays open.
    Listen,
    /// Takes back a request.
    Cancelled,
    /// Says that a subscription is open.
    Acknowledged,
}

/// A method of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// The revisions that have it, which the documentation tells.
    revisions: Revisions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Revisions {
    /// Up to 2025-11-25.
    Old,
    /// From 2026-07-28 on, with its tasks extension.
    New,
    Both,
}

macro_rules! methods {
    ($($name:literal $revisions:ident $role:ident;)+) => {
        const METHODS: &[Method] =
            &[$(Method { name: $name, role: Role::$role, revisions: Revisions::$revisions }),+];
    };
}

methods! {
    "initialize" Old Initialize;
    "ping" Old Plain;
    "server/discover" New Discover;
    "tools/list" Both ListTools;
    "tools/call" Both CallTool;
    "resources/list" Both Plain;
    "resources/templates/list" Both Plain;
    "resources/read" Both Plain;
    "resources/subscribe" Old Plain;
    "resources/unsubscribe" Old Plain;
    "subscriptions/listen" New Listen;
    "prompts/list" Both Plain;
    "prompts/get" Both Plain;
    "completion/complete" Both Plain;
    "logging/setLevel" Old Plain;
    "sampling/createMessage" Old Plain;
    "elicitation/create" Old Plain;
    "roots/list" Old Plain;
    "tasks/get" Both Plain;
    "tasks/result" Old TaskResult;
    "tasks/list" Old Plain;
    "tasks/update" New Plain;
    "tasks/cancel" Both Plain;
    "notifications/initialized" Old Plain;
    "notifications/cancelled" Both Cancelled;
    "notifications/progress" Both Plain;
    "notifications/message" Both Plain;
    "notifications/tools/list_changed" Both Plain;
    "notifications/resources/list_changed" Both Plain;
    "notifications/resources/updated" Both Plain;
    "notifications/prompts/list_changed" Both Plain;
    "notifications/roots/list_changed" Old Plain;
    "notifications/elicitation/complete" Old Plain;
    "notifications/subscriptions/acknowledged" New Acknowledged;
    "notifications/tasks/status" Old Plain;
    "notifications/tasks" New Plain;
}

/// What stands for every method that is not one of the protocol's.
static UNKNOWN: Method = Method { name: OTHER, role: Role::Plain, revisions: Revisions::Both };

impl Method {
    /// The method of that name.
    pub(super) fn named(name: Option<&str>) -> &'static Self {
        METHODS.iter().find(|method| Some(method.name) == name).unwrap_or(&UNKNOWN)
    }

    pub(super) fn label(&self) -> Label {
        Label::literal(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the methods in Markdown, as the documentation shows it.
    fn markdown() -> String {
        let mut table = "| method | up to 2025-11-25 | from 2026-07-28 |\n|---|---|---|\n".to_owned();
        for Method { name, revisions, .. } in METHODS {
            let mark = |known: bool| if known { "yes" } else { "" };
            let (old, new) = (mark(*revisions != Revisions::New), mark(*revisions != Revisions::Old));
            table.push_str(&format!("| `{name}` | {old} | {new} |\n"));
        }
        table
    }

    #[test]
    fn a_method_is_found_by_its_whole_name_alone() {
        for method in METHODS {
            assert_eq!(Method::named(Some(method.name)), method);
            assert_eq!(method.label().as_str(), method.name);
        }
        for unknown in [None, Some(""), Some("tools"), Some("tools/call "), Some("TOOLS/CALL"), Some(OTHER)] {
            assert_eq!(Method::named(unknown).name, OTHER);
        }
    }

    #[test]
    fn the_documentation_lists_them() {
        let page = include_str!("../../../docs/wrap.md");
        assert!(page.contains(&markdown()), "docs/wrap.md should hold this table:\n{}", markdown());
    }
}
