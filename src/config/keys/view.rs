//! The keys of a view, checked against the catalog: a view that changes nothing is a mistake.

use serde_json::Value;

use crate::catalog::{self, Kind, Metric};
use crate::config::codec::{BOOL, COUNT, NUMBER, TEXT, choice, quote};
use crate::config::key::{Inside, Key, Outline, Table, optional, presence, section};
use crate::config::model::{METER_NAME, Selector, Stream, View};
use crate::config::reader::Reader;
use crate::config::suggest;
use crate::config::tree::{Data, Node, Sourced};
use crate::config::wildcard::matches;

/// A view in the making.
#[derive(Default)]
struct Draft {
    name: Option<Sourced<String>>,
    kind: Option<Sourced<Kind>>,
    unit: Option<Sourced<String>>,
    meter: Option<Sourced<String>>,
    boundaries: Option<Sourced<Vec<f64>>>,
    included: Option<Sourced<Vec<String>>>,
    excluded: Option<Sourced<Vec<String>>>,
    limit: Option<Sourced<usize>>,
    drop: bool,
}

static VIEW: Table<Draft> = Table::<Draft>::new(&[
    section!("selector", SELECTOR, |view| *view, "Which instruments it changes: those that match every key."),
    section!("stream", STREAM, |view| *view, "What it changes."),
]);

static SELECTOR: Table<Draft> = Table::<Draft>::new(&[
    optional!(
        "instrument_name",
        TEXT,
        |view| view.name,
        "The OpenTelemetry name, with `*` for any run of characters and `?` for one."
    ),
    optional!("instrument_type", KINDS, |view| view.kind, "The kind of instrument."),
    optional!("unit", TEXT, |view| view.unit, "The UCUM unit."),
    Key {
        name: "meter_name",
        doc: "The meter: the bridge has one, `mcp-otel-bridge`.",
        read: |view, node, reader| view.meter = reader.sourced(node, &TEXT),
        show: |_| None,
        inside: Inside::Value(|| TEXT.describe()),
    },
])
.refuse(&[
    ("meter_version", "the bridge has one meter; leave it out"),
    ("meter_schema_url", "the bridge has one meter; leave it out"),
]);

choice! {
    KINDS: Kind, "a type of instrument of the bridge", [
        "counter" => Kind::Counter,
        "up_down_counter" => Kind::UpDownCounter,
        "gauge" => Kind::Gauge,
        "histogram" => Kind::Histogram
    ]
}

static STREAM: Table<Draft> = Table::<Draft>::new(&[
    section!("aggregation", AGGREGATION, |view| *view, "How measurements are kept."),
    section!("attribute_keys", ATTRIBUTE_KEYS, |view| *view, "Which attributes are kept; wildcards as above."),
    optional!(
        "aggregation_cardinality_limit",
        COUNT.within(1, 1_000_000),
        |view| view.limit,
        "The most series, overflow apart."
    ),
])
.refuse(&[
    ("name", "names are the catalog's: dashboards and rules rest on them"),
    ("description", "descriptions are the catalog's"),
]);

const OTHER_AGGREGATION: &str = "`explicit_bucket_histogram`, `drop` or `default`";

static AGGREGATION: Table<Draft> = Table::<Draft>::single(&[
    section!("explicit_bucket_histogram", EXPLICIT, |view| *view, "Buckets with these bounds."),
    presence!("drop", |view| view.drop = true, |view| view.drop, "Record nothing."),
    presence!("default", |_view| {}, |_view| false, "As the catalog says."),
])
.refuse(&[
    ("base2_exponential_bucket_histogram", OTHER_AGGREGATION),
    ("last_value", OTHER_AGGREGATION),
    ("sum", OTHER_AGGREGATION),
]);

static EXPLICIT: Table<Draft> = Table::<Draft>::new(&[
    Key {
        name: "boundaries",
        doc: "The upper bounds of the buckets, strictly rising, the infinite one left out.",
        read: |view, node, reader| view.boundaries = boundaries(node, reader),
        show: |view| view.boundaries.as_ref().map(|bounds| Value::from(bounds.value.clone())),
        inside: Inside::Value(|| "a list of numbers".to_owned()),
    },
    Key {
        name: "record_min_max",
        doc: "Accepted; Prometheus has neither.",
        read: |_, node, reader| {
            let _ = reader.value(node, &BOOL);
        },
        show: |_| None,
        inside: Inside::Value(|| BOOL.describe()),
    },
]);

