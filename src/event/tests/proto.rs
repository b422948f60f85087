//! Events in protobuf: the same events and the same rules as in JSON.

use proptest::prelude::*;
use prost::Message;
use prost_types::Timestamp as ProtoTimestamp;

use super::events;
use crate::event::*;
use crate::proto::v1::{self, event::Event as Kind};

fn event(kind: Kind) -> v1::Event {
    v1::Event { event: Some(kind), ..v1::Event::default() }
}

fn rejected(event: &v1::Event) -> (Reason, Option<String>) {
    let rejection = from_proto(event).unwrap_err();
    (rejection.reason, rejection.field)
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn start() -> v1::SessionStart {
    v1::SessionStart {
        component_name: "session-buddy".into(),
        shell_type: "SessionBuddyShell".into(),
        pid: Some(12345),
        user: Some(v1::User { username: "operator".into(), home: "/home/operator".into() }),
        hostname: "server01".into(),
        environment: Some(v1::Environment {
            python_version: text("3.13.0"),
            platform: "Linux-6.5.0-x86_64".into(),
            cwd: "/home/operator/projects".into(),
        }),
        quality_score: Some(71.5),
        protocol_version: text("2025-11-25"),
        transport: v1::Transport::Stdio.into(),
        server: Some(v1::Implementation { name: "@scope/Session Buddy".into(), version: text("1.2.3") }),
        client: Some(v1::Implementation { name: "claude-ai".into(), version: None }),
    }
}

/// The events of the fixture, as a client would make them in protobuf.
fn messages() -> Vec<v1::Event> {
    let session = || text("session-123");
    let mut messages = vec![
        event(Kind::SessionStart(start())),
        event(Kind::SessionEnd(v1::SessionEnd {
            session_id: "session-buddy-20260206-123456-6f1c0a52".into(),
            status: v1::SessionStatus::Error.into(),
            quality_score: Some(80.0),
        })),
        event(Kind::SessionHeartbeat(v1::SessionHeartbeat {
            session_id: "session-buddy-20260206-123456".into(),
            dropped: Some(v1::Dropped { spool_full: Some(3), rejected: Some(0), ..v1::Dropped::default() }),
        })),
        event(Kind::SessionQuality(v1::SessionQuality {
            component_name: "session-buddy".into(),
            quality_score: Some(85.5),
        })),
        event(Kind::McpEvent(v1::McpEvent {
            component_name: "mahavishnu".into(),
            emitted_type: "session_start".into(),
            duration_seconds: Some(0.0625),
            error_type: text("ConnectionError"),
        })),
        event(Kind::SkillInvocation(v1::SkillInvocation {
            skill_name: "pytest-run".into(),
            workflow_phase: text("execution"),
            completed: Some(true),
            duration_seconds: Some(45.25),
            session_id: session(),
            workflow_path: text("setup/execution"),
        })),
        event(Kind::SkillCompletionRate(v1::SkillCompletionRate { skill_name: "pytest-run".into(), rate: Some(0.92) })),
        event(Kind::Anomaly(v1::Anomaly {
            skill_name: "pytest-run".into(),
            anomaly_type: "performance_drop".into(),
            deviation_score: Some(-3.5),
        })),
        event(Kind::ActiveSessions(v1::ActiveSessions { count: Some(5), host: text("server02") })),
        event(Kind::CircuitBreakerCall(v1::CircuitBreakerCall {
            component: "user_api".into(),
            latency_seconds: Some(0.125),
            success: Some(false),
        })),
        event(Kind::CircuitBreakerState(v1::CircuitBreakerState {
            component: "user_api".into(),
            state: v1::BreakerState::HalfOpen.into(),
        })),
        event(Kind::Request(v1::Request {
            agent: "research".into(),
            operation: "summarize".into(),
            duration_seconds: Some(2.0),
            error_type: text("Timeout"),
        })),
        event(Kind::RequestStart(v1::RequestStart {
            request_id: "r-1".into(),
            agent: "research".into(),
            operation: "summarize".into(),
        })),
        event(Kind::RequestEnd(v1::RequestEnd {
            request_id: "r-1".into(),
            agent: "research".into(),
            operation: "summarize".into(),
            error_type: text("Timeout"),
        })),
        event(Kind::LlmCall(v1::LlmCall {
            provider: "openai".into(),
            model: "gpt-4".into(),
            operation: text("embeddings"),
            duration_seconds: Some(1.5),
            input_tokens: Some(1200),
            output_tokens: Some(0),
            time_to_first_token_seconds: Some(0.25),
            error_type: text("RateLimit"),
            session_id: session(),
        })),
        event(Kind::SearchCall(v1::SearchCall {})),
        event(Kind::CodeExecution(v1::CodeExecution { status: v1::ExecutionStatus::Failure.into() })),
        event(Kind::CacheAccess(v1::CacheAccess { cache_type: "llm".into(), hit: Some(true) })),
        event(Kind::Retry(v1::Retry { service: "llm_api".into(), attempt: Some(3), exhausted: Some(true) })),
        event(Kind::McpOperation(v1::McpOperation {
            component_name: "mahavishnu".into(),
            method: "tools/call".into(),
            tool_name: text("search"),
            direction: v1::Direction::ToServer.into(),
            duration_seconds: Some(0.03125),
            error_type: text("tool_error"),
            protocol_version: text("2025-11-25"),
            transport: v1::Transport::Http.into(),
            session_id: session(),
        })),
    ];
    messages[0].event_id = "6f1c0a52-3f0e-4c43-9f5f-0d6f2a9f4b11".into();
    messages[0].event_version = "1.0".into();
    messages[0].timestamp = Some(ProtoTimestamp { seconds: 1_770_381_296, nanos: 789_000_000 });
    messages[0].metadata = Some(prost_types::Struct::default());
    messages[1].timestamp = Some(ProtoTimestamp { seconds: 1_770_381_296, nanos: 0 });
    messages[14].traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into();
    messages[15].event_id = "0e1d2c3b-4a59-4687-8796-a5b4c3d2e1f0".into();
    messages[15].timestamp = Some(ProtoTimestamp { seconds: 1_770_381_296, nanos: 0 });
    messages
}

#[test]
fn both_forms_of_an_event_are_the_same_event() {
    let (messages, events) = (messages(), events());
    assert_eq!(messages.len(), events.len());
    for (message, event) in messages.iter().zip(events) {
        let sent = v1::Event::decode(message.encode_to_vec().as_slice()).unwrap();
        assert_eq!(from_proto(&sent).unwrap(), event);
    }
}

#[test]
fn enums_list_the_choices_in_order() {
    for (index, choice) in SessionStatus::ALL.iter().enumerate() {
        let proto = v1::SessionStatus::try_from(index as i32 + 1).unwrap().as_str_name();
        assert_eq!(proto, format!("SESSION_STATUS_{}", choice.name().to_uppercase()));
    }
    for (index, choice) in BreakerState::ALL.iter().enumerate() {
        let proto = v1::BreakerState::try_from(index as i32 + 1).unwrap().as_str_name();
        assert_eq!(proto, format!("BREAKER_STATE_{}", choice.name().to_uppercase()));
    }
    for (index, choice) in Direction::ALL.iter().enumerate() {
        let proto = v1::Direction::try_from(index as i32 + 1).unwrap().as_str_name();
        assert_eq!(proto, format!("DIRECTION_{}", choice.name().to_uppercase()));
    }
    for (index, choice) in Transport::ALL.iter().enumerate() {
        let proto = v1::Transport::try_from(index as i32 + 1).unwrap().as_str_name();
        assert_eq!(proto, format!("TRANSPORT_{}", choice.name().to_uppercase()));
    }
    for (index, choice) in ExecutionStatus::ALL.iter().enumerate() {
        let proto = v1::ExecutionStatus::try_from(index as i32 + 1).unwrap().as_str_name();
        assert_eq!(proto, format!("EXECUTION_STATUS_{}", choice.name().to_uppercase()));
    }
}

#[test]
fn what_is_not_set_is_missing() {
    assert_eq!(rejected(&v1::Event::default()), (Reason::UnknownEventType, text("event")));
    let empty = event(Kind::SessionHeartbeat(v1::SessionHeartbeat::default()));
    assert_eq!(rejected(&empty), (Reason::MissingField, text("session_id")));
    let state = v1::CircuitBreakerState { component: "c".into(), state: 0 };
    assert_eq!(rejected(&event(Kind::CircuitBreakerState(state))), (Reason::MissingField, text("state")));
    let call = v1::CircuitBreakerCall { component: "c".into(), latency_seconds: Some(0.0), success: None };
    assert_eq!(rejected(&event(Kind::CircuitBreakerCall(call))), (Reason::MissingField, text("success")));
    let mut message = messages().remove(0);
    message.timestamp = None;
    assert_eq!(rejected(&message), (Reason::MissingField, text("timestamp")));
    let mut user = start();
    user.user = Some(v1::User { username: "operator".into(), home: String::new() });
    message.event = Some(Kind::SessionStart(user));
    assert_eq!(rejected(&message), (Reason::MissingField, text("user.home")));
}

#[test]
fn numbers_must_be_finite_and_in_range() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 2e9] {
        let call = v1::CircuitBreakerCall { component: "c".into(), latency_seconds: Some(value), success: Some(true) };
        let got = rejected(&event(Kind::CircuitBreakerCall(call)));
        assert_eq!(got, (Reason::InvalidValue, text("latency_seconds")), "{value}");
    }
    let anomaly = v1::Anomaly { skill_name: "s".into(), anomaly_type: "a".into(), deviation_score: Some(f64::NAN) };
    assert_eq!(rejected(&event(Kind::Anomaly(anomaly))), (Reason::InvalidValue, text("deviation_score")));
    let sessions = v1::ActiveSessions { count: Some(u64::MAX), host: None };
    assert_eq!(rejected(&event(Kind::ActiveSessions(sessions))), (Reason::InvalidValue, text("count")));
}

