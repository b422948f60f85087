//! Who may ask the bridge's own MCP server.

/// Who may ask the bridge's own MCP server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mcp {
    /// The names by which clients may ask for the bridge, beside the loopback ones and the address it listens on:
    /// `bridge.example` for every port, `bridge.example:9090` for one.
    pub allowed_hosts: Vec<String>,
    /// The origins whose pages may ask, beside those of the bridge's own host: `https://app.example:3000`.
    pub allowed_origins: Vec<String>,
}
