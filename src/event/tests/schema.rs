//! The JSON Schema of events says what the bridge does: both take the same events, and refuse the same ones.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::EVENTS;
use crate::event::*;

const WORKLOAD: &[u8] = include_bytes!("../../../tests/data/workload.ndjson");
const SESSIONS: &[u8] = include_bytes!("../../../tests/data/sessions.ndjson");

fn lines(file: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(file).unwrap().lines().filter(|line| !line.trim().is_empty());
    // What is not even JSON no schema can judge.
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What is wrong with the event, as the bridge says.
fn fault(event: &Value) -> Option<Rejection> {
    parse_body(event.to_string().as_bytes(), BodyForm::Json).unwrap().events.remove(0).err()
}

fn validator(schema: &Value) -> Validator {
    assert!(jsonschema::meta::is_valid(schema), "{schema:#}");
    jsonschema::draft202012::new(schema).unwrap()
}

/// The schemas that judge an event: the whole one, and the one of its type.
struct Judges {
    whole: Validator,
    single: Vec<Validator>,
}

impl Judges {
    fn new() -> Self {
        let single = EventType::ALL.iter().map(|event_type| validator(&schema_of(*event_type))).collect();
        Self { whole: validator(&schema()), single }
    }

    /// Checks that the schemas take the event just as the bridge does; whether they do.
    fn agree(&self, event: &Value) -> bool {
        let fault = fault(event);
        assert_eq!(self.whole.is_valid(event), fault.is_none(), "{fault:?}: {event}");
        if let Some(event_type) = event["event_type"].as_str().and_then(EventType::from_name) {
            assert_eq!(self.single[event_type.index()].is_valid(event), fault.is_none(), "{fault:?}: {event}");
        }
        fault.is_none()
    }
}

#[test]
fn every_event_that_the_bridge_takes_fits_the_schema_and_no_other() {
    let judges = Judges::new();
    let (mut taken, mut refused) = (0, 0);
    // A month without such a day is what no schema can tell.
    let no_such_day = |event: &Value| event["timestamp"].as_str().is_some_and(|time| time.contains("-02-30T"));
    for event in [EVENTS, WORKLOAD, SESSIONS].into_iter().flat_map(lines).filter(|event| !no_such_day(event)) {
        if judges.agree(&event) {
            taken += 1;
        } else {
            refused += 1;
        }
    }
    assert!(taken > 1000 && refused > 0, "{taken} {refused}");
}

/// Values that some fields take and others refuse.
fn oddities() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(3.0),
        json!(0.5),
        json!(100.5),
        json!(4_294_967_296_u64),
        json!(9_007_199_254_740_993_u64),
        json!(1e10),
        json!(-1e300),
        json!(""),
        json!("plain"),
        json!("two words"),
        json!("bell \u{7}"),
        json!("line\u{2028}separator"),
        json!("x".repeat(128)),
        json!("x".repeat(129)),
        json!("é".repeat(257)),
        json!("x".repeat(1025)),
        json!("1.0"),
        json!("1.1"),
        json!("550e8400-e29b-41d4-a716-44665544000"),
        json!("550e8400-E29B-41d4-a716-446655440000"),
        json!("2026-02-06T12:34:56.789123456789Z"),
        json!("2026-02-06 12:34:56Z"),
        json!("2026-02-06t12:34:60z"),
        json!("1968-06-06T12:34:56Z"),
        json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"),
        json!("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"),
        json!("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        json!("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
        json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        json!([]),
        json!({}),
    ]
}

/// The object without the field, and with each oddity in its place.
fn variants(object: &Map<String, Value>, name: &str) -> Vec<Map<String, Value>> {
    let mut variants: Vec<_> = oddities()
        .into_iter()
        .map(|oddity| {
            let mut variant = object.clone();
            variant.insert(name.to_owned(), oddity);
            variant
        })
        .collect();
    let mut without = object.clone();
    without.remove(name);
    variants.push(without);
    variants
}

