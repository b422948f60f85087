//! Who may ask for what: rights, and what shows that somebody has one.

use std::path::PathBuf;

use super::Secret;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read what the bridge knows: metrics, summaries, sessions, the catalog, the live feed.
    Scrape,
    /// Report events.
    Ingest,
    /// Everything.
    Admin,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Scrape, Self::Ingest, Self::Admin];

    /// Its name in the configuration and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scrape => "scrape",
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }
}

/// What requests must show to be served. With nothing set, whoever reaches the bridge may do everything; with anything
/// set, nobody may do what nothing opens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Auth {
    /// Bearer tokens with every right (`auth.token_file`, `MCP_OTEL_BRIDGE_TOKEN`).
    pub all: Option<Tokens>,
    /// Bearer tokens that may read.
    pub scrape: Option<Tokens>,
    /// Bearer tokens that may report.
    pub ingest: Option<Tokens>,
    /// Bearer tokens of administrators, with every right too.
    pub admin: Option<Tokens>,
    /// A user name and password that may read, for scrapers that know no tokens.
    pub basic: Option<Basic>,
}

impl Auth {
    /// Whether nothing is set, so that everything is open.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// The tokens that were declared with that right alone.
    pub fn of(&self, right: Right) -> Option<&Tokens> {
        match right {
            Right::Scrape => self.scrape.as_ref(),
            Right::Ingest => self.ingest.as_ref(),
            Right::Admin => self.admin.as_ref(),
        }
    }

    /// Whether anything that is set gives that right.
    pub fn is_given(&self, right: Right) -> bool {
        let by_name = right == Right::Scrape && self.basic.is_some();
        by_name || self.all.is_some() || self.admin.is_some() || self.of(right).is_some()
    }
}

/// Bearer tokens of one kind. Several are for changing them without a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// The tokens, any of which will do.
    pub tokens: Vec<Secret>,
    /// Where they came from, to name it without showing them; a file is read again when it changes.
    pub source: Option<TokenSource>,
}

impl From<Secret> for Tokens {
    /// One token of no source.
    fn from(token: Secret) -> Self {
        Self { tokens: vec![token], source: None }
    }
}

/// A user name and its password, for HTTP's basic authentication.
#[derive(Debug, Clone, PartialEq)]
pub struct Basic {
    /// The user name; it holds no colon.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// Where the password came from; a file is read again when it changes.
    pub source: Option<TokenSource>,
}

/// Where a token or password came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// A file.
    File(PathBuf),
    /// The environment variable of that name.
    Env(String),
}
