//! The bridge's own books, as one scrape shows them: what came in is what became of it, at every moment.

use std::collections::BTreeMap;

/// What became of an event.
const OF_EVENTS: [&str; 3] = ["accepted", "duplicate", "rejected"];
/// What became of an item of the push that waits no more.
const OF_ITEMS: [&str; 4] = ["taken", "rejected", "superseded", "dropped"];

/// What does not add up in a scrape, whose samples are named as they are printed.
pub fn unbalanced<'s>(samples: impl IntoIterator<Item = (&'s str, f64)>) -> Vec<String> {
    let mut events: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    let mut items: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for (key, value) in samples {
        let (name, labels) = key.split_once('{').unwrap_or((key, ""));
        let label = |name: &str| {
            let at = labels.find(&format!("{name}=\""))? + name.len() + 2;
            labels[at..].split('"').next()
        };
        let (book, of, entry) = match name {
            "bridge_push_items_total" => (&mut items, label("signal"), label("outcome")),
            "bridge_outbox_items" => (&mut items, label("signal"), Some("waiting")),
            "bridge_outbox_size_bytes" => (&mut items, label("signal"), Some("bytes")),
            _ => match name.strip_prefix("bridge_events_").and_then(|rest| rest.strip_suffix("_total")) {
                Some(end) => (&mut events, label("source"), Some(end)),
                None => continue,
            },
        };
        *book.entry(of.unwrap_or_default()).or_default().entry(entry.unwrap_or_default()).or_default() += value;
    }
    let get = |book: &BTreeMap<&str, f64>, entry: &str| book.get(entry).copied().unwrap_or(0.0);
    let mut wrong = Vec::new();
    for (source, book) in &events {
        if get(book, "received") != OF_EVENTS.iter().map(|end| get(book, end)).sum::<f64>() {
            wrong.push(format!("the events of {source} do not add up: {book:?}"));
        }
    }
    for (signal, book) in &items {
        let waiting = get(book, "waiting");
        if get(book, "queued") != OF_ITEMS.iter().map(|end| get(book, end)).sum::<f64>() + waiting {
            wrong.push(format!("the items of {signal} do not add up: {book:?}"));
        }
        if (waiting == 0.0) != (get(book, "bytes") == 0.0) {
            wrong.push(format!("either items of {signal} wait or no bytes do: {book:?}"));
        }
    }
    wrong
}

/// What does not add up in a scrape, as it came.
pub fn unbalanced_text(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    unbalanced(lines.map(|line| {
        let sample = line.split_once(" # {").map_or(line, |(sample, _)| sample);
        let (key, value) = sample.rsplit_once(' ').unwrap();
        (key, value.parse().unwrap())
    }))
}

/// The books of this scrape are balanced.
#[track_caller]
pub fn assert_balanced<'s>(samples: impl IntoIterator<Item = (&'s str, f64)>) {
    let wrong = unbalanced(samples);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