static ATTRIBUTE_KEYS: Table<Draft> = Table::<Draft>::new(&[
    Key {
        name: "included",
        doc: "Keep only these.",
        read: |view, node, reader| view.included = texts(node, reader),
        show: |view| view.included.as_ref().map(|keys| Value::from(keys.value.clone())),
        inside: Inside::Value(|| "a list of keys".to_owned()),
    },
    Key {
        name: "excluded",
        doc: "Drop these, even where `included` keeps them.",
        read: |view, node, reader| view.excluded = texts(node, reader),
        show: |view| view.excluded.as_ref().map(|keys| Value::from(keys.value.clone())),
        inside: Inside::Value(|| "a list of keys".to_owned()),
    },
]);

/// The views of a list.
pub(super) fn read(node: &Node, reader: &mut Reader) -> Vec<View> {
    let mut views = Vec::new();
    reader.list(node, |reader, item| {
        let mut draft = Draft::default();
        reader.table(item, &VIEW, &mut draft);
        for name in ["selector", "stream"] {
            if !item.has(name) {
                reader.fault(&item.origin, format!("has no `{name}`"), "`selector` and `stream`");
            }
        }
        if item.has("selector")
            && let Some(view) = check(draft, item, reader)
        {
            views.push(view);
        }
    });
    views
}

/// The list that reads as those views.
pub(super) fn show(views: &[View]) -> Option<Value> {
    let item = |view: &View| {
        let mut shown = serde_json::Map::new();
        let draft = Draft::from(view);
        // Both keys are required, even where they hold nothing.
        for (name, table) in [("selector", &SELECTOR), ("stream", &STREAM)] {
            shown.insert(name.to_owned(), table.show(&draft).unwrap_or_else(|| serde_json::json!({})));
        }
        Value::Object(shown)
    };
    (!views.is_empty()).then(|| Value::Array(views.iter().map(item).collect()))
}

/// The keys of an item.
pub(super) fn outline(outline: &mut Outline) {
    VIEW.outline(outline);
}

impl From<&View> for Draft {
    fn from(view: &View) -> Self {
        let Selector { instrument_name, instrument_type, unit } = view.selector.clone();
        let Stream { boundaries, included, excluded, cardinality_limit, drop } = view.stream.clone();
        Self {
            name: instrument_name.map(Sourced::nowhere),
            kind: instrument_type.map(Sourced::nowhere),
            unit: unit.map(Sourced::nowhere),
            meter: None,
            boundaries: boundaries.map(Sourced::nowhere),
            included: included.map(Sourced::nowhere),
            excluded: (!excluded.is_empty()).then(|| Sourced::nowhere(excluded)),
            limit: cardinality_limit.map(Sourced::nowhere),
            drop,
        }
    }
}

/// The view, when it matches something of the catalog.
fn check(draft: Draft, item: &Node, reader: &mut Reader) -> Option<View> {
    if draft.name.is_none() && draft.kind.is_none() && draft.unit.is_none() && draft.meter.is_none() {
        // A key with a wrong value has its own fault already.
        let parts = ["instrument_name", "instrument_type", "unit", "meter_name"];
        let says = |key: &&str| {
            item.get("selector").and_then(|node| node.get(key)).is_some_and(|node| node.data != Data::Null)
        };
        if !parts.iter().any(says) {
            let help = "at least one of `instrument_name`, `instrument_type`, `unit`";
            reader.within("selector", |reader| reader.fault(&item.origin, "selects nothing in particular", help));
        }
        return None;
    }
    let matched: Vec<&Metric> = catalog::all().filter(|metric| draft.selects(metric)).collect();
    if matched.is_empty() {
        no_match(&draft, item, reader);
        return None;
    }
    if let Some(boundaries) = &draft.boundaries
        && matched.iter().all(|metric| metric.kind != Kind::Histogram)
    {
        let problem = format!("the view matches no histogram, but {}", names(&matched));
        reader.fault_at(boundaries.place.clone(), problem, "buckets for a histogram");
    }
    let selector = draft.selector();
    let included = draft.included.map(|keys| expand(keys, &matched, reader));
    let excluded = draft.excluded.map(|keys| expand(keys, &matched, reader)).unwrap_or_default();
    Some(View {
        selector,
        stream: Stream {
            boundaries: draft.boundaries.map(|boundaries| boundaries.value),
            included,
            excluded,
            cardinality_limit: draft.limit.map(|limit| limit.value),
            drop: draft.drop,
        },
    })
}

impl Draft {
    fn selector(&self) -> Selector {
        Selector {
            instrument_name: self.name.as_ref().map(|name| name.value.clone()),
            instrument_type: self.kind.as_ref().map(|kind| kind.value),
            unit: self.unit.as_ref().map(|unit| unit.value.clone()),
        }
    }