#[test]
fn times_out_of_form_and_numbers_that_no_enum_has_are_refused() {
    for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0), (9_214_646_400, 0)] {
        let mut search = event(Kind::SearchCall(v1::SearchCall {}));
        search.timestamp = Some(ProtoTimestamp { seconds, nanos });
        assert_eq!(rejected(&search), (Reason::InvalidValue, text("timestamp")), "{seconds} {nanos}");
    }
    let execution = event(Kind::CodeExecution(v1::CodeExecution { status: 9 }));
    assert_eq!(rejected(&execution), (Reason::WrongType, text("status")));
    let mut version = event(Kind::SearchCall(v1::SearchCall {}));
    version.event_version = "2.0".into();
    assert_eq!(rejected(&version), (Reason::UnsupportedVersion, text("event_version")));
}

#[test]
fn the_descriptors_name_the_service() {
    let set = prost_types::FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap();
    let services: Vec<_> = set.file.iter().flat_map(|file| &file.service).map(|service| service.name()).collect();
    assert_eq!(services, ["EventService"]);
    assert!(set.file.iter().any(|file| file.name() == "google/protobuf/struct.proto"), "imports are included");
}

fn read_all(bytes: &[u8]) {
    if let Ok(event) = v1::Event::decode(bytes) {
        let _ = from_proto(&event);
    }
    if let Ok(request) = v1::RecordRequest::decode(bytes) {
        for event in &request.events {
            let _ = from_proto(event);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn any_damage_to_real_events_is_read_without_panic(
        which in 0..EventType::COUNT, at in 0..1000usize, bytes in prop::collection::vec(any::<u8>(), 0..4), cut in 0..4usize,
    ) {
        let mut event = messages().remove(which).encode_to_vec();
        let at = at % event.len();
        event.splice(at..(at + cut).min(event.len()), bytes);
        read_all(&event);
        read_all(&v1::RecordRequest { batch_id: None, events: messages() }.encode_to_vec()[at..]);
    }
}
