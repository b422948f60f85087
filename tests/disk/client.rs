//! A client that keeps its own account of what was acknowledged, and holds the bridge's against it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::process::Serving;
use crate::support::events::{start, until};
use crate::support::samples::Samples;

/// What was asked, as it was answered.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Starts sessions of one component, each with an event id of its own.
#[derive(Default)]
pub struct Client {
    next: u32,
    pub acknowledged: Vec<u32>,
}

pub fn ask(bridge: &Serving, method: &str, path: &str, body: &str) -> Result<Answer, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(crate::process::PATIENCE))
        .build()
        .into();
    let url = bridge.url(path);
    let mut answer = match method {
        "POST" => agent.post(url).header("content-type", "application/json").send(body)?,
        _ => agent.get(url).call()?,
    };
    Ok(Answer { status: answer.status().as_u16(), body: answer.body_mut().read_to_string()? })
}

pub fn get(bridge: &Serving, path: &str) -> Answer {
    ask(bridge, "GET", path, "").unwrap()
}

/// The event that starts session `number`.
pub fn event(number: u32) -> Value {
    start("disk", "2026-02-06T12:34:56Z", &format!("{number:08x}"))
}

/// The id of the session that event `number` starts.
fn session_id(number: u32) -> String {
    format!("disk-20260206-123456-{number:08x}")
}

impl Client {
    /// Starts one more session; the answer is not taken for granted.
    pub fn try_start(&mut self, bridge: &Serving) -> Answer {
        self.next += 1;
        self.try_again(bridge, self.next)
    }

    /// Sends an event that was refused once more.
    pub fn try_again(&mut self, bridge: &Serving, number: u32) -> Answer {
        let answer = ask(bridge, "POST", "/v1/events", &event(number).to_string()).unwrap();
        if answer.status == 200 {
            assert!(answer.body.contains("\"status\":\"tracked\""), "{}", answer.body);
            self.acknowledged.push(number);
        }
        answer
    }

    pub fn start(&mut self, bridge: &Serving) {
        let answer = self.try_start(bridge);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Starts sessions until one is refused; its number, and the answer.
    pub fn start_until_refused(&mut self, bridge: &Serving) -> (u32, Answer) {
        for _ in 0..5_000 {
            let answer = self.try_start(bridge);
            if answer.status != 200 {
                return (self.next, answer);
            }
        }
        panic!("nothing was refused");
    }

    /// What was acknowledged is there, nothing else is, and the bridge's own account is balanced.
    pub fn check(&self, bridge: &Serving) {
        let scrape = get(bridge, "/metrics");
        assert_eq!(scrape.status, 200, "{}", scrape.body);
        let samples = Samples::parse(&scrape.body);
        assert_eq!(samples.total("session_start_total{component_name=\"disk\""), self.acknowledged.len() as f64);
        let active = samples.find("active_sessions{component_name=\"disk\"}").unwrap_or(0.0);
        assert_eq!(active, self.acknowledged.len() as f64);
        let listed: Value = serde_json::from_str(&get(bridge, "/v1/sessions").body).unwrap();
        let listed: BTreeSet<String> = listed["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["session_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(listed, self.acknowledged.iter().map(|number| session_id(*number)).collect());
    }

    /// What was acknowledged is known when it is sent again.
    pub fn check_duplicates(&self, bridge: &Serving) {
        let all: Vec<Value> = self.acknowledged.iter().map(|number| event(*number)).collect();
        let answer = ask(bridge, "POST", "/v1/events", &Value::from(all).to_string()).unwrap();
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&answer["duplicates"], &answer["accepted"]), (&self.acknowledged.len().into(), &0.into()));
        check_books(bridge);
    }
}

/// The bridge's own books are balanced.
pub fn check_books(bridge: &Serving) -> Samples {
    Samples::parse(&get(bridge, "/metrics").body)
}

/// Waits until events can be taken again, without sending any.
pub fn until_ready(bridge: &Serving) {
    until("the bridge is ready again", || get(bridge, "/readyz").status == 200);
}

/// The bridge says that it cannot keep events, and why, wherever one asks; what it has counted is still shown.
pub fn check_refusal(bridge: &Serving, refused: &Answer, reason: &str) {
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains(reason), "{}", refused.body);
    let ready = get(bridge, "/readyz");
    assert!(ready.status == 503 && ready.body.contains(reason), "{} {}", ready.status, ready.body);
    assert_eq!(get(bridge, "/livez").status, 200);
    let (code, message) = over_grpc(&bridge.url(""));
    assert!(code == tonic::Code::Unavailable && message.contains(reason), "{code:?} {message}");
}

/// How many events of each source were refused because they could not be kept, and whether that is over.
#[track_caller]
pub fn check_account(bridge: &Serving, refused: &[(&str, f64)], ready: f64) {
    let samples = check_books(bridge);
    for (source, count) in refused {
        let key = format!("bridge_events_rejected_total{{source=\"{source}\",reason=\"storage\"}}");
        assert_eq!(samples.find(&key), Some(*count), "{key}");
    }
    assert_eq!(samples.get("bridge_ready"), ready);
}

/// How an event is answered over gRPC that cannot be kept.
fn over_grpc(url: &str) -> (tonic::Code, String) {
    use mcp_otel_bridge::proto::v1;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let channel = tonic::transport::Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
        let event = v1::McpEvent {
            component_name: "grpc".to_owned(),
            emitted_type: "tool_list".to_owned(),
            duration_seconds: Some(0.5),
            error_type: None,
        };
        let event = v1::Event {
            event_id: "0000dead-0000-4000-8000-000000000000".to_owned(),
            event: Some(v1::event::Event::McpEvent(event)),
            ..v1::Event::default()
        };
        let request = v1::RecordRequest { batch_id: None, events: vec![event] };
        v1::event_service_client::EventServiceClient::new(channel).record(request).await.unwrap_err()
    });
    (status.code(), status.message().to_owned())
}
