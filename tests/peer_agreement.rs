//! Scrape and push agree: the same families, labels, values and exemplars by both ways.
//!
//! One Prometheus scrapes the bridge; the other gets what the bridge pushes to the collector, from there, over OTLP.
//! Three things differ by their nature, and only these:
//! - `job` and `instance`: the one is named by its scrape configuration, the other by the resource.
//! - `le`, which Prometheus spells `1.0` when it scrapes and `1` when it takes OTLP: it is compared as a number.
//! - the values of the bridge's metrics that move by being looked at or pushed ([`MOVING`](peers::everything::MOVING)).

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use std::collections::BTreeSet;

use peers::bridge::Bridge;
use peers::collector::Collector;
use peers::everything::{self, FAMILIES, OVERFLOWING};
use peers::prometheus::Prometheus;
use peers::{Labels, until, until_equal};

#[test]
fn scrape_and_push_give_the_same_families_labels_values_and_exemplars() {
    let pushed = Prometheus::taking_otlp();
    let collector = Collector::handing_on_to(&pushed);
    let bridge = Bridge::options().config(OVERFLOWING).push_to(&collector).start();
    let scraped = Prometheus::scraping(&bridge.address);
    everything::send(&bridge);

    until("a scrape of every family", || {
        let names: BTreeSet<String> = names(&scraped).into_iter().map(|labels| labels["__name__"].clone()).collect();
        FAMILIES.iter().all(|family| names.iter().any(|name| name.starts_with(family))).then_some(())
    });
    until_equal(|| still(&scraped), || still(&pushed));
    until_equal(|| names(&scraped), || names(&pushed));
    assert!(still(&scraped).len() > 150, "there is little to agree on");

    for query in ["session_duration_seconds_bucket", "session_start_total", "gen_ai_client_token_usage_bucket"] {
        let exemplars = |prometheus: &Prometheus| -> BTreeSet<(Labels, Labels)> {
            let all = prometheus.exemplars(query).into_iter();
            all.map(|exemplar| (comparable(exemplar.series), exemplar.labels)).collect()
        };
        let scraped = exemplars(&scraped);
        assert!(!scraped.is_empty(), "{query}");
        until_equal(|| scraped.clone(), || exemplars(&pushed));
    }
}

/// Every series of the bridge and its value, without what names the target.
fn series(prometheus: &Prometheus) -> BTreeSet<(Labels, String)> {
    let series = prometheus.query("{__name__=~\".+\", __name__!~\"up|scrape_.*\"}");
    let count = series.len();
    let series: BTreeSet<_> =
        series.into_iter().map(|one| (comparable(one.labels), one.samples[0].1.to_string())).collect();
    assert_eq!(series.len(), count, "some series are there twice");
    series
}

/// The labels of every series.
fn names(prometheus: &Prometheus) -> BTreeSet<Labels> {
    series(prometheus).into_iter().map(|(labels, _)| labels).collect()
}

/// Those whose values stay.
fn still(prometheus: &Prometheus) -> BTreeSet<(Labels, String)> {
    series(prometheus).into_iter().filter(|(labels, _)| !everything::moves(&labels["__name__"])).collect()
}

/// The labels of a series but for what differs by its nature.
fn comparable(mut labels: Labels) -> Labels {
    labels.remove("job");
    labels.remove("instance");
    if let Some(bound) = labels.get_mut("le") {
        *bound = bound.parse::<f64>().unwrap().to_string();
    }
    labels
}
