//! Every path of the listener, declared once: the index shows them, the right that each needs is here, and the metrics
//! cannot be served at one of them.

use super::SEED_PATH;
use crate::config::Right;

/// A path, and what is there.
pub(crate) struct Path {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// The query that it takes, where it takes one.
    pub(crate) query: &'static str,
    pub(crate) what: &'static str,
    needs: Needs,
}

/// What whoever asks must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// To read, nothing: supervisors ask this, and learn nothing that is secret.
    Nothing,
    /// Anything that is known: what is served says nothing of what was recorded, or looks at the right itself.
    AnyToken,
    /// This right.
    Right(Right),
    /// The path is declared nowhere, and opens to nobody who may not do everything.
    Undeclared,
}

const SCRAPE: Needs = Needs::Right(Right::Scrape);
const INGEST: Needs = Needs::Right(Right::Ingest);

const fn get(path: &'static str, needs: Needs, what: &'static str) -> Path {
    Path { method: "GET", path, query: "", what, needs }
}

const fn post(path: &'static str, needs: Needs, what: &'static str) -> Path {
    Path { method: "POST", path, query: "", what, needs }
}

/// The path of the live feed, which is there only where that is on.
pub(crate) const LIVE: &str = "/live";

/// The path of the MCP server.
pub(crate) const MCP: &str = "/mcp";

/// All but the index itself and the metrics, whose path is configured.
pub(crate) const PATHS: &[Path] = &[
    post("/v1/events", INGEST, "events: a JSON object, a JSON array, or NDJSON"),
    get("/v1/events/schema", INGEST, "what an event may hold, as JSON Schema"),
    // Each tool looks at the right that it needs.
    post(MCP, Needs::AnyToken, "the bridge's own MCP server (streamable HTTP)"),
    get("/v1/sessions", SCRAPE, "the active sessions"),
    get("/v1/metrics/catalog", SCRAPE, "every metric there is"),
    get("/v1/metrics/summary", SCRAPE, "the metrics in short"),
    get("/health/metrics", SCRAPE, "the calls through circuit breakers, and whether they are well"),
    Path {
        method: "GET",
        path: "/prometheus/query",
        query: "?q=",
        what: "the same in full, of the components whose names hold q",
        needs: SCRAPE,
    },
    get(LIVE, SCRAPE, "what happens with skills now, as a WebSocket"),
    get("/livez", Needs::Nothing, "whether the bridge runs"),
    get("/readyz", Needs::Nothing, "whether it can take events"),
];

/// The gRPC services, by what the paths of their methods begin with.
const SERVICES: [(&str, Needs); 3] = [
    ("/mcp_otel_bridge.v1.EventService/", INGEST),
    ("/grpc.health.v1.Health/", Needs::AnyToken),
    ("/grpc.reflection.", SCRAPE),
];

/// What whoever asks for `path` must show, where the metrics are at `metrics`.
pub(crate) fn needs(path: &str, metrics: &str) -> Needs {
    if path == metrics || path == SEED_PATH {
        return SCRAPE;
    }
    if path == "/" {
        return Needs::AnyToken;
    }
    let declared = PATHS.iter().find(|known| known.path == path).map(|known| known.needs);
    let service = || SERVICES.iter().find(|(start, _)| path.starts_with(start)).map(|(_, needs)| *needs);
    declared.or_else(service).unwrap_or(Needs::Undeclared)
}
