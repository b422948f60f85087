//! The bridge's own MCP server: tools that read the metrics and record events (docs/mcp.md).
//!
//! A tool is written once, on top of what it asks of a bridge ([`Backend`]): the one in this process, served over HTTP
//! at `POST /mcp`, or a running one that is reached over HTTP from a server on stdio.
//!
//! What must always hold: no answer is kept and no session remembered between two requests, so clients cost what their
//! requests cost; and whatever a model got wrong, the answer says which argument it was and what would be right.

mod backend;
mod http;
mod local;
mod server;
mod stdio;
mod tools;

pub use backend::{Backend, Unanswered};
pub(crate) use http::router;
pub use stdio::{StdioError, serve_stdio};
