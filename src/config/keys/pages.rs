//! Where browsers' pages are from and whom they ask for: the types that the live feed and the MCP server share.

use http::Uri;
use http::uri::Authority;

use crate::config::codec::{Codec, TEXT, Wrong};
use crate::config::reader::Reader;
use crate::config::tree::{Data, Node};

/// A list of such values; a variable, which cannot hold a list, has commas.
pub(super) fn listed(node: &Node, reader: &mut Reader, codec: &'static Codec<String>) -> Vec<String> {
    let mut values = Vec::new();
    if let Data::Scalar { text, quoted } = &node.data
        && !node.is_from_file()
    {
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let data = Data::Scalar { text: item.to_owned(), quoted: *quoted };
            values.extend(reader.value(&Node { origin: node.origin.clone(), data }, codec));
        }
    } else {
        reader.list(node, |reader, item| values.extend(reader.value(item, codec)));
    }
    values
}

/// Where a page is from, as browsers tell it.
pub(super) static ORIGIN: Codec<String> = Codec {
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

/// A name that clients ask for, as the `Host` header has it.
pub(super) static HOST: Codec<String> = Codec {
    what: "a host",
    help: "a name or an address, with a port or for all of them, such as bridge.example or bridge.example:9090",
    parse: |text| {
        let authority: Authority = text.parse().map_err(|_| Wrong::Type)?;
        let ends =
            authority.port().map_or(authority.host().len(), |port| authority.host().len() + 1 + port.as_str().len());
        let whole = ends == text.len() && authority.port().is_none_or(|port| port.as_str().parse::<u16>().is_ok());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if whole && text.chars().all(plain) { Ok(text.to_owned()) } else { Err(Wrong::Type) }
    },
    ..TEXT
};
