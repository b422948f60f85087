//! Every type of event, declared once: its name, its fields, and what they may hold.
//!
//! To add one, add it here and to `proto/mcp_otel_bridge/v1/events.proto`.

use super::field::{
    Attempt, BreakerState, ComponentName, Count, Direction, ExecutionStatus, Finite, Label, Rate, RequestId, Score,
    Seconds, SessionId, SessionStatus, Text, Transport,
};
use super::record::{event_types, record};

record! {
    /// Who runs a session.
    User {
        /// The name of the account.
        username: Text,
        /// The home directory.
        home: Text,
    }
}

record! {
    /// What a session runs in.
    Environment {
        /// The version of Python, where there is one.
        python_version: Option<Text>,
        /// The operating system.
        platform: Text,
        /// The working directory.
        cwd: Text,
    }
}

record! {
    /// An MCP client or server, as it calls itself.
    Implementation {
        /// Its name.
        name: Text,
        /// Its version.
        version: Option<Text>,
    }
}

record! {
    /// What whoever reports had to leave out since it last told, by the reason.
    Dropped {
        /// Events for which there was no room while the bridge was away.
        spool_full: Option<Count>,
        /// Events that the bridge refused.
        rejected: Option<Count>,
        /// Messages that were not read, as it could not keep up; each stands for one or more.
        unread: Option<Count>,
        /// Requests of which too many were open at once.
        open_requests: Option<Count>,
    }
}

event_types! {
    /// A session has started. Its id is derived from its component, its time and the event's id.
    SessionStart = "session_start" requires ["event_version", "event_id", "timestamp"] {
        /// The component that the session belongs to.
        component_name: ComponentName,
        /// The kind of shell, such as `CrackerjackShell`.
        shell_type: Label,
        /// The process.
        pid: u32,
        /// Who runs it.
        user: User,
        /// The machine's name.
        hostname: Text,
        /// What it runs in.
        environment: Environment,
        /// A first quality score.
        quality_score: Option<Score>,
        /// The revision of MCP in use, such as `2025-11-25`.
        protocol_version: Option<Label>,
        /// How client and server are joined.
        transport: Option<Transport>,
        /// The MCP server.
        server: Option<Box<Implementation>>,
        /// The MCP client.
        client: Option<Box<Implementation>>,
    }
    /// A session has ended.
    SessionEnd = "session_end" requires ["timestamp"] {
        /// The id that the start was answered with, or its short form.
        session_id: SessionId,
        /// How it ended; success, if absent.
        status: SessionStatus = SessionStatus::Success,
        /// A last quality score.
        quality_score: Option<Score>,
    }
    /// A session is still alive.
    SessionHeartbeat = "session_heartbeat" requires [] {
        /// The session.
        session_id: SessionId,
        /// What its host had to leave out.
        dropped: Option<Dropped>,
    }
    /// The quality of a component's sessions was judged.
    SessionQuality = "session_quality" requires [] {
        /// The component.
        component_name: ComponentName,
        /// The judgement.
        quality_score: Score,
    }
    /// A component has emitted an MCP event, or failed to.
    McpEvent = "mcp_event" requires [] {
        /// The component.
        component_name: ComponentName,
        /// The type of what it emitted.
        emitted_type: Label,
        /// How long the emission took.
        duration_seconds: Seconds,
        /// Why it failed; absent when it succeeded.
        error_type: Option<Label>,
    }
    /// A skill was used.
    SkillInvocation = "skill_invocation" requires [] {
        /// The skill.
        skill_name: Label,
        /// The phase of the workflow.
        workflow_phase: Option<Label>,
        /// Whether it came to its end.
        completed: bool,
        /// How long it took.
        duration_seconds: Option<Seconds>,
        /// The session that used it.
        session_id: Option<SessionId>,
        /// The workflow's path.
        workflow_path: Option<Text>,
    }
    /// The share of a skill's uses that were completed.
    SkillCompletionRate = "skill_completion_rate" requires [] {
        /// The skill.
        skill_name: Label,
        /// The share.
        rate: Rate,
    }
    /// Something unusual was seen in a skill.
    Anomaly = "anomaly" requires [] {
        /// The skill.
        skill_name: Label,
        /// What was seen, such as `drop`, `spike` or `pattern_shift`.
        anomaly_type: Label,
        /// How far from the usual, in whatever unit the detector uses.
        deviation_score: Option<Finite>,
    }
    /// How many sessions a host that sends no starts and ends has.
    ActiveSessions = "active_sessions" requires [] {
        /// How many.
        count: Count,
        /// The host that reports; each host's last report counts.
        host: Option<Label>,
    }
    /// A call went through a circuit breaker.
    CircuitBreakerCall = "circuit_breaker_call" requires [] {
        /// What the breaker guards.
        component: Label,
        /// How long the call took.
        latency_seconds: Seconds,
        /// Whether it succeeded.
        success: bool,
    }
    /// A circuit breaker is in a state.
    CircuitBreakerState = "circuit_breaker_state" requires [] {
        /// What the breaker guards.
        component: Label,
        /// The state.
        state: BreakerState,
    }
    /// An agent has handled a request: start and end in one.
    Request = "request" requires [] {
        /// The agent.
        agent: Label,
        /// What it was asked to do.
        operation: Label,
        /// How long it took.
        duration_seconds: Seconds,
        /// Why it failed; absent when it succeeded.
        error_type: Option<Label>,
    }
    /// An agent has started on a request.
    RequestStart = "request_start" requires [] {
        /// Joins the start and the end.
        request_id: RequestId,
        /// The agent.
        agent: Label,
        /// What it was asked to do.
        operation: Label,
    }
    /// An agent is done with a request.
    RequestEnd = "request_end" requires [] {
        /// Joins the start and the end.
        request_id: RequestId,
        /// The agent.
        agent: Label,
        /// What it was asked to do.
        operation: Label,
        /// Why it failed; absent when it succeeded.
        error_type: Option<Label>,
    }
    /// A language model was called.
    LlmCall = "llm_call" requires [] {
        /// Who serves the model, such as `openai`.
        provider: Label,
        /// The model that was asked for.
        model: Label,
        /// What was asked of it, such as `embeddings`; `chat`, if absent.
        operation: Label = Label::literal("chat"),
        /// How long the call took.
        duration_seconds: Option<Seconds>,
        /// Tokens sent.
        input_tokens: Option<Count>,
        /// Tokens received.
        output_tokens: Option<Count>,
        /// Time until the first token of the answer.
        time_to_first_token_seconds: Option<Seconds>,
        /// Why it failed; absent when it succeeded.
        error_type: Option<Label>,
        /// The session that called.
        session_id: Option<SessionId>,
    }
    /// A search API was called.
    SearchCall = "search_call" requires [] {}
    /// Code was executed.
    CodeExecution = "code_execution" requires [] {
        /// How it went.
        status: ExecutionStatus,
    }
    /// A cache was asked.
    CacheAccess = "cache_access" requires [] {
        /// The cache.
        cache_type: Label,
        /// Whether it had the answer.
        hit: bool,
    }
    /// Something was tried again.
    Retry = "retry" requires [] {
        /// The service that was called again.
        service: Label,
        /// Which attempt this is.
        attempt: Attempt,
        /// Whether it was the last that will be made; false, if absent.
        exhausted: bool = false,
    }
    /// An MCP request or notification was handled.
    McpOperation = "mcp_operation" requires [] {
        /// The component.
        component_name: ComponentName,
        /// The method, such as `tools/call`.
        method: Label,
        /// The tool, where the method calls one.
        tool_name: Option<Label>,
        /// Which way the request went.
        direction: Direction,
        /// How long it took.
        duration_seconds: Seconds,
        /// Why it failed; absent when it succeeded.
        error_type: Option<Label>,
        /// The revision of MCP in use, such as `2025-11-25`.
        protocol_version: Option<Label>,
        /// How client and server are joined.
        transport: Transport,
        /// The session that it belongs to.
        session_id: Option<SessionId>,
    }
}

