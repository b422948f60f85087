//! What is read of a JSON-RPC message: what identifies it, and how it went. Nothing else of it is kept.

use std::hash::RandomState;

use super::methods::Method;
use super::scan::{Scanner, Sink};
use super::text::{Captured, Keep};
use crate::event::TraceParent;

/// The most messages of one batch that are looked at.
const MAX_BATCH: usize = 1024;
/// The most tools of one line that are looked at: a batch has no more than one answer has.
const MAX_TOOLS: usize = 1024;

/// What joins a request and its answer. `1`, `1.0` and `"1"` are two ids: JSON knows one kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Id {
    Integer(i64),
    /// The bits of a number that is no integer.
    Real(u64),
    /// A string's hash.
    Text(u64),
}

/// A client or a server, as it calls itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Implementation {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
}

/// One message.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message {
    pub(super) id: Option<Id>,
    /// Whether there is a member `id`, whatever it holds.
    pub(super) has_id: bool,
    pub(super) method: Option<&'static Method>,
    pub(super) params: Params,
    pub(super) result: Option<Answer>,
    pub(super) error: Option<Refusal>,
}

/// What is read of `params`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Params {
    /// `name`: the tool or the prompt. Reported only where a list of tools names it too.
    pub(super) name: Option<String>,
    /// A hash of `uri`.
    pub(super) uri: Option<u64>,
    /// `_meta.traceparent`
    pub(super) traceparent: Option<TraceParent>,
    /// `_meta`'s protocol version.
    pub(super) protocol_version: Option<String>,
    /// `clientInfo`, which means something in `initialize` alone.
    pub(super) client_info: Implementation,
    /// `_meta`'s client.
    pub(super) client: Implementation,
    /// `requestId`: what is cancelled.
    pub(super) cancelled: Option<Id>,
    /// `_meta`'s subscription.
    pub(super) subscription: Option<Id>,
    /// A hash of `requestState`.
    pub(super) state: Option<u64>,
    /// Whether there are `inputResponses`.
    pub(super) responses: bool,
}

/// What is read of `result`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) is_error: bool,
    /// `resultType` is `input_required`.
    pub(super) input_required: bool,
    /// A hash of `requestState`.
    pub(super) state: Option<u64>,
    /// `serverInfo`, which means something in answers to `initialize` and `server/discover` alone.
    pub(super) server_info: Implementation,
    /// `_meta`'s server.
    pub(super) server: Implementation,
    /// `protocolVersion`
    pub(super) protocol_version: Option<String>,
    /// The names in `tools`.
    pub(super) tools: Vec<String>,
}

/// What is read of `error`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: Option<i64>,
}

impl Refusal {
    /// Whether the code is one of those that MCP itself defines: who gives such a one knows the newer revisions.
    pub(super) fn is_of_protocol(&self) -> bool {
        self.code.is_some_and(|code| (-32099..=-32020).contains(&code))
    }
}

/// Reads messages out of lines that come in pieces.
#[derive(Debug)]
pub(super) struct Reader {
    scanner: Scanner,
    draft: Draft,
}

impl Reader {
    pub(super) fn new(hashing: RandomState) -> Self {
        Self { scanner: Scanner::new(hashing), draft: Draft::default() }
    }

    /// Takes more of the line.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if !self.scanner.is_broken() {
            self.scanner.feed(bytes, &mut self.draft);
        }
    }

    /// Whether nothing but white space came of the line so far.
    pub(super) const fn is_blank(&self) -> bool {
        self.scanner.is_blank()
    }

    /// The line is over: its messages, if it was whole and JSON.
    pub(super) fn finish(&mut self) -> Option<Vec<Message>> {
        let whole = self.scanner.finish(&mut self.draft);
        let messages = std::mem::take(&mut self.draft).messages;
        whole.then_some(messages)
    }
}

/// The objects and arrays that are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Batch,
    Message,
    Params,
    ParamsMeta,
    ClientInfo,
    MetaClient,
    Result,
    ResultMeta,
    ServerInfo,
    MetaServer,
    Tools,
    Tool,
    Error,
}

/// What the value that comes next is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Slot {
    #[default]
    Root,
    Ignored,
    Id,
    Method,
    Params,
    Result,
    Error,
    Code,
    Name,
    Uri,
    Cancelled,
    Responses,
    State,
    ParamsMeta,
    TraceParent,
    Subscription,
    ParamsVersion,
    ClientInfo,
    MetaClient,
    /// Of the client or server that is looked into.
    OwnName,
    OwnVersion,
    IsError,
    ResultType,
    ResultState,
    ResultMeta,
    ResultVersion,
    ServerInfo,
    MetaServer,
    Tools,
    Tool,
    ToolName,
}

/// The messages of a line while it goes by.
#[derive(Debug, Default)]
struct Draft {
    nodes: Vec<Node>,
    /// How many levels there are inside what is not looked into.
    ignored: usize,
    slot: Slot,
    messages: Vec<Message>,
    /// How many tools were named so far, in all messages.
    tools: usize,
}

impl Draft {
    fn message(&mut self) -> Option<&mut Message> {
        self.messages.last_mut()
    }

