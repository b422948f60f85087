//! What each type of field holds and refuses.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;

fn timestamp(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn labels_are_bounded_in_characters_and_printable() {
    assert!(Label::new(&"é".repeat(128)).is_ok());
    assert!(Label::new("tools/call with spaces, ünïcode and 漢字").is_ok());
    let bad = ["", &"é".repeat(129), "a\nb", "a\0", "a\u{7f}", "a\u{85}", "\u{2028}", "\u{202e}abc", "a\u{2066}"];
    for text in bad {
        assert!(Label::new(text).is_err(), "{text:?}");
    }
}

#[test]
fn component_names_are_letters_digits_underscores_and_hyphens() {
    for text in ["a", "session-buddy", "akosha_core", "A-1", &"x".repeat(128)] {
        assert!(ComponentName::new(text).is_ok(), "{text:?}");
    }
    for text in ["", "a b", "a.b", "naïve", "a\n", &"x".repeat(129)] {
        assert!(ComponentName::new(text).is_err(), "{text:?}");
    }
}

#[test]
fn messages_show_a_bad_value_escaped_and_cut() {
    let error = Label::new(&"\u{202e}\n".repeat(5000)).unwrap_err().to_string();
    assert!(error.starts_with("must be a string of 1 to 128 printable characters, got \"\\u{202e}\\n"), "{error}");
    assert!(error.ends_with("\"...") && error.len() < 600, "{error}");
}

#[test]
fn seconds_are_finite_not_negative_and_rounded_down() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.001, 1e9 + 1.0] {
        assert!(Seconds::new(value).is_err(), "{value}");
    }
    assert_eq!(Seconds::new(1e9).unwrap().get(), 1e9);
    assert!(Seconds::new(-0.0).unwrap().get().is_sign_positive());
    assert_eq!(Seconds::new(1.9999999).unwrap().get(), 2.0 - 1.0 / f64::from(1 << 20));
    assert!(Seconds::new(0.005).unwrap().get() <= 0.005);
    assert_eq!(Seconds::from(Duration::MAX).get(), Seconds::MAX);
    assert_eq!(Seconds::from(Duration::from_millis(2500)).get(), 2.5);
}