    fn selects(&self, metric: &Metric) -> bool {
        self.selector().matches(metric) && self.meter.as_ref().is_none_or(|meter| matches(&meter.value, METER_NAME))
    }
}

/// Says why a selector matches nothing: the first of its keys that no instrument has.
fn no_match(draft: &Draft, item: &Node, reader: &mut Reader) {
    if let Some(meter) = &draft.meter
        && !matches(&meter.value, METER_NAME)
    {
        let problem = format!("{} is not the bridge's meter", quote(&meter.value));
        return reader.fault_at(meter.place.clone(), problem, format!("{METER_NAME}, or leave it out"));
    }
    if let Some(name) = &draft.name
        && !catalog::all().any(|metric| matches(&name.value, metric.otel))
    {
        let problem = format!("{} matches no instrument", quote(&name.value));
        return reader.fault_at(name.place.clone(), problem, close(&name.value));
    }
    let help = "`mcp-otel-bridge catalog` lists every instrument with its type and unit";
    reader.within("selector", |reader| reader.fault(&item.origin, "matches no instrument", help));
}

/// The instruments that may be meant.
fn close(name: &str) -> String {
    if let Some(metric) = catalog::all().find(|metric| metric.prometheus == name) {
        return format!("that is a Prometheus name; did you mean `{}`?", metric.otel);
    }
    let plain: String = name.chars().filter(|c| !matches!(c, '*' | '?')).collect();
    let mut near = suggest::ranked(&plain, catalog::all().map(|metric| metric.otel));
    if near.is_empty() {
        near = catalog::all()
            .map(|metric| metric.otel)
            .filter(|otel| otel.split('.').any(|word| plain.contains(word)))
            .collect();
    }
    near.truncate(3);
    match near.is_empty() {
        true => "`mcp-otel-bridge catalog` lists every instrument".to_owned(),
        false => {
            format!("did you mean {}?", near.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or "))
        }
    }
}

/// The attribute keys that the patterns mean; a pattern that means none is a fault.
fn expand(patterns: Sourced<Vec<String>>, matched: &[&Metric], reader: &mut Reader) -> Vec<String> {
    let mut known: Vec<&str> = Vec::new();
    for key in matched.iter().flat_map(|metric| metric.labels) {
        if !known.contains(key) {
            known.push(key);
        }
    }
    let mut keys: Vec<String> = Vec::new();
    for pattern in patterns.value {
        let found: Vec<&&str> = known.iter().filter(|key| matches(&pattern, key)).collect();
        if found.is_empty() {
            let problem = format!("{} is no attribute of {}", quote(&pattern), names(matched));
            let help = match suggest::nearest(&pattern, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "they have none".to_owned(),
                None => format!("theirs: {}", known.join(", ")),
            };
            reader.fault_at(patterns.place.clone(), problem, help);
        }
        for key in found {
            if !keys.iter().any(|other| other == key) {
                keys.push((*key).to_owned());
            }
        }
    }
    keys
}

fn names(matched: &[&Metric]) -> String {
    match matched {
        [metric] => metric.otel.to_owned(),
        [first, ..] => format!("{} and {} more", first.otel, matched.len() - 1),
        [] => "nothing".to_owned(),
    }
}

fn boundaries(node: &Node, reader: &mut Reader) -> Option<Sourced<Vec<f64>>> {
    let bounds = values(node, reader, |reader, item| reader.value(item, &NUMBER))?;
    if let Some(pair) = bounds.value.windows(2).find(|pair| pair[0] >= pair[1]) {
        let problem = format!("{} comes after {}", pair[1], pair[0]);
        reader.fault(&node.origin, problem, "bounds that rise, each once");
        return None;
    }
    Some(bounds)
}

fn texts(node: &Node, reader: &mut Reader) -> Option<Sourced<Vec<String>>> {
    values(node, reader, |reader, item| reader.value(item, &TEXT))
}

/// A list of values that is not empty; `None` when anything is wrong with it.
fn values<V>(
    node: &Node,
    reader: &mut Reader,
    read: impl Fn(&mut Reader, &Node) -> Option<V>,
) -> Option<Sourced<Vec<V>>> {
    let mut values = Vec::new();
    let mut items = 0;
    let is_list = matches!(node.data, Data::Seq(_));
    reader.list(node, |reader, item| {
        items += 1;
        if item.what() == "empty" {
            reader.fault(&item.origin, "is empty", "a value, or nothing");
        }
        values.extend(read(reader, item));
    });
    if is_list && items == 0 {
        reader.fault(&node.origin, "is an empty list", "at least one item, or leave the key out");
    }
    let whole = is_list && items > 0 && values.len() == items;
    whole.then(|| Sourced { value: values, place: reader.place(&node.origin) })
}