    fn params(&mut self) -> Option<&mut Params> {
        self.message().map(|message| &mut message.params)
    }

    fn result(&mut self) -> Option<&mut Answer> {
        self.message()?.result.as_mut()
    }

    /// The client or the server that is looked into.
    fn implementation(&mut self) -> Option<&mut Implementation> {
        let node = *self.nodes.last()?;
        let message = self.message()?;
        match (node, message.result.as_mut()) {
            (Node::ClientInfo, _) => Some(&mut message.params.client_info),
            (Node::MetaClient, _) => Some(&mut message.params.client),
            (Node::ServerInfo, Some(result)) => Some(&mut result.server_info),
            (Node::MetaServer, Some(result)) => Some(&mut result.server),
            _ => None,
        }
    }

    /// What the next value is: in an object its name told, in an array each is the same.
    fn slot(&self) -> Slot {
        match self.nodes.last() {
            _ if self.ignored > 0 => Slot::Ignored,
            Some(Node::Batch) => Slot::Root,
            Some(Node::Tools) => Slot::Tool,
            _ => self.slot,
        }
    }

    fn node(&mut self, slot: Slot, object: bool) -> Option<Node> {
        Some(match (slot, object) {
            (Slot::Root, true) if self.messages.len() < MAX_BATCH => {
                self.messages.push(Message::default());
                Node::Message
            }
            (Slot::Root, false) if self.nodes.is_empty() => Node::Batch,
            (Slot::Params, true) => Node::Params,
            (Slot::ParamsMeta, true) => Node::ParamsMeta,
            (Slot::ClientInfo, true) => Node::ClientInfo,
            (Slot::MetaClient, true) => Node::MetaClient,
            (Slot::Result, true) => Node::Result,
            (Slot::ResultMeta, true) => Node::ResultMeta,
            (Slot::ServerInfo, true) => Node::ServerInfo,
            (Slot::MetaServer, true) => Node::MetaServer,
            (Slot::Tools, false) => Node::Tools,
            (Slot::Tool, true) => Node::Tool,
            (Slot::Error, true) => Node::Error,
            _ => return None,
        })
    }

    /// What the value is that a name announces. The last of a name that comes twice holds, as in most parsers.
    fn member(&mut self, node: Node, name: &str) -> Slot {
        match (node, name) {
            (Node::Message, "id") => {
                if let Some(message) = self.message() {
                    (message.id, message.has_id) = (None, true);
                }
                Slot::Id
            }
            (Node::Message, "method") => Slot::Method,
            (Node::Message, "params") => {
                if let Some(params) = self.params() {
                    *params = Params::default();
                }
                Slot::Params
            }
            (Node::Message, "result") => {
                if let Some(message) = self.message() {
                    message.result = Some(Answer::default());
                }
                Slot::Result
            }
            (Node::Message, "error") => {
                if let Some(message) = self.message() {
                    message.error = Some(Refusal::default());
                }
                Slot::Error
            }
            (Node::Error, "code") => Slot::Code,
            (Node::Params, "name") => Slot::Name,
            (Node::Params, "uri") => Slot::Uri,
            (Node::Params, "requestId") => Slot::Cancelled,
            (Node::Params, "inputResponses") => {
                if let Some(params) = self.params() {
                    params.responses = true;
                }
                Slot::Responses
            }
            (Node::Params, "requestState") => Slot::State,
            (Node::Params, "_meta") => Slot::ParamsMeta,
            (Node::ParamsMeta, "traceparent") => Slot::TraceParent,
            (Node::ParamsMeta, "io.modelcontextprotocol/subscriptionId") => Slot::Subscription,
            (Node::ParamsMeta, "io.modelcontextprotocol/protocolVersion") => Slot::ParamsVersion,
            (Node::Params, "clientInfo") => Slot::ClientInfo,
            (Node::ParamsMeta, "io.modelcontextprotocol/clientInfo") => Slot::MetaClient,
            (Node::ClientInfo | Node::MetaClient | Node::ServerInfo | Node::MetaServer, "name") => Slot::OwnName,
            (Node::ClientInfo | Node::MetaClient | Node::ServerInfo | Node::MetaServer, "version") => Slot::OwnVersion,
            (Node::Result, "isError") => Slot::IsError,
            (Node::Result, "resultType") => Slot::ResultType,
            (Node::Result, "requestState") => Slot::ResultState,
            (Node::Result, "protocolVersion") => Slot::ResultVersion,
            (Node::Result, "_meta") => Slot::ResultMeta,
            (Node::Result, "serverInfo") => Slot::ServerInfo,
            (Node::ResultMeta, "io.modelcontextprotocol/serverInfo") => Slot::MetaServer,
            (Node::Result, "tools") => Slot::Tools,
            (Node::Tool, "name") => Slot::ToolName,
            _ => Slot::Ignored,
        }
    }
}

impl Sink for Draft {
    fn open(&mut self, object: bool) {
        let slot = self.slot();
        match self.node(slot, object) {
            Some(node) => self.nodes.push(node),
            None => self.ignored += 1,
        }
    }

