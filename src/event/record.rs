//! How an event's fields are declared: once, for its struct, its reading from either form and its writing.

use super::schema::Property;
use super::source::{Fault, Field, Fields, Value};

/// A group of fields that can be read.
pub(super) trait Record: Sized {
    /// What the group is, in a sentence.
    const DOC: &'static str;

    fn read_from(fields: &Fields<'_>) -> Result<Self, Fault>;

    /// The fields as JSON Schema has them, in order.
    fn properties() -> Vec<Property>;
}

/// Reads a group of fields that is itself a field.
pub(super) fn read_object<T: Record>(expected: &'static str, value: &Value<'_>) -> Result<T, Fault> {
    match value {
        Value::Object(fields) => T::read_from(fields),
        other => Err(Fault::wrong_type(expected, other)),
    }
}

/// What a protobuf message's field gives for a field of type `T`.
pub(super) trait ProtoValue {
    fn value<T: Field>(&self) -> Value<'_>;
}

/// Declares a struct of fields, each with the type that checks it. `Option` makes it optional, `= value` gives what
/// holds when it is absent. The protobuf message of the same name must have the same fields, or it does not compile.
macro_rules! record {
    ($(#[doc = $doc:literal])* $Name:ident {
        $($(#[doc = $field_doc:literal])* $field:ident: $Type:ty $(= $default:expr)?,)*
    }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $Name {
            $(
                $(#[doc = $field_doc])*
                #[serde(skip_serializing_if = "crate::event::source::Slot::is_absent")]
                pub $field: $Type,
            )*
        }

        impl crate::event::record::Record for $Name {
            const DOC: &'static str = concat!($($doc),*);

            fn properties() -> Vec<crate::event::schema::Property> {
                vec![$(
                    crate::event::schema::Property::of::<$Type>(stringify!($field), concat!($($field_doc),*))
                        $(.with_default(&$default))?,
                )*]
            }

            #[allow(unused_variables)]
            fn read_from(
                fields: &crate::event::source::Fields<'_>,
            ) -> Result<Self, crate::event::source::Fault> {
                Ok(Self { $($field: record!(@read fields, $field: $Type $(= $default)?),)* })
            }
        }

        impl crate::event::source::Field for $Name {
            const EXPECTED: &'static str = "an object";

            fn schema() -> serde_json::Value {
                crate::event::schema::object::<Self>()
            }

            fn parts() -> Vec<crate::event::schema::Property> {
                <Self as crate::event::record::Record>::properties()
            }

            fn read(value: &crate::event::source::Value<'_>) -> Result<Self, crate::event::source::Fault> {
                crate::event::record::read_object(Self::EXPECTED, value)
            }
        }

        impl<'a> From<&'a crate::proto::v1::$Name> for crate::event::source::Fields<'a> {
            fn from(message: &'a crate::proto::v1::$Name) -> Self {
                let crate::proto::v1::$Name { $($field,)* } = message;
                #[allow(unused_mut)]
                let mut fields = crate::event::source::Fields::with_capacity(crate::event::proto::CAPACITY);
                $(
                    let value = crate::event::record::ProtoValue::value::<
                        <$Type as crate::event::source::Slot>::Field,
                    >($field);
                    fields.push(stringify!($field).into(), value);
                )*
                fields
            }
        }

        impl crate::event::record::ProtoValue for crate::proto::v1::$Name {
            fn value<T: crate::event::source::Field>(&self) -> crate::event::source::Value<'_> {
                crate::event::source::Value::Object(self.into())
            }
        }
    };
    (@read $fields:ident, $field:ident: $Type:ty) => {
        <$Type as crate::event::source::Slot>::read_from($fields, stringify!($field))?
    };
    (@read $fields:ident, $field:ident: $Type:ty = $default:expr) => {
        <Option<$Type> as crate::event::source::Slot>::read_from($fields, stringify!($field))?
            .unwrap_or_else(|| $default)
    };
}
pub(super) use record;

/// Declares every type of event: its name, what it requires of the fields that all events share, and its own fields.
macro_rules! event_types {
    ($(
        $(#[doc = $doc:literal])* $Name:ident = $name:literal requires [$($common:literal),*] { $($fields:tt)* }
    )+) => {
        $(crate::event::record::record! { $(#[doc = $doc])* $Name { $($fields)* } })+

        /// The type of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventType {
            $($(#[doc = $doc])* $Name,)+
        }

        impl EventType {
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
            /// All of them, each at its own index.
            pub const ALL: &[Self] = &[$(Self::$Name),+];

            /// Its name in events.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Name => $name,)+
                }
            }

            /// The type of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$Name),)+
                    _ => None,
                }
            }

            /// Its place in [`EventType::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The fields that all events may carry and this type must.
            pub(crate) const fn required(self) -> &'static [&'static str] {
                match self {
                    $(Self::$Name => &[$($common),*],)+
                }
            }

            /// What it tells of, and its own fields as JSON Schema has them.
            pub(super) fn declared(self) -> (&'static str, Vec<crate::event::schema::Property>) {
                match self {
                    $(Self::$Name => (
                        <$Name as crate::event::record::Record>::DOC,
                        <$Name as crate::event::record::Record>::properties(),
                    ),)+
                }
            }

            /// The names of all types, for messages.
            pub(super) const NAMES: &'static [&'static str] = &[$($name),+];
        }

        /// What happened.
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        #[serde(tag = "event_type", rename_all = "snake_case")]
        pub enum EventKind {
            $($(#[doc = $doc])* $Name($Name),)+
        }

        impl EventKind {
            /// Its type.
            pub const fn event_type(&self) -> EventType {
                match self {
                    $(Self::$Name(_) => EventType::$Name,)+
                }
            }

            /// Reads the fields of that type.
            pub(super) fn read(
                event_type: EventType,
                fields: &crate::event::source::Fields<'_>,
            ) -> Result<Self, crate::event::source::Fault> {
                match event_type {
                    $(EventType::$Name => crate::event::record::Record::read_from(fields).map(Self::$Name),)+
                }
            }

            /// The type and the fields of a protobuf message.
            pub(super) fn proto_fields(
                message: &crate::proto::v1::event::Event,
            ) -> (EventType, crate::event::source::Fields<'_>) {
                match message {
                    $(crate::proto::v1::event::Event::$Name(message) => (EventType::$Name, message.into()),)+
                }
            }
        }

        $(
            impl $Name {
                /// Its name in events.
                pub const EVENT_TYPE: &'static str = $name;
            }

            impl From<$Name> for EventKind {
                fn from(kind: $Name) -> Self {
                    Self::$Name(kind)
                }
            }

            /// An event without id, time and parent.
            impl From<$Name> for crate::event::Event {
                fn from(kind: $Name) -> Self {
                    Self::new(kind)
                }
            }
        )+
    };
}
pub(super) use event_types;