#[test]
fn attempts_are_labelled_up_to_nine() {
    let labels: Vec<_> = (1..=11).map(|n| Attempt::new(n).unwrap().label()).collect();
    assert_eq!(labels, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10+", "10+"]);
    assert!(Attempt::new(0).is_err());
}

#[test]
fn timestamps_are_rfc_3339_and_nothing_looser() {
    let noon = timestamp("2026-02-06T12:00:00Z");
    assert_eq!(noon.unix_nanos(), 1_770_379_200_000_000_000);
    let same = ["2026-02-06t12:00:00z", "2026-02-06T12:00:00.000000000Z", "2026-02-06T14:30:00+02:30"];
    for text in same.into_iter().chain(["2026-02-05T23:00:00-13:00", "2026-02-06T12:00:00-00:00"]) {
        assert_eq!(timestamp(text), noon, "{text}");
    }
    assert_eq!(timestamp("2016-12-31T23:59:60Z").to_string(), "2016-12-31T23:59:59.999999999Z");
    assert_eq!(timestamp("2026-02-06T08:05:11.95Z").to_string(), "2026-02-06T08:05:11.95Z");
    assert_eq!(timestamp("1970-01-01T00:00:00Z").unix_nanos(), 0);
    assert_eq!(timestamp("2261-12-31T23:59:59.999999999Z").to_string(), "2261-12-31T23:59:59.999999999Z");
    assert_eq!(timestamp("2024-02-29T00:00:00Z").compact(), "20240229-000000");
    for text in [
        "",
        "2026-02-06",
        "2026-02-06T12:00:00",
        "2026-02-06 12:00:00Z",
        " 2026-02-06T12:00:00Z",
        "2026-02-06T12:00:00Z ",
        "2026-02-06T12:00:00 Z",
        "2026-02-06T12:00Z",
        "2026-02-06T12:00:00.Z",
        "2026-02-06T12:00:00.1234567890Z",
        "2026-02-06T12:00:00,5Z",
        "2026-02-06T12:00:00+0200",
        "2026-02-06T12:00:00+02",
        "2026-02-06T12:00:00+24:00",
        "2026-02-06T12:00:00+00:60",
        "2026-02-06T12:00:00+02:00[Europe/Paris]",
        "2026-02-30T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-02-06T24:00:00Z",
        "2026-02-06T12:60:00Z",
        "2026-02-06T12:00:61Z",
        "20260206T120000Z",
        "+002026-02-06T12:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:30:00+01:00",
        "2262-01-01T00:00:00Z",
        "２026-02-06T12:00:00Z",
        "1770379200",
    ] {
        assert!(text.parse::<Timestamp>().is_err(), "{text:?}");
    }
}

#[test]
fn the_time_between_two_timestamps_is_never_negative() {
    let (start, end) = (timestamp("2026-02-06T08:00:00Z"), timestamp("2026-02-06T10:00:00.5+01:00"));
    assert_eq!(end.seconds_since(start).unwrap().get(), 3600.5);
    assert_eq!(start.seconds_since(start).unwrap().get(), 0.0);
    assert_eq!(start.seconds_since(end), None);
}

#[test]
fn system_times_out_of_range_become_the_nearest_timestamp() {
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(Timestamp::from(before).unix_nanos(), 0);
    assert!(Timestamp::from_unix_nanos(u64::MAX).is_err());
}

#[test]
fn event_ids_are_hyphenated_uuids_in_either_case() {
    let id: EventId = "550E8400-e29b-41d4-a716-446655440000".parse().unwrap();
    assert_eq!(id.to_string(), "550e8400-e29b-41d4-a716-446655440000");
    assert_eq!(id.prefix(), "550e8400");
    assert_eq!(EventId::from_u128(id.as_u128()), id);
    assert_eq!(EventId::from_u128(1).prefix(), "00000000");
    for text in [
        "",
        "550e8400e29b41d4a716446655440000",
        "{550e8400-e29b-41d4-a716-446655440000}",
        "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
        "550e8400-e29b-41d4-a716-44665544000g",
        "550e8400-e29b-41d4-a716-44665544000",
        "550e8400-e29b-41d4-a7164-46655440000",
    ] {
        assert!(text.parse::<EventId>().is_err(), "{text:?}");
    }
}

#[test]
fn session_ids_tell_their_component_and_short_form() {
    let component = ComponentName::new("session-buddy").unwrap();
    let start = timestamp("2026-02-06T13:34:56.789+01:00");
    let event_id = "550e8400-e29b-41d4-a716-446655440000".parse().unwrap();
    let id = SessionId::derive(&component, start, event_id);
    assert_eq!(id.as_str(), "session-buddy-20260206-123456-550e8400");
    assert_eq!(id.short(), Some("session-buddy-20260206-123456"));
    assert_eq!(id.component(), Some(component.clone()));
    assert!(!id.is_short());
    let short = SessionId::derive_short(&component, start);
    assert_eq!((short.short(), short.is_short()), (Some(short.as_str()), true));
    assert_eq!(short.component(), Some(component));
    for text in ["session-123", "a-20260206-12345", "20260206-123456", "-20260206-123456", "a-20260206-123456-x"] {
        assert_eq!(SessionId::new(text).unwrap().component(), None, "{text}");
    }
}

#[test]
fn traceparents_follow_the_standard() {
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let parent: TraceParent = text.parse().unwrap();
    assert_eq!(parent.to_string(), text);
    assert!(parent.is_sampled() && parent.span_context().is_remote());
    let unsampled: TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().unwrap();
    assert!(!unsampled.is_sampled());
    let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes";
    assert_eq!(later.parse::<TraceParent>().unwrap(), parent);
    for text in [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-01",
    ] {
        assert!(text.parse::<TraceParent>().is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_lossy_makes_of_any_text_is_valid(text in any::<String>()) {
        prop_assert!(Label::new(Label::lossy(&text).as_str()).is_ok());
        prop_assert!(ComponentName::new(ComponentName::lossy(&text).as_str()).is_ok());
    }

    #[test]
    fn timestamps_come_back_from_their_text(nanos in 0..9_214_646_400_000_000_000u64) {
        let timestamp = Timestamp::from_unix_nanos(nanos).unwrap();
        prop_assert_eq!(timestamp.to_string().parse::<Timestamp>().unwrap(), timestamp);
    }

    #[test]
    fn any_text_is_parsed_without_panic(text in "[-0-9TZ:.+é]{0,60}") {
        let _ = (text.parse::<Timestamp>(), text.parse::<EventId>(), text.parse::<TraceParent>());
    }

    #[test]
    fn sums_of_seconds_are_exact_in_any_order(mut values in prop::collection::vec(0.0..1e6f64, 0..50)) {
        let sum = |values: &[f64]| values.iter().map(|value| Seconds::new(*value).unwrap().get()).sum::<f64>();
        let forward = sum(&values);
        values.reverse();
        prop_assert_eq!(forward.to_bits(), sum(&values).to_bits());
    }
}
