//! The types of single values: how each is read from text, shown again, and described.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// A type of value.
pub(super) struct Codec<V: 'static> {
    /// What it is, with its article: "a duration".
    pub(super) what: &'static str,
    /// How it is written.
    pub(super) help: &'static str,
    /// From text to value.
    pub(super) parse: fn(&str) -> Result<V, Wrong>,
    /// From value to what the file takes.
    pub(super) show: fn(&V) -> Value,
    /// The number that [`Codec::bounds`] bound: milliseconds for durations.
    pub(super) measure: fn(&V) -> u64,
    /// How a bound is written.
    pub(super) bound: fn(u64) -> String,
    /// The least and the most, both allowed.
    pub(super) bounds: Option<(u64, u64)>,
    /// Whether `help` lists every value.
    pub(super) listed: bool,
    /// Whether quotes make no difference.
    pub(super) text: bool,
    /// Whether the value must not appear in messages.
    pub(super) secret: bool,
}

/// Why a text is not a value of the wanted type.
pub(super) enum Wrong {
    /// It is simply something else.
    Type,
    /// It is of the type, but not right.
    Value { problem: String, help: String },
}

impl Wrong {
    pub(super) fn value(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Value { problem: problem.into(), help: help.into() }
    }
}

impl<V> Codec<V> {
    /// The same type, from `least` to `most`.
    pub(super) const fn within(mut self, least: u64, most: u64) -> Self {
        self.bounds = Some((least, most));
        self
    }

    /// The value of `text`, or what is wrong and what would be right.
    pub(super) fn read(&self, text: &str) -> Result<V, (String, String)> {
        let shown = if self.secret { "the value (not shown)".to_owned() } else { quote(text) };
        let value = match (self.parse)(text) {
            Ok(value) => value,
            Err(Wrong::Type) => return Err((format!("{shown} is not {}", self.what), self.help.to_owned())),
            Err(Wrong::Value { problem, help }) => return Err((problem, help)),
        };
        match self.bounds {
            Some((least, most)) if !(least..=most).contains(&(self.measure)(&value)) => {
                Err((format!("{shown} is out of range"), self.range()))
            }
            _ => Ok(value),
        }
    }

    /// The type and its range, for the reference.
    pub(super) fn describe(&self) -> String {
        match self.bounds {
            Some(_) => format!("{}, {}", self.what, self.range()),
            None if self.listed => self.help.to_owned(),
            None => self.what.to_owned(),
        }
    }

    fn range(&self) -> String {
        let Some((least, most)) = self.bounds else { return String::new() };
        format!("{} to {}", (self.bound)(least), (self.bound)(most))
    }
}

/// `text` for a message: in quotes, without line breaks, not endless.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{:?}...", &text[..cut]),
        None => format!("{text:?}"),
    }
}

const fn codec<V>(
    what: &'static str,
    help: &'static str,
    parse: fn(&str) -> Result<V, Wrong>,
    show: fn(&V) -> Value,
) -> Codec<V> {
    Codec {
        what,
        help,
        parse,
        show,
        measure: |_| 0,
        bound: |number| number.to_string(),
        bounds: None,
        listed: false,
        text: false,
        secret: false,
    }
}

const fn text<V>(
    what: &'static str,
    help: &'static str,
    parse: fn(&str) -> Result<V, Wrong>,
    show: fn(&V) -> Value,
) -> Codec<V> {
    let mut codec = codec(what, help, parse, show);
    codec.text = true;
    codec
}

pub(super) const BOOL: Codec<bool> = codec(
    "a boolean",
    "`true` or `false`",
    |text| match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Wrong::Type),
    },
    |value| Value::from(*value),
);

pub(super) const COUNT: Codec<usize> = Codec {
    measure: |value| *value as u64,
    ..codec(
        "a whole number",
        "digits alone, such as 1024",
        |text| integer(text).and_then(|number| usize::try_from(number).ok()).ok_or(Wrong::Type),
        |value| Value::from(*value),
    )
};

pub(super) const PORT: Codec<u16> = Codec {
    measure: |value| u64::from(*value),
    ..codec(
        "a port",
        "a whole number from 1 to 65535",
        |text| match integer(text).map(u16::try_from) {
            Some(Ok(port)) if port > 0 => Ok(port),
            _ => Err(Wrong::Type),
        },
        |value| Value::from(*value),
    )
};

