//! The declaration of a key of the file: its name, its type, its documentation and the value that it stands for.
//!
//! From it come the reading, the list of known keys, the printout and the reference: nothing else names a key.

use serde_json::{Map, Value};

use super::reader::Reader;
use super::tree::Node;

/// The keys of a mapping that is read into a `T`.
pub(super) struct Table<T: 'static> {
    /// The keys, in the order in which they are read and shown.
    pub(super) keys: &'static [Key<T>],
    /// Keys that people may expect, and what to do instead.
    pub(super) refused: &'static [(&'static str, &'static str)],
    /// Whether exactly one of the keys stands.
    pub(super) single: bool,
}

/// One key.
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    /// What it sets, in one line.
    pub(super) doc: &'static str,
    pub(super) read: fn(&mut T, &Node, &mut Reader),
    /// What the file would say; `None` when it need not say it.
    pub(super) show: fn(&T) -> Option<Value>,
    pub(super) inside: Inside,
}

/// What stands under a key.
pub(super) enum Inside {
    /// One value, of the type described.
    Value(fn() -> String),
    /// Further keys.
    Keys(fn(&mut Outline)),
    /// A list whose items have further keys.
    Items(fn(&mut Outline)),
}

impl<T> Table<T> {
    pub(super) const fn new(keys: &'static [Key<T>]) -> Self {
        Self { keys, refused: &[], single: false }
    }

    pub(super) const fn single(keys: &'static [Key<T>]) -> Self {
        Self { keys, refused: &[], single: true }
    }

    pub(super) const fn refuse(mut self, refused: &'static [(&'static str, &'static str)]) -> Self {
        self.refused = refused;
        self
    }

    /// The mapping that reads as `value`; `None` when it would be empty.
    pub(super) fn show(&self, value: &T) -> Option<Value> {
        let mut map = Map::new();
        for key in self.keys {
            if let Some(shown) = (key.show)(value) {
                map.insert(key.name.to_owned(), shown);
            }
        }
        (!map.is_empty()).then_some(Value::Object(map))
    }

    /// Adds the table's keys and what is under them to the outline.
    pub(super) fn outline(&self, outline: &mut Outline) {
        for key in self.keys {
            let length = outline.path.len();
            if length > 0 {
                outline.path.push('.');
            }
            outline.path.push_str(key.name);
            match key.inside {
                Inside::Value(takes) => outline.rows.push((outline.path.clone(), takes(), key.doc)),
                Inside::Keys(further) => further(outline),
                Inside::Items(further) => {
                    outline.path.push_str("[]");
                    further(outline);
                }
            }
            outline.path.truncate(length);
        }
    }
}

/// Every key by its full path: its type and its documentation.
#[derive(Default)]
pub(super) struct Outline {
    path: String,
    pub(super) rows: Vec<(String, String, &'static str)>,
}

/// A key of one value: `value!("name", CODEC, |t| t.field, "doc")`.
macro_rules! value {
    ($name:expr, $codec:expr, |$t:ident| $field:expr, $doc:expr) => {
        $crate::config::key::Key {
            name: $name,
            doc: $doc,
            read: |$t, node, reader| {
                if let Some(value) = reader.value(node, &$codec) {
                    $field = value;
                }
            },
            show: |$t| Some(($codec.show)(&$field)),
            inside: $crate::config::key::Inside::Value(|| $codec.describe()),
        }
    };
}

/// A key of one value that may be absent and remembers its place: the field is an `Option<Sourced<_>>`.
macro_rules! optional {
    ($name:expr, $codec:expr, |$t:ident| $field:expr, $doc:expr) => {
        $crate::config::key::Key {
            name: $name,
            doc: $doc,
            read: |$t, node, reader| {
                if let Some(value) = reader.sourced(node, &$codec) {
                    $field = Some(value);
                }
            },
            show: |$t| $field.as_ref().map(|sourced| ($codec.show)(&sourced.value)),
            inside: $crate::config::key::Inside::Value(|| $codec.describe()),
        }
    };
}

/// A key with further keys: `section!("name", TABLE, |t| t.field, "doc")`.
macro_rules! section {
    ($name:expr, $table:expr, |$t:ident| $field:expr, $doc:expr) => {
        $crate::config::key::Key {
            name: $name,
            doc: $doc,
            read: |$t, node, reader| reader.table(node, &$table, &mut $field),
            show: |$t| $table.show(&$field),
            inside: $crate::config::key::Inside::Keys(|outline| $table.outline(outline)),
        }
    };
}

/// A key that is its own value: `presence!("name", |t| set, |t| whether it is set, "doc")`.
macro_rules! presence {
    ($name:expr, |$t:ident| $set:expr, |$s:ident| $is:expr, $doc:expr) => {
        $crate::config::key::Key {
            name: $name,
            doc: $doc,
            read: |$t, node, reader| {
                reader.marker(node);
                $set;
            },
            show: |$s| ($is).then(|| serde_json::json!({})),
            inside: $crate::config::key::Inside::Value(|| "nothing: its presence is the setting".to_owned()),
        }
    };
}

pub(super) use {optional, presence, section, value};
