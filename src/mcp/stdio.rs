//! The server on standard input and output: one client, until it closes them.

use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;

use super::backend::Backend;
use super::server::Server;

/// Why the server on stdio ended before its client closed it.
#[derive(Debug, thiserror::Error)]
#[error("the MCP server on stdio ended: {0}")]
pub struct StdioError(String);

/// Serves the tools on standard input and output until the input is closed, and finishes the calls in hand.
///
/// Nothing else may write to standard output meanwhile.
///
/// # Errors
///
/// When the client speaks no MCP.
pub async fn serve_stdio(backend: impl Backend) -> Result<(), StdioError> {
    let running = match Server::new(backend).serve(rmcp::transport::stdio()).await {
        Ok(running) => running,
        // The client left without a word.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(StdioError(error.to_string())),
    };
    running.waiting().await.map(drop).map_err(|error| StdioError(error.to_string()))
}
