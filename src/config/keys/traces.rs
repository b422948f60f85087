//! The keys of `tracer_provider`: push of spans, and sampling.

use serde_json::{Value, json};

use super::metrics::require_exporter;
use super::otlp::{self, LONGEST_MILLIS, OTHER_EXPORTERS};
use crate::config::codec::{COUNT, MILLIS, RATIO};
use crate::config::draft::{Draft, SpansPush};
use crate::config::key::{Inside, Key, Outline, Table, optional, presence, section, value};
use crate::config::model::Sampler;
use crate::config::reader::Reader;
use crate::config::tree::Node;

/// More spans than fit the memory that a bridge should take.
const MOST_SPANS: u64 = 10_000_000;

pub(super) static TRACER_PROVIDER: Table<Draft> = Table::<Draft>::new(&[
    Key {
        name: "processors",
        doc: "The way out of spans: at most one `batch`.",
        read: |draft, node, reader| {
            let mut seen = false;
            reader.list(node, |reader, item| {
                if seen && item.has("batch") {
                    reader.fault(&item.origin, "is a second `batch`", "one");
                }
                seen |= item.has("batch");
                reader.table(item, &PROCESSOR, &mut draft.spans);
            });
        },
        show: |draft| draft.spans.exporter.on.then(|| Value::Array(PROCESSOR.show(&draft.spans).into_iter().collect())),
        inside: Inside::Items(|outline: &mut Outline| PROCESSOR.outline(outline)),
    },
    section!("sampler", SAMPLER, |draft| draft.config.sampler, "Which traces are sampled."),
])
.refuse(&[
    ("limits", "the bridge bounds its spans itself; leave it out"),
    ("tracer_configurator/development", "the bridge has one tracer; leave it out"),
]);

static PROCESSOR: Table<SpansPush> = Table::<SpansPush>::single(&[Key {
    name: "batch",
    doc: "Push, many spans at once.",
    read: |push, node, reader| {
        require_exporter(node, reader);
        reader.table(node, &BATCH, push);
    },
    show: |push| BATCH.show(push),
    inside: Inside::Keys(|outline| BATCH.outline(outline)),
}])
.refuse(&[("simple", "only `batch`")]);

static BATCH: Table<SpansPush> = Table::<SpansPush>::new(&[
    value!(
        "schedule_delay",
        MILLIS.within(1, LONGEST_MILLIS),
        |push| push.schedule_delay,
        "The longest that a span waits for others, in milliseconds."
    ),
    value!(
        "export_timeout",
        MILLIS.within(1, LONGEST_MILLIS),
        |push| push.export_timeout,
        "How long one export may take, in milliseconds."
    ),
    value!(
        "max_queue_size",
        COUNT.within(1, MOST_SPANS),
        |push| push.max_queue_size,
        "The most spans of the SDK's tracers that may wait to be filed; what is filed waits in the `outbox`."
    ),
    optional!(
        "max_export_batch_size",
        COUNT.within(1, MOST_SPANS),
        |push| push.max_export_batch_size,
        "The most spans in one export; no more than `max_queue_size`."
    ),
    section!("exporter", EXPORTER, |push| *push, "How spans leave."),
]);

static EXPORTER: Table<SpansPush> = Table::<SpansPush>::single(&[Key {
    name: "otlp_grpc",
    doc: "OTLP over gRPC. Turns push on.",
    read: |push, node, reader| {
        push.exporter.on |= node.is_from_file();
        reader.table(node, &otlp::SPANS, &mut push.exporter);
    },
    show: |push| otlp::SPANS.show(&push.exporter).or_else(|| Some(json!({}))),
    inside: Inside::Keys(|outline| otlp::SPANS.outline(outline)),
}])
.refuse(OTHER_EXPORTERS);

const OTHER_SAMPLERS: &[(&str, &str)] = &[
    ("jaeger_remote", "`always_on`, `always_off`, `trace_id_ratio_based` or `parent_based`"),
    ("jaeger_remote/development", "`always_on`, `always_off`, `trace_id_ratio_based` or `parent_based`"),
    ("probability/development", "use `trace_id_ratio_based`"),
    ("composite/development", "`always_on`, `always_off`, `trace_id_ratio_based` or `parent_based`"),
];