#[test]
fn a_fault_planted_in_any_field_is_refused_by_schema_and_bridge_alike() {
    let judges = Judges::new();
    let mut planted = 0;
    for event in lines(EVENTS) {
        let event = event.as_object().unwrap();
        let declared = schema_of(EventType::from_name(event["event_type"].as_str().unwrap()).unwrap());
        for (name, schema) in declared["properties"].as_object().unwrap() {
            let mut refused = 0;
            let mut judge = |variant: Map<String, Value>| refused += usize::from(!judges.agree(&variant.into()));
            variants(event, name).into_iter().for_each(&mut judge);
            if let Some(inner) = schema["properties"].as_object() {
                for inner_name in inner.keys() {
                    for variant in variants(event[name].as_object().unwrap(), inner_name) {
                        let mut outer = event.clone();
                        outer.insert(name.clone(), variant.into());
                        judge(outer);
                    }
                }
            }
            assert!(refused > 0, "{name} of {} takes anything", event["event_type"]);
            planted += refused;
        }
    }
    assert!(planted > 1000, "{planted}");
}

#[test]
fn more_fields_than_an_object_may_have_are_refused_by_both() {
    let judges = Judges::new();
    for (count, fits) in [(255, true), (256, false)] {
        let mut event = json!({"event_type": "search_call"});
        for index in 0..count {
            event[format!("field_{index}")] = json!(index);
        }
        assert_eq!(judges.agree(&event), fits, "{count}");
    }
}

#[test]
fn every_field_says_what_it_is() {
    fn check(schema: &Value, path: &str) {
        assert!(
            schema["description"].as_str().is_some_and(|doc| doc.len() > 5 && doc.trim() == doc),
            "{path}: {schema}"
        );
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            check(property, &format!("{path}.{name}"));
        }
    }
    for event_type in EventType::ALL {
        check(&schema_of(*event_type), event_type.name());
    }
}

#[test]
fn the_schema_names_every_type_and_refers_to_itself_alone() {
    let schema = schema();
    let names: Vec<&str> = EventType::ALL.iter().map(|event_type| event_type.name()).collect();
    assert_eq!(schema["properties"]["event_type"]["enum"], json!(names));
    assert_eq!(schema["oneOf"].as_array().unwrap().len(), names.len());
    assert!(names.iter().all(|name| schema["$defs"][name].is_object()));
}

#[test]
fn the_examples_of_the_reference_are_events_of_each_type_and_hold_nothing_unknown() {
    let judges = Judges::new();
    let examples = lines(crate::event::reference::EXAMPLES.as_bytes());
    let types: Vec<&str> = examples.iter().map(|example| example["event_type"].as_str().unwrap()).collect();
    assert_eq!(types, EventType::ALL.iter().map(|event_type| event_type.name()).collect::<Vec<_>>());
    for example in &examples {
        assert!(judges.agree(example), "{:?}: {example}", fault(example));
        let body = parse_body(example.to_string().as_bytes(), BodyForm::Json).unwrap();
        assert_eq!(body.events[0].as_ref().unwrap().unknown_fields, [""; 0], "{example}");
    }
}

#[test]
fn the_answers_in_the_reference_are_those_that_are_given() {
    let page = reference_markdown();
    for event in [
        json!({"event_type": "session_quality", "component_name": "a", "quality_score": 101}),
        json!({"event_type": "cache_access", "cache_type": "llm"}),
    ] {
        let error = fault(&event).unwrap().error;
        assert!(page.contains(&format!("\"error\": {}", json!(error))), "{error} is not in the page");
    }
}

#[test]
fn the_reference_names_every_field_reason_warning_and_status() {
    let page = reference_markdown();
    let mut names: Vec<String> = Reason::ALL.iter().map(|reason| reason.name().to_owned()).collect();
    names.extend(Status::ALL.iter().map(|status| status.name().to_owned()));
    let warnings = [Warning::UnknownField(String::new()), Warning::ClockSkew, Warning::LateEnd];
    names.extend(warnings.iter().map(|warning| warning.reason().to_owned()));
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name} has no row");
    }
    for event_type in EventType::ALL {
        let heading = format!("\n## {}\n", event_type.name());
        let section = page.split_once(&heading).unwrap().1.split("\n## ").next().unwrap();
        let schema = schema_of(*event_type);
        let required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for (name, property) in schema["properties"].as_object().unwrap() {
            let common = ["event_type", "event_version", "event_id", "timestamp", "traceparent", "metadata"];
            let must = required.contains(&name.as_str());
            let row = format!("| `{name}` | {} |", if must { "yes" } else { "" });
            let listed = section.contains(&row);
            let shared = common.contains(&name.as_str()) && !must || name == "event_type";
            assert!(listed != shared, "{event_type:?}.{name}");
            for inner in property["properties"].as_object().into_iter().flatten().map(|(inner, _)| inner) {
                assert!(section.contains(&format!("| `{name}.{inner}` |")), "{event_type:?}.{name}.{inner}");
            }
        }
    }
}
