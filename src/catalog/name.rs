//! The standard OpenTelemetry-to-Prometheus translation of names (UnderscoreEscapingWithSuffixes).
//!
//! See "Prometheus and OpenMetrics Compatibility" in the OpenTelemetry specification.

use super::Kind;

/// The suffix that a UCUM unit gives a Prometheus name; `None` for the empty unit and for units in braces.
pub fn unit_suffix(unit: &str) -> Option<&'static str> {
    match unit {
        "s" => Some("seconds"),
        "ms" => Some("milliseconds"),
        "By" => Some("bytes"),
        "%" => Some("percent"),
        _ => None,
    }
}

/// The Prometheus family name of an instrument; a counter's ends in `_total`.
pub fn prometheus_name(otel: &str, kind: Kind, unit: &str) -> String {
    let mut name = label_name(otel);
    if let Some(suffix) = unit_suffix(unit)
        && !name.split('_').any(|word| word == suffix)
    {
        name.push('_');
        name.push_str(suffix);
    }
    if kind == Kind::Counter && !name.ends_with("_total") {
        name.push_str("_total");
    }
    name
}

/// The Prometheus label name of an attribute key: every character that may not stand there becomes an underscore.
pub fn label_name(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for c in key.chars() {
        let allowed = c == '_' || c.is_ascii_alphabetic() || (c.is_ascii_digit() && !name.is_empty());
        name.push(if allowed { c } else { '_' });
    }
    name
}