    fn close(&mut self) {
        if self.ignored > 0 {
            self.ignored -= 1;
        } else {
            self.nodes.pop();
        }
        self.slot = Slot::Ignored;
    }

    fn key(&mut self, name: Option<&str>) {
        if self.ignored > 0 {
            return;
        }
        self.slot = match (self.nodes.last(), name) {
            (Some(node), Some(name)) => self.member(*node, name),
            _ => Slot::Ignored,
        };
    }

    fn keep(&self) -> Keep {
        match self.slot() {
            Slot::Method
            | Slot::Code
            | Slot::Name
            | Slot::TraceParent
            | Slot::ParamsVersion
            | Slot::OwnName
            | Slot::OwnVersion
            | Slot::ResultType
            | Slot::ResultVersion
            | Slot::ToolName => Keep::Text,
            Slot::Uri | Slot::State | Slot::ResultState => Keep::Hash,
            Slot::Id | Slot::Cancelled | Slot::Subscription => Keep::Id,
            _ => Keep::Nothing,
        }
    }

    fn string(&mut self, text: Captured<'_>) {
        let slot = self.slot();
        let owned = || text.text().map(str::to_owned);
        if let Slot::OwnName | Slot::OwnVersion = slot {
            match (self.implementation(), slot) {
                (Some(implementation), Slot::OwnName) => implementation.name = owned(),
                (Some(implementation), _) => implementation.version = owned(),
                (None, _) => {}
            }
            return;
        }
        let Some(message) = self.messages.last_mut() else { return };
        let (params, result) = (&mut message.params, message.result.as_mut());
        match (slot, result) {
            (Slot::Id, _) => message.id = text.hash().map(Id::Text),
            (Slot::Method, _) => message.method = Some(Method::named(text.text())),
            (Slot::Name, _) => params.name = owned(),
            (Slot::Uri, _) => params.uri = text.hash(),
            (Slot::Cancelled, _) => params.cancelled = text.hash().map(Id::Text),
            (Slot::State, _) => params.state = text.hash(),
            (Slot::TraceParent, _) => params.traceparent = text.text().and_then(|text| text.parse().ok()),
            (Slot::Subscription, _) => params.subscription = text.hash().map(Id::Text),
            (Slot::ParamsVersion, _) => params.protocol_version = owned(),
            (Slot::ResultType, Some(result)) => result.input_required = text.text() == Some("input_required"),
            (Slot::ResultState, Some(result)) => result.state = text.hash(),
            (Slot::ResultVersion, Some(result)) => result.protocol_version = owned(),
            (Slot::ToolName, Some(result)) if self.tools < MAX_TOOLS => {
                self.tools += 1;
                result.tools.extend(owned());
            }
            _ => {}
        }
    }

    fn number(&mut self, text: Captured<'_>) {
        let slot = self.slot();
        let Some(message) = self.messages.last_mut() else { return };
        let id = || text.text().and_then(number);
        match slot {
            Slot::Id => message.id = id(),
            Slot::Cancelled => message.params.cancelled = id(),
            Slot::Subscription => message.params.subscription = id(),
            Slot::Code => {
                if let (Some(error), Some(Id::Integer(code))) = (&mut message.error, id()) {
                    error.code = Some(code);
                }
            }
            _ => {}
        }
    }

    fn word(&mut self, value: Option<bool>) {
        match (self.slot(), value) {
            (Slot::IsError, Some(value)) => {
                if let Some(result) = self.result() {
                    result.is_error = value;
                }
            }
            // JSON has null for what is absent; some implementations write both members.
            (Slot::Result, None) => {}
            (Slot::Error, None) => {
                if let Some(message) = self.message() {
                    message.error = None;
                }
            }
            (Slot::Responses, None) => {
                if let Some(params) = self.params() {
                    params.responses = false;
                }
            }
            _ => {}
        }
    }
}

/// The number as an id.
fn number(text: &str) -> Option<Id> {
    if let Ok(integer) = text.parse() {
        return Some(Id::Integer(integer));
    }
    let real: f64 = text.parse().ok()?;
    // Beyond 2^53 a double is no integer that can be told from its neighbours.
    let exact = real.fract() == 0.0 && real.abs() < 9_007_199_254_740_992.0;
    Some(if exact { Id::Integer(real as i64) } else { Id::Real(real.to_bits()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_so_many_tools_in_however_many_messages() {
        let tools = "{\"name\":\"a\"},".repeat(MAX_TOOLS - 1) + "{\"name\":\"b\"}";
        let message = format!("{{\"id\":1,\"result\":{{\"tools\":[{tools}]}}}}");
        let mut reader = Reader::new(RandomState::new());
        // The next line has as much room again.
        for _ in 0..2 {
            reader.feed(format!("[{message},{message},{message}]").as_bytes());
            let messages = reader.finish().unwrap();
            let named: Vec<usize> =
                messages.iter().map(|message| message.result.as_ref().unwrap().tools.len()).collect();
            assert_eq!(named, [MAX_TOOLS, 0, 0]);
        }
    }
}
