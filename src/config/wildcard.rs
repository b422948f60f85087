//! OpenTelemetry's wildcards: `*` for any run of characters, `?` for exactly one.
//!
//! Instrument names compare without regard to case, as the specification of the metrics API has it.

/// Whether the whole of `text` matches `pattern`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star stands and how far its run reaches: the only place to come back to.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p].eq_ignore_ascii_case(&text[t])) {
            p += 1;
            t += 1;
        } else if let Some((at, reach)) = star {
            star = Some((at, reach + 1));
            p = at + 1;
            t = reach + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a.b"),
            ("session.*", "session.end"),
            ("*.duration", "mcp.client.duration"),
            ("a?c", "abc"),
            ("a*b*c", "aXbYbZc"),
            ("Session.*", "session.END"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("session", "session.end"), ("a?c", "ac"), ("*.duration", "duration")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
