//! Every path of the listener, declared once: the index shows them, and the metrics cannot be served at one of them.

/// A path, and what is there.
pub(crate) struct Path {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// The query that it takes, where it takes one.
    pub(crate) query: &'static str,
    pub(crate) what: &'static str,
}

const fn get(path: &'static str, what: &'static str) -> Path {
    Path { method: "GET", path, query: "", what }
}

/// The path of the live feed, which is there only where that is on.
pub(crate) const LIVE: &str = "/live";

/// The path of the MCP server.
pub(crate) const MCP: &str = "/mcp";

/// All but the index itself and the metrics, whose path is configured.
pub(crate) const PATHS: &[Path] = &[
    Path { method: "POST", path: "/v1/events", query: "", what: "events: a JSON object, a JSON array, or NDJSON" },
    get("/v1/events/schema", "what an event may hold, as JSON Schema"),
    Path { method: "POST", path: MCP, query: "", what: "the bridge's own MCP server (streamable HTTP)" },
    get("/v1/sessions", "the active sessions"),
    get("/v1/metrics/catalog", "every metric there is"),
    get("/v1/metrics/summary", "the metrics in short"),
    get("/health/metrics", "the calls through circuit breakers, and whether they are well"),
    Path {
        method: "GET",
        path: "/prometheus/query",
        query: "?q=",
        what: "the same in full, of the components whose names hold q",
    },
    get(LIVE, "what happens with skills now, as a WebSocket"),
    get("/livez", "whether the bridge runs"),
    get("/readyz", "whether it can take events"),
];
