//! The reference of every type of event as a page of Markdown, made of their declarations.

use std::fmt::Write as _;

use super::EventType;
use super::schema::{Property, common};

/// What holds for every type.
const HEAD: &str = include_str!("reference.md");

/// An event of each type, a line each, in the order of [`EventType::ALL`]: the examples of the page.
pub(super) const EXAMPLES: &str = include_str!("examples.ndjson");

/// The page: what holds for every event, then a section a type.
pub fn reference_markdown() -> String {
    let common = common();
    let mut page = HEAD.to_owned();
    page.push_str("\n## Fields of every event\n\n");
    table(&mut page, &common, &[]);
    for (event_type, example) in EventType::ALL.iter().zip(EXAMPLES.lines()) {
        let (doc, own) = event_type.declared();
        let _ = writeln!(page, "\n## {}\n\n{}\n", event_type.name(), doc.trim());
        let required = event_type.required();
        let needed: Vec<Property> = common.iter().filter(|one| required.contains(&one.name)).cloned().collect();
        if needed.is_empty() && own.is_empty() {
            page.push_str("It has no fields of its own.\n");
        } else {
            table(&mut page, &[own, needed].concat(), required);
        }
        let _ = write!(page, "\n```json\n{example}\n```\n");
    }
    page
}

fn table(page: &mut String, fields: &[Property], required: &[&str]) {
    page.push_str("| field | required | must be | what |\n|---|---|---|---|\n");
    for field in fields {
        let needed = if field.optional && !required.contains(&field.name) { "" } else { "yes" };
        row(page, field.name, needed, field);
        for part in &field.parts {
            // What an object must have, it must have where there is one.
            let needed = match (part.optional, field.optional) {
                (true, _) => String::new(),
                (false, true) => format!("with `{}`", field.name),
                (false, false) => "yes".to_owned(),
            };
            row(page, &format!("{}.{}", field.name, part.name), &needed, part);
        }
    }
}

fn row(page: &mut String, name: &str, required: &str, field: &Property) {
    let default = field.default.as_ref().map(|value| format!("; `{value}` by default")).unwrap_or_default();
    let _ = writeln!(page, "| `{name}` | {required} | {}{default} | {} |", field.expected, field.doc);
}
