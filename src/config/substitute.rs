//! Environment variables in the file's values, by the rules of OpenTelemetry's declarative configuration.
//!
//! `${VAR}` and `${env:VAR}` stand for the variable, `${VAR:-default}` for the default where the variable is unset or
//! empty, `$$` for one `$`. What a variable brings in is never looked at again.

/// `text` with its references replaced; the offending reference when one is not valid.
pub(super) fn substitute(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    // The escape goes first: what stands on either side of `$$` never forms a reference together.
    let parts: Result<Vec<String>, String> = text.split("$$").map(|part| references(part, lookup)).collect();
    Ok(parts?.join("$"))
}

fn references(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let reference = &rest[start..=start + length];
        out.push_str(&rest[..start]);
        out.push_str(&resolve(&reference[2..length], lookup).ok_or_else(|| reference.to_owned())?);
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The value of what stands between the braces; `None` when that is no reference.
fn resolve(inside: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let inside = inside.strip_prefix("env:").unwrap_or(inside);
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, default),
        None => (inside, ""),
    };
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let valid = starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !default.contains('\n');
    valid.then(|| lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        let value = match name {
            "STRING" => "value",
            "NUMBER" => "1.1",
            "EMPTY" => "",
            "REFERENCE" => "${STRING}",
            "ESCAPE" => "value$$",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn the_specification_s_examples_hold() {
        for (input, output) in [
            ("${STRING}", "value"),
            ("${env:STRING}", "value"),
            ("foo ${STRING} ${NUMBER}", "foo value 1.1"),
            ("${UNDEFINED}", ""),
            ("${UNDEFINED:-fallback}", "fallback"),
            ("${EMPTY:-fallback}", "fallback"),
            ("${env:UNDEFINED:-http://localhost:4317}", "http://localhost:4317"),
            ("${REFERENCE}", "${STRING}"),
            ("${UNDEFINED:-${STRING}}", "${STRING}"),
            ("$${STRING}", "${STRING}"),
            ("$$${STRING}", "$value"),
            ("$$$${STRING}", "$${STRING}"),
            ("$${STRING:-fallback}", "${STRING:-fallback}"),
            ("$${STRING:-${STRING}}", "${STRING:-value}"),
            ("${UNDEFINED:-$${UNDEFINED}}", "${UNDEFINED:-${UNDEFINED}}"),
            ("${ESCAPE}", "value$$"),
            ("a $$ b", "a $ b"),
            ("a $ b", "a $ b"),
            ("${open", "${open"),
        ] {
            assert_eq!(substitute(input, &lookup).as_deref(), Ok(output), "{input}");
        }
    }

    #[test]
    fn a_reference_that_is_not_valid_is_named() {
        for input in ["${STRING:?error}", "${1API_KEY}", "${API_$KEY}", "${}", "${sys:STRING}"] {
            assert_eq!(substitute(&format!("a {input} b"), &lookup), Err(input.to_owned()));
        }
    }
}
