//! Answers, in either form.

use serde_json::{Value as Json, json};

use crate::event::*;
use crate::proto::v1;

fn parsed(bytes: &[u8]) -> Json {
    serde_json::from_slice(bytes).unwrap()
}

fn rejection() -> Rejection {
    parse_body(br#"{"event_type":"session_heartbeat"}"#, BodyForm::Json).unwrap().events.remove(0).unwrap_err()
}

fn outcomes() -> Vec<Outcome> {
    let session_id = SessionId::new("a-20260206-123456-6f1c0a52").unwrap();
    let tracked = Outcome {
        session_id: Some(session_id.clone()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap()),
        warnings: vec![Warning::UnknownField("shel_type".into())],
        ..Outcome::new(Status::Tracked)
    };
    let ended = Outcome { session_id: Some(session_id), duplicate: true, ..Outcome::new(Status::Ended) };
    let unknown = Outcome::new(Status::NotFound).with_session_id("x").with_error("session_id", "no active session x");
    vec![tracked, rejection().into(), ended, unknown, Outcome::new(Status::Recorded)]
}

#[test]
fn one_event_is_answered_with_its_outcome() {
    let [tracked, rejected, ended, unknown, recorded] = <[Outcome; 5]>::try_from(outcomes()).unwrap();
    let (status, body) = tracked.to_json();
    let expected = json!({
        "status": "tracked",
        "session_id": "a-20260206-123456-6f1c0a52",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "warnings": [{
            "reason": "unknown_field",
            "field": "shel_type",
            "message": "shel_type is not a field of this type of event, and was not used",
        }],
    });
    assert_eq!((status, parsed(&body)), (200, expected));
    let (status, body) = rejected.to_json();
    let error = "session_id is missing: must be a string of 1 to 256 printable characters";
    assert_eq!((status, parsed(&body)), (400, json!({"status": "error", "error": error, "field": "session_id"})));
    assert_eq!(parsed(&ended.to_json().1), json!({"status": "ended", "session_id": "a-20260206-123456-6f1c0a52"}));
    let (status, body) = unknown.to_json();
    let expected =
        json!({"status": "not_found", "session_id": "x", "error": "no active session x", "field": "session_id"});
    assert_eq!((status, parsed(&body)), (200, expected));
    assert_eq!(parsed(&recorded.to_json().1), json!({"status": "recorded"}));
}

#[test]
fn a_batch_is_answered_with_counts_and_every_outcome_in_order() {
    let outcomes = outcomes();
    let body = parsed(&batch_json(&outcomes));
    assert_eq!((&body["accepted"], &body["duplicates"]), (&json!(3), &json!(1)));
    let error = "session_id is missing: must be a string of 1 to 256 printable characters";
    assert_eq!(body["rejected"], json!([{"index": 1, "field": "session_id", "error": error}]));
    let results: Vec<Json> = outcomes.iter().map(|outcome| parsed(&outcome.to_json().1)).collect();
    assert_eq!(body["results"], Json::Array(results));
}

#[test]
fn the_protobuf_answer_tells_the_same() {
    let response = record_response(Some(7), outcomes());
    assert_eq!((response.batch_id, response.accepted, response.duplicates), (Some(7), 3, 1));
    assert_eq!((response.rejected[0].index, response.rejected[0].field.as_str()), (1, "session_id"));
    let statuses: Vec<_> = response.results.iter().map(|result| result.status.as_str()).collect();
    assert_eq!(statuses, ["tracked", "error", "ended", "not_found", "recorded"]);
    assert_eq!(response.results[0].warnings[0].field, "shel_type");
    assert_eq!(response.failure, None);
    let failure = v1::BatchFailure::from(Rejection::new(Reason::Overloaded, "try again"));
    assert_eq!((failure.reason.as_str(), failure.retryable), ("overloaded", true));
}

#[test]
fn reasons_have_names_of_their_own() {
    let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reason::ALL.len());
}
