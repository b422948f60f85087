//! Fields that hold one of a few names.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Invalid;
use crate::event::source::{Fault, Field, Value};

macro_rules! choices {
    ($($(#[$doc:meta])* $Name:ident($expected:literal) {
        $($(#[$choice_doc:meta])* $Choice:ident = $name:literal,)+
    })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub enum $Name {
                $($(#[$choice_doc])* $Choice,)+
            }

            impl $Name {
                /// All of them.
                pub const ALL: &[Self] = &[$(Self::$Choice),+];

                /// Its name in events.
                pub const fn name(self) -> &'static str {
                    match self {
                        $(Self::$Choice => $name,)+
                    }
                }

                /// The one of that name.
                pub fn from_name(name: &str) -> Option<Self> {
                    Self::ALL.iter().copied().find(|choice| choice.name() == name)
                }
            }

            impl fmt::Display for $Name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.name())
                }
            }

            impl Serialize for $Name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.name())
                }
            }

            impl Field for $Name {
                const EXPECTED: &'static str = $expected;

                fn schema() -> serde_json::Value {
                    serde_json::json!({"type": "string", "enum": Self::ALL})
                }

                fn read(value: &Value<'_>) -> Result<Self, Fault> {
                    match value {
                        Value::String(name) => {
                            Self::from_name(name).ok_or_else(|| Invalid::text($expected, name).into())
                        }
                        other => Err(Fault::wrong_type($expected, other)),
                    }
                }

                /// The protobuf enums list the same choices in the same order, after the one that means absence.
                fn numbered(number: i32) -> Value<'static> {
                    let place = number.checked_sub(1).and_then(|place| usize::try_from(place).ok());
                    match place.and_then(|place| Self::ALL.get(place)) {
                        Some(choice) => Value::String(choice.name().into()),
                        None if number == 0 => Value::Null,
                        None => Value::Signed(number.into()),
                    }
                }
            }
        )+
    };
}

choices! {
    /// How a session ended, as its host tells.
    SessionStatus("success or error") {
        /// As it should.
        Success = "success",
        /// By a fault.
        Error = "error",
    }
    /// The state of a circuit breaker.
    BreakerState("closed, open or half_open") {
        /// Calls go through.
        Closed = "closed",
        /// Calls are refused.
        Open = "open",
        /// A few calls go through, to see whether the service is back.
        HalfOpen = "half_open",
    }
    /// Which way an MCP request went.
    Direction("to_server or to_client") {
        /// From the client to the server.
        ToServer = "to_server",
        /// From the server to the client.
        ToClient = "to_client",
    }
    /// How an MCP client and server are joined.
    Transport("stdio or http") {
        /// Standard input and output.
        Stdio = "stdio",
        /// HTTP.
        Http = "http",
    }
    /// How an execution of code went.
    ExecutionStatus("success or failure") {
        /// It succeeded.
        Success = "success",
        /// It failed.
        Failure = "failure",
    }
}

impl Transport {
    /// The value of the label `network.transport`.
    pub const fn label(self) -> &'static str {
        match self {
            Transport::Stdio => "pipe",
            Transport::Http => "tcp",
        }
    }
}
