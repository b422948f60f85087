//! What the tools ask of a bridge.

use serde_json::Value;

use crate::event::TraceParent;

/// Why the bridge gave no answer: a line for a person or a model, which says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(pub String);

/// What the tools ask of a bridge, wherever it runs.
pub trait Backend: Clone + Send + Sync + 'static {
    /// What `GET /v1/metrics/catalog` answers: `{"metrics": [...], "scraped": whether metrics are enabled}`.
    fn catalog(&self) -> impl Future<Output = Result<Value, Unanswered>> + Send;

    /// The metrics in the Prometheus text format 0.0.4: the families of these names, or all where there are none.
    fn exposition(&self, names: Vec<String>) -> impl Future<Output = Result<String, Unanswered>> + Send;

    /// What `GET /v1/metrics/summary` answers.
    fn summary(&self) -> impl Future<Output = Result<Value, Unanswered>> + Send;

    /// Records an event under this parent, unless it names one of its own; what `POST /v1/events` answers to it,
    /// whether it was taken or rejected.
    fn record(
        &self,
        event: Value,
        parent: Option<TraceParent>,
    ) -> impl Future<Output = Result<Value, Unanswered>> + Send;
}
