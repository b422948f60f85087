//! `POST /mcp`: the server over streamable HTTP, and who may ask it.
//!
//! Without sessions: every request is answered by itself, as JSON, in the revisions that have them too. So nothing is
//! remembered of a client, and a restart of the bridge goes unnoticed.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http_body_util::Full;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::de::IgnoredAny;
use serde_json::json;

use super::server::Server;
use crate::Bridge;
use crate::config::Config;
use crate::expose::MCP_PATH;
use crate::ingest::body::{Room, Unread};
use crate::serve::origin;

#[derive(Clone)]
struct Mcp {
    service: StreamableHttpService<Server<Bridge>, NeverSessionManager>,
    allowed_origins: Arc<[String]>,
    room: Room,
}

/// The route of the MCP server.
pub(crate) fn router(bridge: &Bridge, config: &Config) -> Router {
    let served = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(None)
        .with_max_request_body_bytes(config.limits.body_bytes)
        .with_allowed_hosts(hosts(config));
    let server = Server::new(bridge.clone());
    let mcp = Mcp {
        service: StreamableHttpService::new(move || Ok(server.clone()), Arc::default(), served),
        allowed_origins: config.mcp.allowed_origins.clone().into(),
        room: Room::new(config.limits.body_bytes),
    };
    Router::new().route(MCP_PATH, post(answer)).with_state(mcp)
}

/// The hosts that may be asked for: a page whose name an attacker points at this machine names another one.
fn hosts(config: &Config) -> Vec<String> {
    let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
    let own = config.listen.ip();
    if !own.is_unspecified() {
        hosts.push(if own.is_ipv6() { format!("[{own}]") } else { own.to_string() });
    }
    hosts.extend(config.mcp.allowed_hosts.iter().cloned());
    hosts
}

async fn answer(State(mcp): State<Mcp>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if !origin::is_allowed(&parts.uri, &parts.headers, &mcp.allowed_origins) {
        let why = "pages of this origin may not ask; mcp.allowed_origins says which may\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let received = match mcp.room.read(body).await {
        Ok(received) => received,
        Err(unread) => return refuse(unread, mcp.room.most()),
    };
    let json = is_json(&parts.headers);
    if json && let Err(error) = serde_json::from_slice::<IgnoredAny>(&received.bytes) {
        return fault(-32700, &format!("the body is not valid JSON: {error}"));
    }
    let answer = mcp.service.handle(http::Request::from_parts(parts, Full::new(received.bytes.clone()))).await;
    match answer.status() {
        StatusCode::FORBIDDEN => {
            let why = "this host may not be asked for; mcp.allowed_hosts says which may\n";
            (StatusCode::FORBIDDEN, why).into_response()
        }
        // The SDK finds the media type at fault where the message is.
        StatusCode::UNSUPPORTED_MEDIA_TYPE if json => {
            fault(-32600, "the body is not one JSON-RPC 2.0 request, notification or response of MCP")
        }
        _ => answer.map(Body::new),
    }
}

fn is_json(headers: &http::HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn refuse(unread: Unread, most: usize) -> Response {
    match unread {
        Unread::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {most} bytes\n")).into_response()
        }
        Unread::NoRoom => {
            let why = "the bridge is reading as many bytes as it may; try again\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], why).into_response()
        }
        Unread::Malformed(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// The answer to what is no request of which an id is known.
fn fault(code: i32, message: &str) -> Response {
    let fault = json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": null});
    (StatusCode::BAD_REQUEST, axum::Json(fault)).into_response()
}
