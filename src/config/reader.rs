//! Reads a [`Node`] into typed values: keeps the path, collects every fault, goes on after each.

use super::codec::Codec;
use super::key::Table;
use super::suggest::nearest;
use super::tree::{Data, Fault, Node, Origin, Place, Sourced};

/// Where the reading stands and what it found.
pub(super) struct Reader {
    file: String,
    path: String,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Reader {
    /// A reader of the file of that name, and of the environment and flags over it.
    pub(super) fn new(file: String) -> Self {
        Self { file, path: String::new(), faults: Vec::new(), warnings: Vec::new() }
    }

    /// All faults in the order in which a person would look for them, each once, and the warnings.
    pub(super) fn finish(self) -> (Vec<Fault>, Vec<String>) {
        let mut faults = self.faults;
        faults.sort_by_key(|fault| fault.rank);
        // A variable that holds for both signals is read once for each.
        (unique(faults), unique(self.warnings))
    }

    /// The place of a value that stands at the present path.
    pub(super) fn place(&self, origin: &Origin) -> Place {
        match origin {
            Origin::Line(line) if self.path.is_empty() => {
                Place { text: format!("{}: (line {line})", self.file), rank: (0, *line) }
            }
            Origin::Line(line) => {
                Place { text: format!("{}: {} (line {line})", self.file, self.path), rank: (0, *line) }
            }
            Origin::Env(name) => Place { text: format!("environment: {name}"), rank: (1, 0) },
            Origin::Flag(name) => Place { text: format!("flag: {name}"), rank: (2, 0) },
        }
    }

    /// Notes a fault at the present path.
    pub(super) fn fault(&mut self, origin: &Origin, problem: impl Into<String>, help: impl Into<String>) {
        let place = self.place(origin);
        self.fault_at(place, problem, help);
    }

    /// Notes a fault at a remembered place.
    pub(super) fn fault_at(&mut self, place: Place, problem: impl Into<String>, help: impl Into<String>) {
        self.faults.push(Fault::new(place, problem, help));
    }

    /// Takes over faults that were found before reading.
    pub(super) fn add_faults(&mut self, faults: Vec<Fault>) {
        self.faults.extend(faults);
    }

    /// Notes something that works, but hardly as meant.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Notes a warning at the present path.
    pub(super) fn warn_at(&mut self, origin: &Origin, warning: &str) {
        let place = self.place(origin).text;
        self.warn(format!("{place}: {warning}"));
    }

    /// Does `f` one segment further down.
    pub(super) fn within<R>(&mut self, segment: &str, f: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        if length > 0 && !segment.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(segment);
        let result = f(self);
        self.path.truncate(length);
        result
    }

    /// A single value; `None` when it is null or wrong, which leaves what was there before.
    pub(super) fn value<V>(&mut self, node: &Node, codec: &Codec<V>) -> Option<V> {
        let (problem, help) = match &node.data {
            Data::Null => return None,
            Data::Scalar { text, quoted } if !quoted || codec.text => match codec.read(text) {
                Ok(value) => return Some(value),
                Err(wrong) => wrong,
            },
            Data::Scalar { .. } => {
                (format!("is text in quotes, not {}", codec.what), "leave the quotes out".to_owned())
            }
            Data::Seq(_) | Data::Map(_) => (format!("is {}, not {}", node.what(), codec.what), codec.help.to_owned()),
        };
        self.fault(&node.origin, problem, help);
        None
    }

    /// A single value that remembers its place.
    pub(super) fn sourced<V>(&mut self, node: &Node, codec: &Codec<V>) -> Option<Sourced<V>> {
        let place = self.place(&node.origin);
        self.value(node, codec).map(|value| Sourced { value, place })
    }

    /// The items of a list.
    pub(super) fn list(&mut self, node: &Node, mut f: impl FnMut(&mut Self, &Node)) {
        match &node.data {
            Data::Null => {}
            Data::Seq(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.within(&format!("[{index}]"), |reader| f(reader, item));
                }
            }
            Data::Scalar { .. } | Data::Map(_) => {
                self.fault(&node.origin, format!("is {}, not a list", node.what()), "items that begin with `- `");
            }
        }
    }

    /// The keys of a mapping, in the table's order; unknown ones are faults.
    pub(super) fn table<T>(&mut self, node: &Node, table: &Table<T>, into: &mut T) {
        let entries = match &node.data {
            Data::Null => &[][..],
            Data::Map(entries) => entries,
            Data::Scalar { .. } | Data::Seq(_) => {
                let help = format!("keys: {}", names(table));
                return self.fault(&node.origin, format!("is {}, not a mapping", node.what()), help);
            }
        };
        for entry in entries {
            if table.keys.iter().all(|key| key.name != entry.key) {
                self.within(&entry.key, |reader| {
                    reader.fault(&entry.origin, unknown(table, &entry.key), help(table, &entry.key))
                });
            }
        }
        if table.single && (entries.len() > 1 || (entries.is_empty() && node.is_from_file())) {
            self.fault(&node.origin, format!("has {} keys", entries.len()), format!("exactly one of {}", names(table)));
        }
        for key in table.keys {
            if let Some(entry) = entries.iter().find(|entry| entry.key == key.name) {
                self.within(key.name, |reader| (key.read)(into, &entry.value, reader));
            }
        }
    }

    /// A key that is its own value, such as `always_on:`; its mapping is empty.
    pub(super) fn marker(&mut self, node: &Node) {
        let empty = match &node.data {
            Data::Null => true,
            Data::Map(entries) => entries.is_empty(),
            Data::Scalar { .. } | Data::Seq(_) => false,
        };
        if !empty {
            self.fault(&node.origin, "takes no settings", "leave its value empty, or write `{}`");
        }
    }
}

fn unique<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut kept = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

fn names<T>(table: &Table<T>) -> String {
    table.keys.iter().map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", ")
}

fn unknown<T>(table: &Table<T>, name: &str) -> &'static str {
    if table.refused.iter().any(|(refused, _)| *refused == name) { "is not taken here" } else { "is not a known key" }
}

fn help<T>(table: &Table<T>, name: &str) -> String {
    if let Some((_, help)) = table.refused.iter().find(|(refused, _)| *refused == name) {
        return (*help).to_owned();
    }
    match nearest(name, table.keys.iter().map(|key| key.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", names(table)),
    }
}
