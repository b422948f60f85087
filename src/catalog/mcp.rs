//! MCP operations, by OpenTelemetry's MCP semantic conventions v1.41.

use super::{buckets, declare};

declare! { Mcp:
    MCP_SERVER_OPERATION_DURATION = Histogram("mcp_server_operation_duration_seconds", "mcp.server.operation.duration", "s", ["component_name", "mcp.method.name", "gen_ai.tool.name", "error.type", "mcp.protocol.version", "network.transport"], buckets::MCP)
        "Duration of MCP requests and notifications as seen by the server, in seconds";
    MCP_CLIENT_OPERATION_DURATION = Histogram("mcp_client_operation_duration_seconds", "mcp.client.operation.duration", "s", ["component_name", "mcp.method.name", "gen_ai.tool.name", "error.type", "mcp.protocol.version", "network.transport"], buckets::MCP)
        "Duration of MCP requests from the server to the client, in seconds";
    MCP_SERVER_SESSION_DURATION = Histogram("mcp_server_session_duration_seconds", "mcp.server.session.duration", "s", ["component_name", "mcp.protocol.version", "network.transport", "error.type"], buckets::MCP_SESSION)
        "Duration of MCP sessions as seen by the server, in seconds";
}
