//! The server as the SDK drives it, on any transport: it says what it is, lists the tools and calls them.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestMethod, CompleteRequestParams, CompleteResult,
    CustomRequest, CustomResult, ErrorCode, Implementation, ListPromptsRequestMethod, ListPromptsResult,
    ListResourceTemplatesRequestMethod, ListResourceTemplatesResult, ListResourcesRequestMethod, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool as Definition,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::backend::Backend;
use super::tools::Tool;
use crate::config::Right;
use crate::serve::Granted;

const INSTRUCTIONS: &str = "Shows the metrics of MCP servers and AI agents, and records what they do. Read with \
    get_metrics_summary (totals), list_session_metrics (which metrics there are) and get_prometheus_metrics (all \
    numbers). Report a session with track_session_start, keep the session_id that it answers, and end it with \
    track_session_end; report anything else with record_event.";

/// The MCP server.
#[derive(Debug, Clone)]
pub(super) struct Server<B> {
    backend: B,
    definitions: Arc<[Definition]>,
}

impl<B: Backend> Server<B> {
    pub(super) fn new(backend: B) -> Self {
        Self { backend, definitions: Tool::ALL.iter().map(|tool| tool.definition()).collect() }
    }
}

/// Whether whoever calls has this right. Over HTTP the listener said what was shown; on stdio the bridge that is
/// reached asks for the token itself.
fn may(context: &RequestContext<RoleServer>, right: Right) -> bool {
    let parts = context.extensions.get::<http::request::Parts>();
    parts.is_none_or(|parts| parts.extensions.get::<Granted>().is_some_and(|granted| granted.has(right)))
}

impl<B: Backend> ServerHandler for Server<B> {
    fn get_info(&self) -> ServerConfig {
        let mut itself = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        itself.title = Some("MCP OpenTelemetry bridge".to_owned());
        itself.description = Some(env!("CARGO_PKG_DESCRIPTION").to_owned());
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = itself;
        info.instructions = Some(INSTRUCTIONS.to_owned());
        info
    }

    fn get_tool(&self, name: &str) -> Option<Definition> {
        self.definitions.iter().find(|definition| definition.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.definitions.to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = Tool::from_name(&request.name) else {
            let names: Vec<&str> = Tool::ALL.iter().map(|tool| tool.name()).collect();
            let why = format!("there is no tool {:?}; there are {}", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(why, None));
        };
        if !may(&context, tool.right()) {
            return Ok(tool.forbidden().into());
        }
        // A parent that is malformed is none: so W3C has it.
        let parent = context.meta.get_traceparent().and_then(|parent| parent.trim().parse().ok());
        let arguments = request.arguments.unwrap_or_default();
        Ok(tool.call(&self.backend, arguments, parent).await.into())
    }

    /// What the SDK knows no method for, or could not read the parameters of.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let CustomRequest { method, .. } = request;
        Err(match method.as_str() {
            "tools/call" => ErrorData::invalid_params(
                "params must be an object with name, a string, and arguments, an object that may be left out",
                None,
            ),
            _ => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method {method:?} here"), None),
        })
    }

    // The SDK answers these with empty results, though the server says of itself that it has tools alone.

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourcesRequestMethod>())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourceTemplatesRequestMethod>())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<CompleteRequestMethod>())
    }
}
