//! What events are read from and written to, in either form.

mod answer;
mod json;
mod proto;
mod schema;

use super::*;

/// One event of each type, in the order of [`EventType::ALL`], with every field that it can have.
const EVENTS: &[u8] = include_bytes!("../../../tests/data/events.ndjson");

fn events() -> Vec<Event> {
    parse_body(EVENTS, BodyForm::Ndjson).unwrap().events.into_iter().map(Result::unwrap).collect()
}

#[test]
fn there_is_an_event_of_each_type() {
    let types: Vec<EventType> = events().iter().map(Event::event_type).collect();
    assert_eq!(types, EventType::ALL);
    for (index, event_type) in EventType::ALL.iter().enumerate() {
        assert_eq!(event_type.index(), index);
        assert_eq!(EventType::from_name(event_type.name()), Some(*event_type));
    }
}

#[test]
fn events_come_back_from_their_json() {
    for event in events() {
        let json = serde_json::to_vec(&event).unwrap();
        let read = parse_body(&json, BodyForm::Json).unwrap().events.remove(0).unwrap();
        assert_eq!(read, event, "{}", String::from_utf8_lossy(&json));
    }
}

#[test]
fn events_and_rejections_stay_small_enough_to_move() {
    assert!(size_of::<Event>() <= 320, "{}", size_of::<Event>());
    assert!(size_of::<Rejection>() <= 112, "{}", size_of::<Rejection>());
}
