//! The keys of the bridge's own MCP server.

use serde_json::Value;

use super::pages::{HOST, ORIGIN, listed};
use crate::config::key::{Inside, Key, Table};
use crate::config::model::Mcp;

pub(super) static MCP: Table<Mcp> = Table::<Mcp>::new(&[
    Key {
        name: "allowed_hosts",
        doc: "The hosts that clients may ask for, beside the loopback ones and the address of `listen`.",
        read: |mcp, node, reader| mcp.allowed_hosts = listed(node, reader, &HOST),
        show: |mcp| (!mcp.allowed_hosts.is_empty()).then(|| Value::from(mcp.allowed_hosts.clone())),
        inside: Inside::Value(|| "a list of hosts, with commas in a variable".to_owned()),
    },
    Key {
        name: "allowed_origins",
        doc: "The origins whose pages may ask, beside those of the bridge's own host.",
        read: |mcp, node, reader| mcp.allowed_origins = listed(node, reader, &ORIGIN),
        show: |mcp| (!mcp.allowed_origins.is_empty()).then(|| Value::from(mcp.allowed_origins.clone())),
        inside: Inside::Value(|| "a list of origins, with commas in a variable".to_owned()),
    },
]);
