//! The bridge in this very process.

use serde_json::Value;

use super::backend::{Backend, Unanswered};
use crate::bridge::{Bridge, Source};
use crate::event::{BodyForm, TraceParent, parse_body};
use crate::expose::exposition::{Format, NameFilter};
use crate::expose::{catalog_json, summary_of};
use crate::ingest::under;

impl Backend for Bridge {
    async fn catalog(&self) -> Result<Value, Unanswered> {
        Ok(catalog_json(self))
    }

    async fn exposition(&self, names: Vec<String>) -> Result<String, Unanswered> {
        let filter = NameFilter::new(names);
        let collections = &self.exposed().collections;
        let body = collections.ask(move |collected| collected.body(Format::Text004, false, &filter)).await;
        body.map_err(unanswered).map(|body| String::from_utf8_lossy(&body.bytes).into_owned())
    }

    async fn summary(&self) -> Result<Value, Unanswered> {
        let summary = self.exposed().collections.ask(|collected| summary_of(&collected.snapshot)).await;
        serde_json::to_value(summary.map_err(unanswered)?).map_err(unanswered)
    }

    async fn record(&self, event: Value, parent: Option<TraceParent>) -> Result<Value, Unanswered> {
        // Through its text, so that one set of rules reads events wherever they come from.
        let body = parse_body(event.to_string().as_bytes(), BodyForm::Json).map_err(unanswered)?;
        let outcomes = self.submit(Source::Mcp, under(parent, body.events)).await.map_err(unanswered)?;
        serde_json::to_value(outcomes.first()).map_err(unanswered)
    }
}

fn unanswered(error: impl std::fmt::Display) -> Unanswered {
    Unanswered(error.to_string())
}
