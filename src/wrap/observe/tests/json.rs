//! The JSON reader against serde_json: the same texts are JSON, and mean the same, in whatever pieces they come.

use std::hash::RandomState;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::wrap::observe::scan::{Scanner, Sink};
use crate::wrap::observe::text::{Captured, Keep};

/// Puts a value together again from what is told of it.
#[derive(Default)]
struct Builder {
    /// The objects and arrays that are open, each with the name that its next value has.
    open: Vec<(Value, Option<String>)>,
    root: Option<Value>,
}

impl Builder {
    fn add(&mut self, value: Value) {
        match self.open.last_mut() {
            Some((Value::Object(members), name)) => {
                members.insert(name.take().unwrap(), value);
            }
            Some((Value::Array(items), _)) => items.push(value),
            _ => self.root = Some(value),
        }
    }
}

impl Sink for Builder {
    fn open(&mut self, object: bool) {
        let empty = if object { Value::Object(Map::new()) } else { Value::Array(Vec::new()) };
        self.open.push((empty, None));
    }

    fn close(&mut self) {
        let (value, _) = self.open.pop().unwrap();
        self.add(value);
    }

    fn key(&mut self, name: Option<&str>) {
        self.open.last_mut().unwrap().1 = Some(name.unwrap().to_owned());
    }

    fn keep(&self) -> Keep {
        Keep::Text
    }

    fn string(&mut self, text: Captured<'_>) {
        self.add(text.text().unwrap().into());
    }

    fn number(&mut self, text: Captured<'_>) {
        self.add(serde_json::from_str(text.text().unwrap()).unwrap());
    }

    fn word(&mut self, value: Option<bool>) {
        self.add(value.map_or(Value::Null, Value::Bool));
    }
}

/// Reads the text in pieces of these lengths, over and over.
fn read(text: &[u8], lengths: &[usize]) -> Option<Value> {
    let mut scanner = Scanner::new(RandomState::new());
    let mut builder = Builder::default();
    let (mut rest, mut lengths) = (text, lengths.iter().cycle());
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
        scanner.feed(piece, &mut builder);
        rest = more;
    }
    if scanner.finish(&mut builder) { builder.root } else { None }
}

/// A sink that looks at nothing.
struct Blind;

impl Sink for Blind {
    fn open(&mut self, _object: bool) {}
    fn close(&mut self) {}
    fn key(&mut self, _name: Option<&str>) {}
    fn keep(&self) -> Keep {
        Keep::Nothing
    }
    fn string(&mut self, _text: Captured<'_>) {}
    fn number(&mut self, _text: Captured<'_>) {}
    fn word(&mut self, _value: Option<bool>) {}
}

fn is_json(text: &[u8], lengths: &[usize]) -> bool {
    let mut scanner = Scanner::new(RandomState::new());
    let (mut rest, mut lengths) = (text, lengths.iter().cycle());
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
        scanner.feed(piece, &mut Blind);
        rest = more;
    }
    scanner.finish(&mut Blind)
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z\"\\\\\n\u{1}\u{7f}é😀]{0,100}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(1usize..80, 1..8)
}

/// Writes each character that is not plain as an escape.
fn escaped(text: &str) -> String {
    let units = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    text.chars().map(|c| if c.is_ascii() { c.to_string() } else { units(c) }).collect()
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(value in values(), pretty in any::<bool>(), lengths in lengths()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        // What the reference reads, as it may round a number's last digit.
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read(text.as_bytes(), &lengths), Some(value.clone()));
        prop_assert_eq!(read(escaped(&text).as_bytes(), &lengths), Some(value));
    }

    #[test]
    fn what_is_no_json_is_found_out(
        value in values(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..3, "[\\[\\]{},:\"\\\\0-9eE+.\\-tfnu \t\n\u{0}a]"), 1..4),
        lengths in lengths(),
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        for (place, change, byte) in changes {
            let (place, byte) = (place.index(text.len() + 1), byte.as_bytes()[0]);
            match change {
                0 => text.insert(place, byte),
                1 if place < text.len() => text[place] = byte,
                _ if place < text.len() => drop(text.remove(place)),
                _ => {}
            }
        }
        let expected = serde_json::from_slice::<IgnoredAny>(&text).is_ok();
        prop_assert_eq!(is_json(&text, &lengths), expected, "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn numbers_follow_the_grammar() {
    for good in ["0", "-0", "10", "1.0", "0.5e3", "1E+9", "-1e-9", "123456789012345678901234567890"] {
        assert!(is_json(good.as_bytes(), &[1]), "{good}");
    }
    for bad in ["-", "01", "1.", ".5", "1e", "1e+", "+1", "1 2", "0x1", "NaN", "--1", ""] {
        assert!(!is_json(bad.as_bytes(), &[1]), "{bad}");
    }
}

#[test]
fn depth_is_bounded_and_costs_little() {
    let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(is_json(&nested(4096), &[1000]));
    assert!(!is_json(&nested(4097), &[1000]));
    assert!(!is_json(&vec![b'{'; 1_000_000], &[1000]));
}
