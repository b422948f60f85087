//! The time of an event.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use serde_json::json;

use super::{Invalid, Seconds};
use crate::event::source::{Fault, Field, Value};

const EXPECTED: &str = "an RFC 3339 timestamp from 1970 to 2261, such as 2026-02-06T08:05:11.953Z";
/// All but what no pattern can tell: how many days a month has, and which offsets lead out of the range.
const PATTERN: &str = "^(1969|19[7-9][0-9]|2[01][0-9]{2}|22[0-5][0-9]|226[0-2])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\
    [Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";
const SECOND: u64 = 1_000_000_000;
/// The start of the year 2262; nanoseconds before it fit in 63 bits.
const END: u64 = 9_214_646_400 * SECOND;

/// A point in time from 1970 to 2261, to the nanosecond, in UTC.
///
/// Its text is RFC 3339 and nothing looser: a date, `T`, a time, at most nine digits of a fraction, and `Z` or an
/// offset as `+02:00`. A leap second counts as the last nanosecond before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time now.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// That many nanoseconds after the start of 1970.
    ///
    /// # Errors
    ///
    /// If that is after the year 2261.
    pub fn from_unix_nanos(nanos: u64) -> Result<Self, Invalid> {
        if nanos < END { Ok(Self(nanos)) } else { Err(Invalid::new(EXPECTED, &Value::Unsigned(nanos))) }
    }

    /// The nanoseconds since the start of 1970.
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this; `None` if `earlier` is later.
    pub fn seconds_since(self, earlier: Timestamp) -> Option<Seconds> {
        self.0.checked_sub(earlier.0).map(|nanos| Seconds::from_nanos(nanos.into()))
    }

    /// The time as `YYYYMMDD-HHMMSS`, as ids of sessions hold it.
    pub fn compact(self) -> String {
        self.jiff().strftime("%Y%m%d-%H%M%S").to_string()
    }

    fn jiff(self) -> jiff::Timestamp {
        // Every value lies far inside of jiff's range, so the fallback is never taken.
        jiff::Timestamp::from_nanosecond(self.0.into()).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T' | b't', rest @ ..] = text.as_bytes() else { return None };
        let [h0, h1, b':', n0, n1, b':', s0, s1, rest @ ..] = rest else { return None };
        let year = number([*y0, *y1]).zip(number([*y2, *y3])).map(|(century, year)| century * 100 + year)?;
        let (mut second, mut nanos) = (number([*s0, *s1])?, 0);
        let mut rest = rest;
        if let [b'.', fraction @ ..] = rest {
            let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&length) {
                return None;
            }
            let (digits, tail) = fraction.split_at(length);
            nanos =
                digits.iter().chain([b'0'; 9].iter()).take(9).fold(0, |sum, byte| sum * 10 + i32::from(byte - b'0'));
            rest = tail;
        }
        if second == 60 {
            (second, nanos) = (59, 999_999_999);
        }
        let offset = match rest {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
                let (hours, minutes) = (number([*h0, *h1])?, number([*m0, *m1])?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
                if *sign == b'-' { -seconds } else { seconds }
            }
            _ => return None,
        };
        let small = |pair| number(pair).and_then(|value| i8::try_from(value).ok());
        let (month, day) = (small([*m0, *m1])?, small([*d0, *d1])?);
        let (hour, minute) = (small([*h0, *h1])?, small([*n0, *n1])?);
        let civil = jiff::civil::DateTime::new(year, month, day, hour, minute, second as i8, nanos).ok()?;
        let instant = jiff::tz::Offset::from_seconds(offset).ok()?.to_timestamp(civil).ok()?;
        Self::from_unix_nanos(u64::try_from(instant.as_nanosecond()).ok()?).ok()
    }
}

/// Two digits as a number.
fn number(digits: [u8; 2]) -> Option<i16> {
    let [tens, ones] = digits;
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i16::from(tens - b'0') * 10 + i16::from(ones - b'0'))
}

/// The nearest time in range.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(u64::try_from(since.as_nanos()).map_or(END - 1, |nanos| nanos.min(END - 1)))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_nanos(timestamp.0)
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text).ok_or_else(|| Invalid::text(EXPECTED, text))
    }
}

/// RFC 3339 in UTC, with as many digits of a fraction as it takes.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jiff().fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Field for Timestamp {
    const EXPECTED: &'static str = EXPECTED;

    fn schema() -> serde_json::Value {
        json!({"type": "string", "format": "date-time", "pattern": PATTERN})
    }

    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value {
            Value::String(text) => Ok(text.parse()?),
            Value::Instant(seconds, nanos) => {
                let whole = u64::try_from(*seconds).ok().and_then(|seconds| seconds.checked_mul(SECOND));
                let part = u64::try_from(*nanos).ok().filter(|nanos| *nanos < SECOND);
                let sum = whole.zip(part).and_then(|(whole, part)| whole.checked_add(part));
                let timestamp = sum.and_then(|nanos| Self::from_unix_nanos(nanos).ok());
                timestamp.ok_or_else(|| Invalid::new(EXPECTED, value).into())
            }
            other => Err(Fault::wrong_type(EXPECTED, other)),
        }
    }
}
