//! Views against the catalog.

use mcp_otel_bridge::catalog::Kind;
use mcp_otel_bridge::config::View;

use crate::support::{error, from_file};

fn view(yaml: &str) -> View {
    let mut views = from_file(&format!("meter_provider:\n  views:\n    - {yaml}\n")).views;
    assert_eq!(views.len(), 1);
    views.remove(0)
}

fn view_error(yaml: &str) -> String {
    error(&format!("meter_provider:\n  views:\n    - {yaml}\n"), &[])
}

#[test]
fn a_view_sets_buckets_labels_and_limits() {
    let view = view(
        "{selector: {instrument_name: session.duration, instrument_type: histogram, unit: s, meter_name: mcp-otel-bridge}, \
         stream: {aggregation: {explicit_bucket_histogram: {boundaries: [1, 2.5, 1e3], record_min_max: true}}, \
         attribute_keys: {excluded: [component_name]}, aggregation_cardinality_limit: 5}}",
    );
    assert_eq!(view.selector.instrument_name.as_deref(), Some("session.duration"));
    assert_eq!(view.selector.instrument_type, Some(Kind::Histogram));
    assert_eq!(view.selector.unit.as_deref(), Some("s"));
    assert_eq!(view.stream.boundaries, Some(vec![1.0, 2.5, 1000.0]));
    assert_eq!((view.stream.included, view.stream.excluded), (None, vec!["component_name".to_owned()]));
    assert_eq!((view.stream.cardinality_limit, view.stream.drop), (Some(5), false));
}

#[test]
fn a_view_may_drop_or_keep() {
    assert!(view("{selector: {instrument_name: 'bridge.*'}, stream: {aggregation: {drop: {}}}}").stream.drop);
    assert!(!view("{selector: {instrument_name: 'bridge.*'}, stream: {aggregation: {default: }}}").stream.drop);
    assert!(view("{selector: {instrument_type: gauge}, stream: {}}").selector.instrument_name.is_none());
}

#[test]
fn wildcards_of_attribute_keys_become_the_keys_that_they_match() {
    let view =
        view("{selector: {instrument_name: mcp.event.emit.failure}, stream: {attribute_keys: {included: ['*_type']}}}");
    assert_eq!(view.stream.included, Some(vec!["event_type".to_owned(), "error_type".to_owned()]));
}

#[test]
fn a_selector_that_matches_nothing_names_what_is_close() {
    let selector = |name: &str| view_error(&format!("{{selector: {{instrument_name: {name}}}, stream: {{}}}}"));
    assert!(selector("session.strat").contains("did you mean `session.start`"));
    assert!(selector("session_duration_seconds").contains("a Prometheus name; did you mean `session.duration`?"));
    assert!(selector("session.x*").contains("did you mean `session."));
    assert!(selector("zzz").contains("`mcp-otel-bridge catalog` lists"));
    let kind = view_error("{selector: {instrument_name: session.start, instrument_type: histogram}, stream: {}}");
    assert!(
        kind.starts_with("bridge.yaml: meter_provider.views[0].selector (line 3): matches no instrument"),
        "{kind}"
    );
    assert!(view_error("{selector: {meter_name: other}, stream: {}}").contains("\"other\" is not the bridge's meter"));
    assert!(view_error("{selector: {}, stream: {}}").contains("selects nothing in particular"));
    assert!(view_error("{selector: {unit: }, stream: {}}").contains("selects nothing in particular"));
    assert!(view_error("{selector: {instrument_type: observable_gauge}, stream: {}}").contains("instrument_type"));
    assert!(view_error("{stream: {}}").contains("has no `selector`"));
    assert!(view_error("{selector: {unit: s}}").contains("has no `stream`"));
}

#[test]
fn buckets_are_finite_rising_and_there() {
    let buckets = |list: &str| {
        view_error(&format!(
            "{{selector: {{instrument_name: session.duration}}, stream: {{aggregation: {{explicit_bucket_histogram: \
             {{boundaries: {list}}}}}}}}}"
        ))
    };
    assert!(buckets("[]").contains("is an empty list"));
    assert!(buckets("[1, 1]").contains("1 comes after 1"));
    assert!(buckets("[2, 1]").contains("1 comes after 2"));
    assert!(buckets("[1, .inf]").contains("boundaries[1] (line 3): \".inf\" is not a finite number"));
    let counter = view_error(
        "{selector: {instrument_name: session.start}, stream: {aggregation: {explicit_bucket_histogram: {boundaries: [1]}}}}",
    );
    assert!(counter.contains("the view matches no histogram, but session.start"), "{counter}");
    let sum = view_error("{selector: {instrument_name: session.start}, stream: {aggregation: {sum: {}}}}");
    assert!(sum.contains("`explicit_bucket_histogram`, `drop` or `default`"), "{sum}");
}

#[test]
fn attribute_keys_must_be_the_instruments_own() {
    let keys = |keys: &str| {
        view_error(&format!(
            "{{selector: {{instrument_name: session.start}}, stream: {{attribute_keys: {{included: {keys}}}}}}}"
        ))
    };
    assert!(keys("[componentname]").contains("is no attribute of session.start; did you mean `component_name`?"));
    assert!(keys("[zzz]").contains("theirs: component_name, shell_type"));
    assert!(keys("[]").contains("is an empty list"));
    assert!(view_error("{selector: {unit: s}, stream: {name: x}}").contains("names are the catalog's"));
    assert!(view_error("{selector: {unit: s}, stream: {aggregation_cardinality_limit: 0}}").contains("out of range"));
}
