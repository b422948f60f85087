//! The keys of who may ask: where tokens and a password come from, by the rights that they give.

use crate::config::codec::{Codec, PATH, TEXT, Wrong};
use crate::config::draft::{Auth, Basic, Held};
use crate::config::key::{Inside, Key, Table, optional, section};

/// The key of the file that holds a secret. Of this and [`variable`], the one that is set last holds.
macro_rules! file {
    ($name:literal, |$t:ident| $held:expr, $doc:literal) => {
        Key {
            name: $name,
            doc: $doc,
            read: |$t, node, reader| {
                if let Some(path) = reader.sourced(node, &PATH) {
                    $held = Held { file: Some(path), env: None };
                }
            },
            show: |$t| $held.file.as_ref().map(|path| (PATH.show)(&path.value)),
            inside: Inside::Value(|| PATH.describe()),
        }
    };
}

/// The key of the variable that holds a secret, beside the key of its file.
macro_rules! variable {
    ($name:literal, $file:literal, |$t:ident| $held:expr, $doc:literal) => {
        Key {
            name: $name,
            doc: $doc,
            read: |$t, node, reader| {
                if $held.file.as_ref().is_some_and(|file| file.place.rank.0 == 0) && node.is_from_file() {
                    reader.fault(&node.origin, concat!("is set beside `", $file, "`"), "one of them");
                } else if let Some(name) = reader.sourced(node, &VARIABLE) {
                    $held = Held { file: None, env: Some(name) };
                }
            },
            show: |$t| $held.env.as_ref().map(|name| (VARIABLE.show)(&name.value)),
            inside: Inside::Value(|| VARIABLE.describe()),
        }
    };
}

pub(super) static AUTH: Table<Auth> = Table::<Auth>::new(&[
    file!(
        "token_file",
        |auth| auth.all,
        "The file that holds the tokens with every right, one a line; read again when it changes."
    ),
    variable!("token_env", "token_file", |auth| auth.all, "The environment variable that holds the token."),
    section!("scrape", RIGHT, |auth| auth.scrape, "Who may read: metrics, summaries, sessions, the live feed."),
    section!("ingest", RIGHT, |auth| auth.ingest, "Who may report events."),
    section!("admin", RIGHT, |auth| auth.admin, "Who may do everything."),
    section!("basic", BASIC, |auth| auth.basic, "A user name and password that may read."),
])
.refuse(NO_TOKEN);

static RIGHT: Table<Held> = Table::<Held>::new(&[
    file!(
        "token_file",
        |held| *held,
        "The file that holds the tokens of this right, one a line; read again when it changes."
    ),
    variable!("token_env", "token_file", |held| *held, "The environment variable that holds the token of this right."),
])
.refuse(NO_TOKEN);

static BASIC: Table<Basic> = Table::<Basic>::new(&[
    optional!("username", USERNAME, |basic| basic.username, "The user name of basic authentication."),
    file!(
        "password_file",
        |basic| basic.password,
        "The file that holds its password alone; read again when it changes."
    ),
    variable!(
        "password_env",
        "password_file",
        |basic| basic.password,
        "The environment variable that holds its password."
    ),
])
.refuse(&[("password", "a password does not belong in this file: put it in a file that `password_file` names")]);

const NO_TOKEN: &[(&str, &str)] =
    &[("token", "a token does not belong in this file: put it in a file that `token_file` names")];

/// The name of an environment variable; not shown when it is none, since it may be the secret itself.
const VARIABLE: Codec<String> = Codec {
    what: "the name of a variable",
    help: "letters, digits and _, no digit first",
    parse: |text| {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if plain && starts { Ok(text.to_owned()) } else { Err(Wrong::Type) }
    },
    secret: true,
    ..TEXT
};

/// A bearer token: what may stand in an `Authorization` header without quoting.
pub(in crate::config) const TOKEN: Codec<String> = Codec {
    what: "a token",
    help: "printable ASCII without spaces",
    parse: |text| {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(text.to_owned()) } else { Err(Wrong::Type) }
    },
    secret: true,
    ..TEXT
};

/// A password of basic authentication.
pub(in crate::config) const PASSWORD: Codec<String> = Codec {
    what: "a password",
    help: "one line of text that is not empty, without control characters",
    parse: |text| {
        let fits = !text.is_empty() && !text.chars().any(char::is_control);
        if fits { Ok(text.to_owned()) } else { Err(Wrong::Type) }
    },
    secret: true,
    ..TEXT
};

/// A user name of basic authentication, where the first colon ends it.
const USERNAME: Codec<String> = Codec {
    what: "a user name",
    help: "text without colons and control characters",
    parse: |text| {
        let fits = !text.is_empty() && !text.chars().any(|c| c == ':' || c.is_control());
        if fits { Ok(text.to_owned()) } else { Err(Wrong::Type) }
    },
    ..TEXT
};