impl LlmCall {
    /// A call of which nothing more is known.
    pub fn new(provider: Label, model: Label) -> Self {
        Self {
            provider,
            model,
            operation: Label::literal("chat"),
            duration_seconds: None,
            input_tokens: None,
            output_tokens: None,
            time_to_first_token_seconds: None,
            error_type: None,
            session_id: None,
        }
    }
}

impl Dropped {
    /// How many for each reason, where there were any.
    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self { spool_full, rejected, unread, open_requests } = self;
        let counts =
            [("spool_full", spool_full), ("rejected", rejected), ("unread", unread), ("open_requests", open_requests)];
        let some = |count: &Option<Count>| count.map(Count::get).filter(|count| *count > 0);
        counts.into_iter().filter_map(move |(reason, count)| Some((reason, some(count)?)))
    }
}

impl EventKind {
    /// The component that the event names, where it names one.
    pub fn component_name(&self) -> Option<&ComponentName> {
        match self {
            Self::SessionStart(event) => Some(&event.component_name),
            Self::SessionQuality(event) => Some(&event.component_name),
            Self::McpEvent(event) => Some(&event.component_name),
            Self::McpOperation(event) => Some(&event.component_name),
            _ => None,
        }
    }

    /// The session that the event names, where it names one.
    pub fn session_id(&self) -> Option<&SessionId> {
        match self {
            Self::SessionEnd(event) => Some(&event.session_id),
            Self::SessionHeartbeat(event) => Some(&event.session_id),
            Self::SkillInvocation(event) => event.session_id.as_ref(),
            Self::LlmCall(event) => event.session_id.as_ref(),
            Self::McpOperation(event) => event.session_id.as_ref(),
            _ => None,
        }
    }
}
