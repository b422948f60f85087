//! A file with every key: those that have a default stand at it, the others are commented out.

use serde_json::Value;

use super::draft::Draft;
use super::keys::FILE;
use super::model::Config;
use super::show::{KeyDoc, escape, reference};

/// Every key with its default and a line on what it sets, as a file that loads as the built-in defaults.
pub fn example() -> String {
    let mut defaults = FILE.show(&Draft::from(&Config::default())).unwrap_or_default();
    escape(&mut defaults);
    let keys: Vec<Line> = reference().into_iter().map(|key| Line::new(&defaults, key)).collect();
    let mut text = String::from(
        "# Every key, at its default; those without one are commented out. Made by `mcp-otel-bridge config --example`.\n\
         # Delete what you do not change: a later version may have better defaults. Variables: docs/configuration.md\n",
    );
    let mut before: &[Segment] = &[];
    for (at, key) in keys.iter().enumerate() {
        let shared = key.path.iter().zip(before).take_while(|(one, other)| one == other).count();
        // Paths are unique: at least the last segment is new.
        for depth in shared..key.path.len() - 1 {
            let inside = |other: &&Line| other.path.starts_with(&key.path[..=depth]);
            let active = keys[at..].iter().take_while(inside).any(|other| other.active);
            if depth == 0 {
                text.push('\n');
            }
            line(&mut text, active, &format!("{}{}:", key.lead(depth, depth > shared), key.path[depth].name));
        }
        let last = key.path.len() - 1;
        let lead = key.lead(last, last > shared);
        let active = key.active;
        if last == 0 {
            text.push('\n');
        }
        // The dash of an item stands before its first line, which must not be the comment.
        let indent = " ".repeat(lead.len());
        text.push_str(&format!(
            "{}# {} ({})\n",
            if active { indent } else { format!("# {indent}") },
            key.doc,
            key.takes
        ));
        line(&mut text, active, format!("{lead}{}: {}", key.path[last].name, key.value).trim_end());
        before = &key.path;
    }
    text
}

fn line(text: &mut String, active: bool, line: &str) {
    if !active {
        text.push_str("# ");
    }
    text.push_str(line);
    text.push('\n');
}

/// A key on its way into the file.
struct Line {
    path: Vec<Segment>,
    takes: String,
    doc: &'static str,
    /// Whether the default is in force without anything else being said.
    active: bool,
    /// The default as YAML, or nothing.
    value: String,
}

#[derive(PartialEq, Eq)]
struct Segment {
    name: String,
    /// Whether what is inside are the items of a list.
    items: bool,
}

impl Line {
    fn new(defaults: &Value, key: KeyDoc) -> Self {
        let path: Vec<Segment> = key
            .path
            .split('.')
            .map(|segment| {
                let name = segment.strip_suffix("[]");
                Segment { name: name.unwrap_or(segment).to_owned(), items: name.is_some() }
            })
            .collect();
        let value = path.iter().try_fold(defaults, |value, segment| value.get(&segment.name));
        let value = value.and_then(|value| Some(serde_saphyr::to_string(value).ok()?.trim_end().to_owned()));
        let active = value.is_some();
        Self { path, takes: key.takes, doc: key.doc, active, value: value.or(key.default).unwrap_or_default() }
    }

    /// What stands before the name at that depth: its indentation, and the dash of an item where it is the first.
    fn lead(&self, depth: usize, first: bool) -> String {
        let lists = self.path[..depth].iter().filter(|segment| segment.items).count();
        let width = 2 * (depth + lists);
        let item = depth > 0 && self.path[depth - 1].items;
        if item && first { format!("{}- ", " ".repeat(width - 2)) } else { " ".repeat(width) }
    }
}