/// Bytes, plain or with a unit.
pub(super) const SIZE: Codec<usize> = Codec {
    measure: |value| *value as u64,
    bound: size_text,
    ..codec(
        "a size",
        "bytes, or a number with KiB, MiB, GiB, kB, MB or GB, such as 4MiB",
        |text| {
            let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let unit: u64 = match text[digits..].trim_start() {
                "" | "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                "kB" | "KB" => 1_000,
                "MB" => 1_000_000,
                "GB" => 1_000_000_000,
                _ => return Err(Wrong::Type),
            };
            let number: u64 = text[..digits].parse().map_err(|_| Wrong::Type)?;
            number.checked_mul(unit).and_then(|size| usize::try_from(size).ok()).ok_or(Wrong::Type)
        },
        |value| match size_text(*value as u64) {
            text if text.ends_with('B') => Value::from(text),
            _ => Value::from(*value),
        },
    )
};

/// The bridge's own durations: numbers with units.
pub(super) const DURATION: Codec<Duration> = Codec {
    bound: duration_from_millis,
    measure: |value| u64::try_from(value.as_millis()).unwrap_or(u64::MAX),
    ..text(
        "a duration",
        "numbers with the units d, h, m, s or ms, such as 24h, 1m30s or 250ms",
        |text| {
            if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                return Err(Wrong::value(
                    format!("{text} has no unit"),
                    format!("a number with d, h, m, s or ms, such as {text}s or {text}ms"),
                ));
            }
            duration(text).ok_or(Wrong::Type)
        },
        |value| Value::from(duration_from_millis(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))),
    )
};

/// OpenTelemetry's durations: whole milliseconds.
pub(super) const MILLIS: Codec<Duration> = Codec {
    measure: |value| u64::try_from(value.as_millis()).unwrap_or(u64::MAX),
    ..codec(
        "a whole number of milliseconds",
        "digits alone, such as 5000",
        |text| integer(text).map(Duration::from_millis).ok_or(Wrong::Type),
        |value| Value::from(u64::try_from(value.as_millis()).unwrap_or(u64::MAX)),
    )
};

pub(super) const RATIO: Codec<f64> = codec(
    "a ratio",
    "a number from 0 to 1, such as 0.1",
    |text| match number(text) {
        Some(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(Wrong::Type),
    },
    |value| Value::from(*value),
);

pub(super) const NUMBER: Codec<f64> =
    codec("a finite number", "such as 0.5", |text| number(text).ok_or(Wrong::Type), |value| Value::from(*value));

pub(super) const TEXT: Codec<String> = text(
    "text",
    "text that is not empty",
    |text| if text.is_empty() { Err(Wrong::Type) } else { Ok(text.to_owned()) },
    |value| Value::from(value.as_str()),
);

/// Text that may be empty and must not be shown.
pub(super) const SECRET: Codec<String> =
    Codec { secret: true, ..text("a secret text", "text", |text| Ok(text.to_owned()), |_| Value::from("****")) };

pub(super) const PATH: Codec<PathBuf> = text(
    "a path",
    "a path, absolute or from the working directory",
    |text| if text.is_empty() { Err(Wrong::Type) } else { Ok(PathBuf::from(text)) },
    |value| Value::from(value.to_string_lossy()),
);

pub(super) const ADDRESS: Codec<SocketAddr> = text(
    "an address and port",
    "such as 127.0.0.1:9090, [::1]:9090, or 0.0.0.0:9090 for every interface",
    |text| {
        let address = match text.strip_prefix("localhost:") {
            Some(port) => port.parse().ok().map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
            None => text.parse().ok(),
        };
        address.ok_or(Wrong::Type)
    },
    |value| Value::from(value.to_string()),
);

pub(super) const HOST: Codec<IpAddr> = text(
    "an IP address",
    "such as 127.0.0.1, 0.0.0.0 or localhost",
    |text| match text {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        _ => text.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| Wrong::Type),
    },
    |value| Value::from(value.to_string()),
);

/// The filter of the bridge's logs.
pub(super) const FILTER: Codec<String> = text(
    "a log filter",
    "such as info, or mcp_otel_bridge=debug,warn",
    |text| match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(Wrong::Type),
    },
    |value| Value::from(value.as_str()),
);

/// Declares a type of a few named values; the first name of a value is the one that is shown.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident: $type:ty, $what:literal, [$first:literal => $is:expr $(, $text:literal => $value:expr)*]) => {
        $(#[$doc])*
        pub(super) const $name: $crate::config::codec::Codec<$type> = $crate::config::codec::Codec {
            what: $what,
            help: concat!("one of `", $first, "`" $(, ", `", $text, "`")*),
            parse: |text| match text.to_ascii_lowercase().as_str() {
                $first => Ok($is),
                $($text => Ok($value),)*
                _ => Err($crate::config::codec::Wrong::Type),
            },
            show: |value| {
                let names = [($first, $is) $(, ($text, $value))*];
                names.iter().find(|(_, named)| named == value).map_or(serde_json::Value::Null, |(name, _)| (*name).into())
            },
            measure: |_| 0,
            bound: |number| number.to_string(),
            bounds: None,
            listed: true,
            text: true,
            secret: false,
        };
    };
}
pub(super) use choice;