static SAMPLER: Table<Sampler> = Table::<Sampler>::single(&[
    presence!(
        "always_on",
        |s| *s = Sampler { parent_based: false, ratio: 1.0 },
        |s| !s.parent_based && s.ratio == 1.0,
        "Sample every trace, whatever its parent says."
    ),
    presence!(
        "always_off",
        |s| *s = Sampler { parent_based: false, ratio: 0.0 },
        |s| !s.parent_based && s.ratio == 0.0,
        "Sample no trace, whatever its parent says."
    ),
    Key {
        name: "trace_id_ratio_based",
        doc: "Sample a share of traces, whatever the parent says.",
        read: |s, node, reader| {
            *s = Sampler { parent_based: false, ratio: 1.0 };
            reader.table(node, &RATIO_BASED, s);
        },
        show: |s| if s.parent_based { None } else { ratio_based(s) },
        inside: Inside::Keys(|outline| RATIO_BASED.outline(outline)),
    },
    Key {
        name: "parent_based",
        doc: "Do as the parent did; without a parent as `root` says.",
        read: |s, node, reader| {
            *s = Sampler { parent_based: true, ratio: 1.0 };
            reader.table(node, &PARENT_BASED, s);
        },
        show: |s| if s.parent_based { PARENT_BASED.show(s) } else { None },
        inside: Inside::Keys(|outline| PARENT_BASED.outline(outline)),
    },
])
.refuse(OTHER_SAMPLERS);

static PARENT_BASED: Table<Sampler> = Table::<Sampler>::new(&[
    section!("root", ROOT, |s| *s, "What is sampled without a parent."),
    fixed("remote_parent_sampled", always_on, "Always `always_on`."),
    fixed("remote_parent_not_sampled", always_off, "Always `always_off`."),
    fixed("local_parent_sampled", always_on, "Always `always_on`."),
    fixed("local_parent_not_sampled", always_off, "Always `always_off`."),
]);

static ROOT: Table<Sampler> = Table::<Sampler>::single(&[
    presence!("always_on", |s| s.ratio = 1.0, |s| s.ratio == 1.0, "Sample every trace."),
    presence!("always_off", |s| s.ratio = 0.0, |s| s.ratio == 0.0, "Sample no trace."),
    Key {
        name: "trace_id_ratio_based",
        doc: "Sample a share of traces.",
        read: |s, node, reader| reader.table(node, &RATIO_BASED, s),
        show: ratio_based,
        inside: Inside::Keys(|outline| RATIO_BASED.outline(outline)),
    },
])
.refuse(OTHER_SAMPLERS);

static RATIO_BASED: Table<Sampler> =
    Table::<Sampler>::new(&[value!("ratio", RATIO, |s| s.ratio, "The share, from 0 to 1.")]);

/// All and none have names of their own.
fn ratio_based(sampler: &Sampler) -> Option<Value> {
    if sampler.ratio == 0.0 || sampler.ratio == 1.0 { None } else { RATIO_BASED.show(sampler) }
}

/// A key that the schema has and the bridge keeps at its default.
const fn fixed(name: &'static str, read: fn(&mut Sampler, &Node, &mut Reader), doc: &'static str) -> Key<Sampler> {
    Key { name, doc, read, show: |_| None, inside: Inside::Value(|| "the default".to_owned()) }
}

fn always_on(_: &mut Sampler, node: &Node, reader: &mut Reader) {
    only(node, "always_on", reader);
}

fn always_off(_: &mut Sampler, node: &Node, reader: &mut Reader) {
    only(node, "always_off", reader);
}

fn only(node: &Node, name: &str, reader: &mut Reader) {
    if !node.has(name) && node.what() != "empty" {
        reader.fault(&node.origin, "is not the default", format!("`{name}:`, the only one that the bridge has"));
    }
}
