//! Untyped configuration: what a file, a variable or a flag says, before it is known to be right.
//!
//! Every source is brought into this one form, so that one reader holds for all of them.

use super::error::ConfigError;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) data: Data,
}

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A line of the file, from 1.
    Line(usize),
    /// An environment variable.
    Env(String),
    /// A flag, with its dashes.
    Flag(&'static str),
}

/// A value. Scalars stay text until a reader knows which type is wanted, so that `no` can be a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Null,
    Scalar { text: String, quoted: bool },
    Seq(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) origin: Origin,
    pub(super) value: Node,
}

impl Node {
    /// `text` at `path`, such as `meter_provider.readers[].periodic.interval`, where `[]` makes a list of one.
    pub(super) fn at_path(path: &str, text: &str, origin: &Origin) -> Self {
        let leaf = Data::Scalar { text: text.to_owned(), quoted: false };
        path.rsplit('.').fold(Node { origin: origin.clone(), data: leaf }, |value, segment| {
            let (key, value) = match segment.strip_suffix("[]") {
                Some(key) => (key, Node { origin: origin.clone(), data: Data::Seq(vec![value]) }),
                None => (segment, value),
            };
            let entry = Entry { key: key.to_owned(), origin: origin.clone(), value };
            Node { origin: origin.clone(), data: Data::Map(vec![entry]) }
        })
    }

    /// Whether the file says so, rather than the environment or a flag.
    pub(super) fn is_from_file(&self) -> bool {
        matches!(self.origin, Origin::Line(_))
    }

    /// Whether it is a mapping with that key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The value under `key`, when this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            Data::Null | Data::Scalar { .. } | Data::Seq(_) => None,
        }
    }

    /// What it is, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self.data {
            Data::Null => "empty",
            Data::Scalar { .. } => "a single value",
            Data::Seq(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }
}

/// A place for messages, and its rank: the file's by line, then the environment's, then the flags'.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) text: String,
    pub(super) rank: (u8, usize),
}

/// A value that remembers its place, for the checks that need several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sourced<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<T> Sourced<T> {
    /// A value from no source: a default, or one that is only shown.
    pub(super) fn nowhere(value: T) -> Self {
        Self { value, place: Place::default() }
    }
}

/// A fault and its rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) rank: (u8, usize),
    pub(super) error: ConfigError,
}

impl Fault {
    pub(super) fn new(place: Place, problem: impl Into<String>, help: impl Into<String>) -> Self {
        let error = ConfigError { place: place.text, problem: problem.into(), help: help.into() };
        Self { rank: place.rank, error }
    }
}
