//! Numbers that are finite and in range.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::Invalid;
use crate::event::source::{Fault, Field, Value};

/// Durations are kept in parts of a second of this size.
const PARTS: f64 = (1u64 << 20) as f64;

/// Adding zero turns -0 into 0.
fn as_it_is(value: f64) -> f64 {
    value + 0.0
}

/// Sums of multiples of 2^-20 are exact in any order. Down, so that a value equal to a bucket's bound stays in its
/// bucket.
fn rounded_down(value: f64) -> f64 {
    (value * PARTS).floor() / PARTS + 0.0
}

/// The bounds of what JSON can hold go without saying.
fn real_schema(min: f64, max: f64) -> serde_json::Value {
    if (min, max) == (f64::MIN, f64::MAX) { json!({"type": "number"}) } else { bounded("number", min, max) }
}

fn bounded(kind: &str, min: impl Serialize, max: impl Serialize) -> serde_json::Value {
    json!({"type": kind, "minimum": min, "maximum": max})
}

macro_rules! reals {
    ($($(#[$doc:meta])* $Name:ident($min:expr, $max:expr, $keep:path) $expected:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
            pub struct $Name(f64);

            impl $Name {
                /// The least value.
                pub const MIN: f64 = $min;
                /// The greatest value.
                pub const MAX: f64 = $max;

                /// Takes the value.
                ///
                /// # Errors
                ///
                #[doc = concat!("If it is not ", $expected, ".")]
                pub fn new(value: f64) -> Result<Self, Invalid> {
                    // NaN is in no range.
                    if (Self::MIN..=Self::MAX).contains(&value) {
                        Ok(Self($keep(value)))
                    } else {
                        Err(Invalid::new($expected, &Value::Float(value)))
                    }
                }

                /// The value.
                pub const fn get(self) -> f64 {
                    self.0
                }
            }

            impl Field for $Name {
                const EXPECTED: &'static str = $expected;

                fn schema() -> serde_json::Value {
                    real_schema(Self::MIN, Self::MAX)
                }

                fn read(value: &Value<'_>) -> Result<Self, Fault> {
                    let number = value.real().ok_or_else(|| Fault::wrong_type($expected, value))?;
                    Ok(Self::new(number)?)
                }
            }
        )+
    };
}

reals! {
    /// A duration in seconds, from 0 to 1e9, rounded down to a multiple of 2^-20 s (about a microsecond).
    Seconds(0.0, 1e9, rounded_down) "a number of seconds from 0 to 1e9";
    /// A score from 0 to 100.
    Score(0.0, 100.0, as_it_is) "a number from 0 to 100";
    /// A share from 0 to 1.
    Rate(0.0, 1.0, as_it_is) "a number from 0 to 1";
    /// Any number but NaN and the infinities.
    Finite(f64::MIN, f64::MAX, as_it_is) "a finite number";
}

impl Seconds {
    /// What [`Seconds::parts`] counts, in a second.
    pub(crate) const PARTS_PER_SECOND: f64 = PARTS;

    /// The duration in parts of 2^-20 s: a whole number, below 2^50.
    pub(crate) fn parts(self) -> u64 {
        (self.0 * PARTS) as u64
    }

    /// A duration of that many nanoseconds, or [`Seconds::MAX`] where it is longer.
    pub(super) fn from_nanos(nanos: u128) -> Self {
        let parts = nanos.saturating_mul(1 << 20) / 1_000_000_000;
        // Below the cap a count of parts is below 2^53: the cast is exact.
        Self((parts as f64 / PARTS).min(Self::MAX))
    }
}

/// The duration, or [`Seconds::MAX`] where it is longer.
impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self::from_nanos(duration.as_nanos())
    }
}

macro_rules! integers {
    ($($(#[$doc:meta])* $Name:ident($number:ty, $min:expr, $max:expr) $expected:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
            pub struct $Name($number);

            impl $Name {
                /// The least value.
                pub const MIN: $number = $min;
                /// The greatest value.
                pub const MAX: $number = $max;

                /// Takes the value.
                ///
                /// # Errors
                ///
                #[doc = concat!("If it is not ", $expected, ".")]
                pub fn new(value: $number) -> Result<Self, Invalid> {
                    if (Self::MIN..=Self::MAX).contains(&value) {
                        Ok(Self(value))
                    } else {
                        Err(Invalid::new($expected, &Value::Unsigned(value.into())))
                    }
                }

                /// The value.
                pub const fn get(self) -> $number {
                    self.0
                }
            }

            impl Field for $Name {
                const EXPECTED: &'static str = $expected;

                fn schema() -> serde_json::Value {
                    bounded("integer", Self::MIN, Self::MAX)
                }

                fn read(value: &Value<'_>) -> Result<Self, Fault> {
                    Ok(Self::new(integer($expected, value)?)?)
                }
            }
        )+
    };
}

integers! {
    /// A count from 0 to 2^53, the whole numbers that every JSON reader knows.
    Count(u64, 0, 1 << 53) "an integer from 0 to 2^53";
    /// Which attempt a retry is, from 1.
    Attempt(u32, 1, u32::MAX) "an integer from 1 to 4294967295";
}

impl Attempt {
    /// The value as a label: `1` to `9`, then `10+`.
    pub const fn label(self) -> &'static str {
        match self.0 {
            0 | 1 => "1",
            2 => "2",
            3 => "3",
            4 => "4",
            5 => "5",
            6 => "6",
            7 => "7",
            8 => "8",
            9 => "9",
            _ => "10+",
        }
    }
}

/// Process ids.
impl Field for u32 {
    const EXPECTED: &'static str = "an integer from 0 to 4294967295";

    fn schema() -> serde_json::Value {
        bounded("integer", u32::MIN, u32::MAX)
    }

    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        integer(Self::EXPECTED, value)
    }
}

/// The value as an integer of that type: no strings, no fractions, nothing out of the type's range.
fn integer<T: TryFrom<i128>>(expected: &'static str, value: &Value<'_>) -> Result<T, Fault> {
    if value.real().is_none() {
        return Err(Fault::wrong_type(expected, value));
    }
    let whole = value.whole().and_then(|whole| T::try_from(whole).ok());
    whole.ok_or_else(|| Invalid::new(expected, value).into())
}
