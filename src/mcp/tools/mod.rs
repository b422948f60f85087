//! The tools, whatever the transport: what each is called, takes and answers.

mod query;
mod record;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool as Definition, ToolAnnotations};
use serde_json::{Value, json};

use super::backend::Backend;
use crate::config::Right;
use crate::event::{EventType, TraceParent};

/// A tool of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// All numbers, as Prometheus has them.
    Metrics,
    /// Which metrics there are.
    List,
    /// Totals.
    Summary,
    /// A session starts.
    Start,
    /// A session ends.
    End,
    /// Anything else happened.
    Record,
}

impl Tool {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [Self::Metrics, Self::List, Self::Summary, Self::Start, Self::End, Self::Record];

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "get_prometheus_metrics",
            Self::List => "list_session_metrics",
            Self::Summary => "get_metrics_summary",
            Self::Start => "track_session_start",
            Self::End => "track_session_end",
            Self::Record => "record_event",
        }
    }

    /// The one of that name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// The right that it needs.
    pub(super) const fn right(self) -> Right {
        match self {
            Self::Metrics | Self::List | Self::Summary => Right::Scrape,
            Self::Start | Self::End | Self::Record => Right::Ingest,
        }
    }

    /// What clients are told of it.
    pub(super) fn definition(self) -> Definition {
        let (title, description, input, output) = match self {
            Self::Metrics => query::metrics_definition(),
            Self::List => query::list_definition(),
            Self::Summary => query::summary_definition(),
            Self::Start => record::start_definition(),
            Self::End => record::end_definition(),
            Self::Record => record::record_definition(),
        };
        let reads = self.right() == Right::Scrape;
        let annotations = ToolAnnotations::with_title(title)
            .read_only(reads)
            // What is recorded is added to what there is; recorded again it counts again, unless its id is the same.
            .destructive(false)
            .idempotent(reads)
            .open_world(false);
        let definition = Definition::new(self.name(), description, object(input)).with_annotations(annotations);
        let definition = definition.with_title(title);
        match output {
            Some(output) => definition.with_raw_output_schema(object(output).into()),
            None => definition,
        }
    }

    /// The answer to who may not call it.
    pub(super) fn forbidden(self) -> CallToolResult {
        failure(format!(
            "{} needs the right `{}`, which the given token does not have",
            self.name(),
            self.right().name()
        ))
    }

    /// Calls it.
    pub(super) async fn call(
        self,
        bridge: &impl Backend,
        arguments: JsonObject,
        parent: Option<TraceParent>,
    ) -> CallToolResult {
        match self {
            Self::Metrics => query::metrics(bridge, &arguments).await,
            Self::List => query::list(bridge, &arguments).await,
            Self::Summary => query::summary(bridge, &arguments).await,
            Self::Start => record::track(bridge, EventType::SessionStart, arguments, parent).await,
            Self::End => record::track(bridge, EventType::SessionEnd, arguments, parent).await,
            Self::Record => record::record(bridge, arguments, parent).await,
        }
    }
}

/// Title, description, schema of the arguments, and of the structured answer where there is one.
type Told = (&'static str, String, Value, Option<Value>);

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

/// The arguments of a tool that takes those alone.
fn arguments_schema(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// An answer for people and models to read.
fn text(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

/// An answer that says what went wrong.
fn failure(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// Refuses arguments that the tool does not take.
fn check_names(tool: Tool, arguments: &JsonObject, known: &[&str]) -> Result<(), String> {
    match arguments.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let takes = if known.is_empty() { "no arguments".to_owned() } else { known.join(", ") };
            Err(format!("{name:?} is no argument of {}, which takes {takes}", tool.name()))
        }
    }
}
