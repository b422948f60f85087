//! The keys of `meter_provider`: push and scrape as readers, views, the exemplar filter.

use serde_json::{Value, json};

use super::otlp::{self, LONGEST_MILLIS, OTHER_EXPORTERS};
use super::view;
use crate::config::codec::{HOST, MILLIS, PORT, choice};
use crate::config::draft::{Draft, MetricsPush};
use crate::config::key::{Inside, Key, Outline, Table, section, value};
use crate::config::model::ExemplarFilter;
use crate::config::reader::Reader;
use crate::config::tree::Node;

pub(super) static METER_PROVIDER: Table<Draft> = Table::<Draft>::new(&[
    Key {
        name: "readers",
        doc: "The ways out: at most one `periodic` (push) and one `pull` (scrape).",
        read: |draft, node, reader| {
            let mut seen: Vec<&str> = Vec::new();
            reader.list(node, |reader, item| {
                for name in ["periodic", "pull"] {
                    if item.has(name) {
                        if seen.contains(&name) {
                            reader.fault(&item.origin, format!("is a second `{name}`"), "one of each kind");
                        }
                        seen.push(name);
                    }
                }
                reader.table(item, &READER, draft);
            });
        },
        show: |draft| draft.metrics.exporter.on.then(|| Value::Array(READER.show(draft).into_iter().collect())),
        inside: Inside::Items(|outline: &mut Outline| READER.outline(outline)),
    },
    Key {
        name: "views",
        doc: "Changes to buckets, labels and limits; the first view that matches an instrument holds for it.",
        read: |draft, node, reader| draft.config.views = view::read(node, reader),
        show: |draft| view::show(&draft.config.views),
        inside: Inside::Items(view::outline),
    },
    Key {
        name: "exemplar_filter",
        doc: "Which measurements leave exemplars: `trace_based` or `always_off`; `always_on` is taken as `trace_based`.",
        read: |draft, node, reader| {
            if let Some((filter, always_on)) = reader.value(node, &FILTERS) {
                draft.config.exemplar_filter = filter;
                if always_on {
                    reader.warn_at(
                        &node.origin,
                        "always_on is taken as trace_based, because an exemplar here always names a sampled trace",
                    );
                }
            }
        },
        show: |draft| Some((FILTERS.show)(&(draft.config.exemplar_filter, false))),
        inside: Inside::Value(|| FILTERS.describe()),
    },
])
.refuse(&[("meter_configurator/development", "turn groups of metrics off in `metrics.groups`")]);

choice! {
    FILTERS: (ExemplarFilter, bool), "an exemplar filter", [
        "trace_based" => (ExemplarFilter::TraceBased, false),
        "always_off" => (ExemplarFilter::AlwaysOff, false),
        "always_on" => (ExemplarFilter::TraceBased, true)
    ]
}

static READER: Table<Draft> = Table::<Draft>::single(&[
    Key {
        name: "periodic",
        doc: "Push.",
        read: |draft, node, reader| {
            require_exporter(node, reader);
            reader.table(node, &PERIODIC, &mut draft.metrics);
        },
        show: |draft| PERIODIC.show(&draft.metrics),
        inside: Inside::Keys(|outline| PERIODIC.outline(outline)),
    },
    Key {
        name: "pull",
        doc: "The scrape.",
        read: |draft, node, reader| {
            require_exporter(node, reader);
            reader.table(node, &PULL, draft);
        },
        show: |_| None,
        inside: Inside::Keys(|outline| PULL.outline(outline)),
    },
]);

static PERIODIC: Table<MetricsPush> = Table::<MetricsPush>::new(&[
    value!(
        "interval",
        MILLIS.within(1, LONGEST_MILLIS),
        |push| push.interval,
        "From one push to the next, in milliseconds."
    ),
    value!(
        "timeout",
        MILLIS.within(1, LONGEST_MILLIS),
        |push| push.timeout,
        "How long one collection and export may take, in milliseconds."
    ),
    section!("exporter", EXPORTER, |push| *push, "How points leave."),
])
.refuse(READER_REFUSED);

const READER_REFUSED: &[(&str, &str)] = &[
    ("producers", "the bridge has none; leave it out"),
    ("cardinality_limits", "set `metrics.series_limit`, or a view's `aggregation_cardinality_limit`"),
];

static EXPORTER: Table<MetricsPush> = Table::<MetricsPush>::single(&[Key {
    name: "otlp_grpc",
    doc: "OTLP over gRPC. Turns push on.",
    read: |push, node, reader| {
        // Variables set single values without turning push on; only an endpoint of theirs does.
        push.exporter.on |= node.is_from_file();
        reader.table(node, &otlp::METRICS, &mut push.exporter);
    },
    show: |push| otlp::METRICS.show(&push.exporter).or_else(|| Some(json!({}))),
    inside: Inside::Keys(|outline| otlp::METRICS.outline(outline)),
}])
.refuse(OTHER_EXPORTERS);

static PULL: Table<Draft> =
    Table::<Draft>::new(&[section!("exporter", PULL_EXPORTER, |draft| *draft, "How points are asked for.")])
        .refuse(READER_REFUSED);

static PULL_EXPORTER: Table<Draft> =
    Table::<Draft>::single(&[section!("prometheus/development", PROMETHEUS, |draft| *draft, "Prometheus.")]);

const ONE_FORM: &str = "the bridge serves one standard form; leave it out";

static PROMETHEUS: Table<Draft> = Table::<Draft>::new(&[
    Key {
        name: "host",
        doc: "The address of `listen`; its port stays.",
        read: |draft, node, reader| {
            if let Some(host) = reader.value(node, &HOST) {
                draft.config.listen.set_ip(host);
            }
        },
        show: |_| None,
        inside: Inside::Value(|| HOST.describe()),
    },
    Key {
        name: "port",
        doc: "The port of `listen`; its address stays.",
        read: |draft, node, reader| {
            if let Some(port) = reader.value(node, &PORT) {
                draft.config.listen.set_port(port);
            }
        },
        show: |_| None,
        inside: Inside::Value(|| PORT.describe()),
    },
])
.refuse(&[
    ("without_scope_info", ONE_FORM),
    ("without_target_info", ONE_FORM),
    ("without_target_info/development", ONE_FORM),
    ("scope_info_enabled", ONE_FORM),
    ("target_info_enabled/development", ONE_FORM),
    ("with_resource_constant_labels", ONE_FORM),
    ("resource_constant_labels", ONE_FORM),
    ("translation_strategy", ONE_FORM),
]);

/// The schema's only required key of readers and processors.
pub(super) fn require_exporter(node: &Node, reader: &mut Reader) {
    if !node.has("exporter") && node.is_from_file() {
        reader.fault(&node.origin, "has no `exporter`", "`exporter`, with how it leaves under it");
    }
}
