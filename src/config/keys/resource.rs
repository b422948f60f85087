//! The keys of `resource`: what the telemetry describes.

use serde_json::{Value, json};

use crate::config::codec::{Codec, TEXT, choice};
use crate::config::key::{Inside, Key, Outline, Table, optional};
use crate::config::list::pairs;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Sourced};

/// Attributes in the order of their first setting; a later one of the same name replaces the value.
type Attributes = Vec<(String, String)>;

pub(super) static RESOURCE: Table<Attributes> = Table::<Attributes>::new(&[
    Key {
        name: "attributes_list",
        doc: "Attributes as `key1=value1,key2=value2`, percent-encoded; `attributes` wins over it.",
        read: set_attributes_list,
        show: |_| None,
        inside: Inside::Value(|| "a list of pairs".to_owned()),
    },
    Key {
        name: "attributes",
        doc: "Attributes, such as `service.name` and `deployment.environment.name`.",
        read: |attributes, node, reader| {
            reader.list(node, |reader, item| {
                let mut attribute = Attribute::default();
                reader.table(item, &ATTRIBUTE, &mut attribute);
                for name in ["name", "value"] {
                    if !item.has(name) {
                        reader.fault(&item.origin, format!("has no `{name}`"), "`name` and `value`");
                    }
                }
                if let (Some(name), Some(value)) = (attribute.name, attribute.value) {
                    set(attributes, name.value, value.value);
                }
            });
        },
        show: |attributes| {
            let attribute = |(name, value): &(String, String)| json!({"name": name, "value": value});
            let attributes: Vec<Value> = attributes.iter().map(attribute).collect();
            (!attributes.is_empty()).then_some(Value::Array(attributes))
        },
        inside: Inside::Items(|outline: &mut Outline| ATTRIBUTE.outline(outline)),
    },
])
.refuse(&[
    ("detection/development", "the bridge detects nothing; set `attributes`"),
    ("schema_url", "the bridge sets it itself; leave it out"),
]);

#[derive(Default)]
struct Attribute {
    name: Option<Sourced<String>>,
    value: Option<Sourced<String>>,
}

static ATTRIBUTE: Table<Attribute> = Table::<Attribute>::new(&[
    optional!("name", TEXT, |attribute| attribute.name, "The name."),
    optional!("value", ANY_TEXT, |attribute| attribute.value, "The value; an attribute without one is left out."),
    Key {
        name: "type",
        doc: "Always `string`.",
        read: |_, node, reader| {
            let _ = reader.value(node, &TYPE);
        },
        show: |_| None,
        inside: Inside::Value(|| TYPE.describe()),
    },
]);

const ANY_TEXT: Codec<String> = Codec { parse: |text| Ok(text.to_owned()), ..TEXT };

choice! {
    TYPE: (), "a type that the bridge has", ["string" => ()]
}

/// Sets one attribute over an earlier one of its name.
pub(in crate::config) fn set(attributes: &mut Attributes, name: String, value: String) {
    match attributes.iter_mut().find(|(other, _)| *other == name) {
        Some(attribute) => attribute.1 = value,
        None => attributes.push((name, value)),
    }
}

/// Sets the attributes of one text, over earlier ones.
fn set_attributes_list(attributes: &mut Attributes, node: &Node, reader: &mut Reader) {
    let Some(text) = reader.value(node, &ANY_TEXT) else { return };
    match pairs(&text) {
        Ok(pairs) => pairs.into_iter().for_each(|(name, value)| set(attributes, name, value)),
        Err(problem) => reader.fault(&node.origin, problem, "key1=value1,key2=value2, percent-encoded"),
    }
}