/// A whole number as YAML's core schema writes it.
fn integer(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok();
    }
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// A finite number; Rust would also read `nan` and `infinity`.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A number of bytes in the largest unit that divides it.
fn size_text(size: u64) -> String {
    let unit = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(bits, _)| size > 0 && size.is_multiple_of(1 << bits));
    unit.map_or_else(|| size.to_string(), |(bits, name)| format!("{}{name}", size >> bits))
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let length = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == &after[..length])?;
        // Each unit at most once, the larger first.
        if unit >= last {
            return None;
        }
        last = unit;
        total = digits.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(total)?;
        rest = after[length..].trim_start();
    }
    (last != u64::MAX).then(|| Duration::from_millis(total))
}

fn duration_from_millis(mut millis: u64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, unit) in UNITS {
        if millis >= unit {
            text.push_str(&format!("{}{name}", millis / unit));
            millis %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem<V>(codec: &Codec<V>, text: &str) -> String {
        let (problem, help) = codec.read(text).err().unwrap_or_else(|| panic!("{text:?} is taken"));
        format!("{problem}; {help}")
    }

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, millis) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("1m30s", 90_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
            ("1h 5ms", 3_600_005),
        ] {
            let value = DURATION.read(text).unwrap();
            assert_eq!(value, Duration::from_millis(millis), "{text}");
            let shown = (DURATION.show)(&value);
            assert_eq!(DURATION.read(shown.as_str().unwrap()).unwrap(), value, "{shown}");
        }
        for text in ["", "fast", "s", "5 parsecs", "1s1s", "1s1m", "-5s", "1.5h", "99999999999999999999d", "3e9s"] {
            assert!(problem(&DURATION, text).contains("is not a duration"), "{text}");
        }
    }

    #[test]
    fn a_duration_without_a_unit_is_told_about_units() {
        assert_eq!(problem(&DURATION, "90"), "90 has no unit; a number with d, h, m, s or ms, such as 90s or 90ms");
        assert!(problem(&DURATION, "1.5").contains("no unit"));
    }

    #[test]
    fn sizes_are_bytes_or_numbers_with_units() {
        for (text, size) in [("4MiB", 4 << 20), ("4096", 4096), ("1 kB", 1000), ("1GiB", 1 << 30), ("10B", 10)] {
            let value = SIZE.read(text).unwrap();
            assert_eq!(value, size, "{text}");
            let shown = (SIZE.show)(&value);
            assert_eq!(SIZE.read(&shown.as_str().map_or(shown.to_string(), str::to_owned)).unwrap(), value);
        }
        for text in ["", "MiB", "4mib", "-1", "1.5MiB", "99999999999GiB"] {
            assert!(problem(&SIZE, text).contains("is not a size"), "{text}");
        }
    }

    #[test]
    fn bounds_are_told_in_the_type_s_own_terms() {
        assert_eq!(problem(&COUNT.within(1, 5), "0"), "\"0\" is out of range; 1 to 5");
        assert_eq!(problem(&DURATION.within(1, 60_000), "61s"), "\"61s\" is out of range; 1ms to 1m");
        assert_eq!(COUNT.within(1, 5).read("5"), Ok(5));
    }

    #[test]
    fn other_values_are_what_they_say() {
        assert_eq!(BOOL.read("True"), Ok(true));
        assert!(BOOL.read("yes").is_err());
        assert_eq!(COUNT.read("0x10"), Ok(16));
        for text in ["-1", "1.0", "1e3", "+1", "ten", ""] {
            assert!(COUNT.read(text).is_err(), "{text}");
        }
        assert!(RATIO.read("1.01").is_err() && RATIO.read("nan").is_err() && NUMBER.read("inf").is_err());
        assert_eq!(ADDRESS.read("localhost:80"), Ok("127.0.0.1:80".parse().unwrap()));
        for text in ["9090", ":9090", "example.com:80", "127.0.0.1", "127.0.0.1:70000"] {
            assert!(ADDRESS.read(text).is_err(), "{text}");
        }
        assert_eq!(HOST.read("[::1]"), Ok("::1".parse().unwrap()));
        assert!(PORT.read("0").is_err() && PORT.read("65536").is_err());
        assert!(FILTER.read("mcp_otel_bridge=loud").is_err() && FILTER.read("").is_err());
        assert!(TEXT.read("").is_err() && PATH.read("").is_err());
    }

    #[test]
    fn secrets_stay_out_of_messages_and_long_values_are_cut() {
        assert_eq!((SECRET.show)(&"abc".to_owned()), "****");
        assert!(problem(&COUNT, &"x".repeat(500)).len() < 200);
        assert!(!problem(&COUNT, "a\nb").contains('\n'));
    }
}
