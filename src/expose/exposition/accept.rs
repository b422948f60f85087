//! Content negotiation by q-values (RFC 9110, 12.5), for the formats and for gzip.

use super::format::{Escaping, Exposition, Format};

/// One member of an `Accept` or `Accept-Encoding` list.
struct Range<'a> {
    value: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    q: f32,
}

/// The format for a client with this `Accept` header.
///
/// Of the formats that the client takes, the one with the highest q-value; at equal ones OpenMetrics before the text
/// formats. A wildcard gives text 0.0.4, and so does a header that names nothing the bridge has: a scraper can read
/// it, and a person can read the answer better than an error.
pub fn negotiate(accept: Option<&str>) -> Exposition {
    let mut best: Option<(f32, Exposition)> = None;
    let ranges: Vec<Range<'_>> = accept.map(ranges).unwrap_or_default();
    for format in Format::ALL {
        // The most specific range that covers a format decides about it, whatever stands in the others.
        let Some((_, range)) = ranges
            .iter()
            .filter_map(|range| Some((specificity(range, format)?, range)))
            .reduce(|most, next| if next.0 > most.0 { next } else { most })
        else {
            continue;
        };
        if range.q > 0.0 && best.is_none_or(|(q, _)| range.q > q) {
            best = Some((range.q, exposition(format, range)));
        }
    }
    best.map_or(Exposition::new(Format::Text004), |(_, exposition)| exposition)
}

fn exposition(format: Format, range: &Range<'_>) -> Exposition {
    let mut exposition = Exposition::new(format);
    if let Some(asked) = range.parameter("escaping") {
        exposition.escaping = Some(Escaping::from_name(asked).unwrap_or(Escaping::Underscores));
    }
    exposition
}

/// How exactly a range names a format; `None` where it does not cover it.
fn specificity(range: &Range<'_>, format: Format) -> Option<u8> {
    let version = range.parameter("version");
    let wildcard = match range.value {
        "*/*" => Some(0),
        "text/*" if format.media_type() == "text/plain" => Some(1),
        "application/*" if format == Format::OpenMetrics100 => Some(1),
        _ => None,
    };
    if let Some(specificity) = wildcard {
        // The wildcard of everything stands for what everything reads.
        return (format != Format::Text100 && (specificity > 0 || format == Format::Text004)).then_some(specificity);
    }
    if !range.value.eq_ignore_ascii_case(format.media_type()) {
        return None;
    }
    match (format, version) {
        (_, Some(version)) => (version == format.version()).then_some(3),
        (Format::Text100, None) => None,
        (Format::Text004 | Format::OpenMetrics100, None) => Some(2),
    }
}

/// Whether a client with this `Accept-Encoding` header takes gzip, and rather than the bare text.
pub fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    let ranges = accept_encoding.map(ranges).unwrap_or_default();
    let q = |names: &[&str]| {
        ranges.iter().find(|range| names.iter().any(|name| range.value.eq_ignore_ascii_case(name))).map(|range| range.q)
    };
    let gzip = q(&["gzip", "x-gzip"]).or_else(|| q(&["*"])).unwrap_or(0.0);
    let identity = q(&["identity"]).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity
}

fn ranges(header: &str) -> Vec<Range<'_>> {
    header.split(',').map(str::trim).filter(|member| !member.is_empty()).map(Range::parse).collect()
}

impl<'a> Range<'a> {
    fn parse(member: &'a str) -> Self {
        let mut parts = member.split(';').map(str::trim);
        let value = parts.next().unwrap_or_default();
        let mut range = Range { value, parameters: Vec::new(), q: 1.0 };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("q") {
                // A q-value that cannot be read is no wish to be served that.
                range.q = value.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0);
            } else {
                range.parameters.push((name, value));
            }
        }
        range
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
        text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

    #[test]
    fn the_highest_q_value_wins_and_the_escaping_scheme_is_echoed() {
        for (accept, content_type) in [
            (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", "text/plain; version=0.0.4; charset=utf-8"),
            ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
            ("text/*", "text/plain; version=0.0.4; charset=utf-8"),
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/plain; version=0.0.4; charset=utf-8"),
            ("application/json", "text/plain; version=0.0.4; charset=utf-8"),
            ("", "text/plain; version=0.0.4; charset=utf-8"),
            (
                "application/openmetrics-text",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            ),
            (
                "text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.5",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            ),
            ("application/openmetrics-text;q=0, */*", "text/plain; version=0.0.4; charset=utf-8"),
            ("application/openmetrics-text;version=0.0.1, */*;q=0.1", "text/plain; version=0.0.4; charset=utf-8"),
            (
                "text/plain;version=1.0.0;escaping=dots;q=0.9, text/plain;version=0.0.4;q=0.8",
                "text/plain; version=1.0.0; charset=utf-8; escaping=dots",
            ),
            (
                "text/plain;version=1.0.0;escaping=unheard-of",
                "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
            ),
            (
                "APPLICATION/OpenMetrics-Text; Version=\"1.0.0\" ; q=0.1, text/plain; q=0.05",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            ),
            ("application/openmetrics-text;q=nonsense, text/plain;q=0.01", "text/plain; version=0.0.4; charset=utf-8"),
        ] {
            assert_eq!(negotiate(Some(accept)).content_type(), content_type, "{accept}");
        }
        assert_eq!(negotiate(None).content_type(), "text/plain; version=0.0.4; charset=utf-8");
    }

    #[test]
    fn gzip_is_given_to_those_who_take_it() {
        for (header, expected) in [
            (Some("gzip"), true),
            (Some("gzip, deflate, br"), true),
            (Some("identity, gzip;q=0.5"), false),
            (Some("gzip;q=0"), false),
            (Some("*"), true),
            (Some("*;q=0"), false),
            (Some("deflate"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(accepts_gzip(header), expected, "{header:?}");
        }
    }
}
