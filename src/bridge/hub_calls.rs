//! The typed calls for what a hub does: requests, caches, searches, code, retries, MCP operations.

use super::{Bridge, RecordError};
use crate::event::{
    Attempt, CacheAccess, CodeExecution, ExecutionStatus, Label, McpOperation, Outcome, Request, Retry, SearchCall,
    Seconds,
};

impl Bridge {
    /// An agent has handled a request, in so many seconds; with an error type, it failed. [`Bridge::request`] is the
    /// guard that times it.
    ///
    /// # Errors
    ///
    /// When a name cannot be a label, the duration is negative or not finite, or the bridge takes no events now.
    pub fn request_event(
        &self,
        agent: &str,
        operation: &str,
        duration_seconds: f64,
        error_type: Option<&str>,
    ) -> Result<Outcome, RecordError> {
        self.record(Request {
            agent: Label::new(agent)?,
            operation: Label::new(operation)?,
            duration_seconds: Seconds::new(duration_seconds)?,
            error_type: error_type.map(Label::new).transpose()?,
        })
    }

    /// A cache was asked, and had the answer or not.
    ///
    /// # Errors
    ///
    /// When the name of the cache cannot be a label, or the bridge takes no events now.
    pub fn cache_access(&self, cache_type: &str, hit: bool) -> Result<Outcome, RecordError> {
        self.record(CacheAccess { cache_type: Label::new(cache_type)?, hit })
    }

    /// A service was called again: `attempt` counts from 1. `exhausted` says that it was the last time, which counts
    /// beside the attempt itself.
    ///
    /// # Errors
    ///
    /// When the name of the service cannot be a label, the attempt is 0, or the bridge takes no events now.
    pub fn retry(&self, service: &str, attempt: u32, exhausted: bool) -> Result<Outcome, RecordError> {
        self.record(Retry { service: Label::new(service)?, attempt: Attempt::new(attempt)?, exhausted })
    }

    /// A search API was called.
    ///
    /// # Errors
    ///
    /// When the bridge takes no events now.
    pub fn search_call(&self) -> Result<Outcome, RecordError> {
        self.record(SearchCall {})
    }

    /// Code was executed, with success or not.
    ///
    /// # Errors
    ///
    /// When the bridge takes no events now.
    pub fn code_execution(&self, success: bool) -> Result<Outcome, RecordError> {
        let status = if success { ExecutionStatus::Success } else { ExecutionStatus::Failure };
        self.record(CodeExecution { status })
    }

    /// An MCP request or notification was handled.
    ///
    /// # Errors
    ///
    /// When the bridge takes no events now.
    pub fn mcp_operation(&self, operation: McpOperation) -> Result<Outcome, RecordError> {
        self.record(operation)
    }
}
