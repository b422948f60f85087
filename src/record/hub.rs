//! What a hub uses: search APIs, code, caches, and the retries of what failed.

use std::sync::Arc;

use super::{Context, Fault, Tracing};
use crate::catalog::metrics::{
    MCP_HUB_CACHE_HITS, MCP_HUB_CACHE_MISSES, MCP_HUB_CODE_EXECUTIONS, MCP_HUB_RETRIES, MCP_HUB_RETRIES_EXHAUSTED,
    MCP_HUB_SEARCH_API_CALLS,
};
use crate::event::{Event, EventKind, Outcome, Status, Timestamp};
use crate::telemetry::{Instrument, Telemetry};

/// Records what a hub uses.
#[derive(Debug)]
pub(super) struct HubRecorder {
    searches: Arc<Instrument>,
    executions: Arc<Instrument>,
    hits: Arc<Instrument>,
    misses: Arc<Instrument>,
    retries: Arc<Instrument>,
    exhausted: Arc<Instrument>,
    tracing: Arc<Tracing>,
}

impl HubRecorder {
    pub(super) fn new(telemetry: &Telemetry, tracing: Arc<Tracing>) -> Self {
        Self {
            searches: telemetry.instrument(&MCP_HUB_SEARCH_API_CALLS),
            executions: telemetry.instrument(&MCP_HUB_CODE_EXECUTIONS),
            hits: telemetry.instrument(&MCP_HUB_CACHE_HITS),
            misses: telemetry.instrument(&MCP_HUB_CACHE_MISSES),
            retries: telemetry.instrument(&MCP_HUB_RETRIES),
            exhausted: telemetry.instrument(&MCP_HUB_RETRIES_EXHAUSTED),
            tracing,
        }
    }

    pub(super) fn used(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let time = event.timestamp.unwrap_or_else(Timestamp::now);
        let link = event.traceparent.as_ref().and_then(|parent| self.tracing.link(&parent.span_context(), time));
        let staged = &mut *context.staged;
        match &event.kind {
            EventKind::SearchCall(_) => staged.add(self.searches.series(&[]), 1, link),
            EventKind::CodeExecution(execution) => {
                staged.add(self.executions.series(&[execution.status.name()]), 1, link);
            }
            EventKind::CacheAccess(access) => {
                // Both are there from the first access, so that a hit rate has an answer.
                let labels = [access.cache_type.as_str()];
                let (hits, misses) = (self.hits.series(&labels), self.misses.series(&labels));
                staged.add(if access.hit { hits } else { misses }, 1, link);
            }
            EventKind::Retry(retry) => {
                let service = retry.service.as_str();
                staged.add(self.retries.series(&[service, retry.attempt.label()]), 1, link);
                if retry.exhausted {
                    staged.add(self.exhausted.series(&[service]), 1, link);
                }
            }
            _ => {}
        }
        Ok(Outcome::new(Status::Recorded))
    }
}
