//! The keys of the live feed.

use http::Uri;
use serde_json::Value;

use crate::config::codec::{ADDRESS, BOOL, COUNT, Codec, DURATION, TEXT, Wrong};
use crate::config::draft::Draft;
use crate::config::key::{Inside, Key, Table, optional, value};
use crate::config::reader::Reader;
use crate::config::tree::{Data, Node};

const DAY: u64 = 86_400_000;

pub(super) static LIVE: Table<Draft> = Table::<Draft>::new(&[
    value!("enabled", BOOL, |d| d.config.live.enabled, "Whether the feed is served."),
    optional!("listen", ADDRESS, |d| d.live_listen, "Where the feed alone is served, beside `/live` on `listen`."),
    value!("interval", DURATION.within(100, DAY), |d| d.config.live.interval, "From one update to the next."),
    value!("max_clients", COUNT.within(1, 10_000), |d| d.config.live.max_clients, "The most clients at once."),
    Key {
        name: "allowed_origins",
        doc: "The origins whose pages may watch, beside those of the bridge's own host.",
        read: |draft, node, reader| draft.config.live.allowed_origins = origins(node, reader),
        show: |draft| {
            let origins = &draft.config.live.allowed_origins;
            (!origins.is_empty()).then(|| Value::from(origins.clone()))
        },
        inside: Inside::Value(|| "a list of origins, with commas in a variable".to_owned()),
    },
]);

/// A list; a variable, which cannot hold one, has commas.
fn origins(node: &Node, reader: &mut Reader) -> Vec<String> {
    let mut origins = Vec::new();
    if let Data::Scalar { text, quoted } = &node.data
        && !node.is_from_file()
    {
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let data = Data::Scalar { text: item.to_owned(), quoted: *quoted };
            origins.extend(reader.value(&Node { origin: node.origin.clone(), data }, &ORIGIN));
        }
    } else {
        reader.list(node, |reader, item| origins.extend(reader.value(item, &ORIGIN)));
    }
    origins
}

/// Where a page is from, as browsers tell it.
const ORIGIN: Codec<String> = Codec {
    what: "an origin",
    help: "scheme, host and port alone, such as https://grafana.example:3000",
    parse: |text| {
        let uri: Uri = text.parse().map_err(|_| Wrong::Type)?;
        let authority = uri.authority().ok_or(Wrong::Type)?;
        let whole = uri
            .scheme()
            .is_some_and(|scheme| text.len() == scheme.as_str().len() + "://".len() + authority.as_str().len());
        if whole && !authority.as_str().contains('@') { Ok(text.to_owned()) } else { Err(Wrong::Type) }
    },
    ..TEXT
};
