//! The keys of the live feed.

use serde_json::Value;

use super::pages::{ORIGIN, listed};
use crate::config::codec::{ADDRESS, BOOL, COUNT, DURATION};
use crate::config::draft::Draft;
use crate::config::key::{Inside, Key, Table, optional, value};

const DAY: u64 = 86_400_000;

pub(super) static LIVE: Table<Draft> = Table::<Draft>::new(&[
    value!("enabled", BOOL, |d| d.config.live.enabled, "Whether the feed is served."),
    optional!("listen", ADDRESS, |d| d.live_listen, "Where the feed alone is served, beside `/live` on `listen`."),
    value!("interval", DURATION.within(100, DAY), |d| d.config.live.interval, "From one update to the next."),
    value!("max_clients", COUNT.within(1, 10_000), |d| d.config.live.max_clients, "The most clients at once."),
    Key {
        name: "allowed_origins",
        doc: "The origins whose pages may watch, beside those of the bridge's own host.",
        read: |draft, node, reader| draft.config.live.allowed_origins = listed(node, reader, &ORIGIN),
        show: |draft| {
            let origins = &draft.config.live.allowed_origins;
            (!origins.is_empty()).then(|| Value::from(origins.clone()))
        },
        inside: Inside::Value(|| "a list of origins, with commas in a variable".to_owned()),
    },
]);
