//! The formats themselves, and the Content-Type that each is served with.

/// An exposition format and the escaping scheme that the client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposition {
    /// The format.
    pub format: Format,
    /// The scheme named in the Content-Type, where the format has one.
    pub escaping: Option<Escaping>,
}

/// A Prometheus exposition format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The text format 0.0.4: what everything reads.
    Text004,
    /// The text format 1.0.0: 0.0.4 with a negotiated escaping scheme.
    Text100,
    /// OpenMetrics 1.0.0: the one with exemplars.
    OpenMetrics100,
}

impl Format {
    /// All formats, the most telling first.
    pub const ALL: [Format; 3] = [Format::OpenMetrics100, Format::Text100, Format::Text004];

    /// The value of the `format` label of the bridge's own scrape metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Text004 => "text_0.0.4",
            Format::Text100 => "text_1.0.0",
            Format::OpenMetrics100 => "openmetrics_1.0.0",
        }
    }

    /// The version in the Content-Type.
    pub const fn version(self) -> &'static str {
        match self {
            Format::Text004 => "0.0.4",
            Format::Text100 | Format::OpenMetrics100 => "1.0.0",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Text004 | Format::Text100 => "text/plain",
            Format::OpenMetrics100 => "application/openmetrics-text",
        }
    }
}

/// How names outside the legacy character set would be written. The bridge has none, so every scheme gives the same
/// bytes; the client learns that the scheme it asked for is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaping {
    /// `allow-utf-8`
    AllowUtf8,
    /// `underscores`
    Underscores,
    /// `dots`
    Dots,
    /// `values`
    Values,
}

impl Escaping {
    /// The scheme of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values].into_iter().find(|scheme| scheme.name() == name)
    }

    /// The name in `Accept` and `Content-Type`.
    pub const fn name(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        }
    }
}

impl Exposition {
    /// The format with the escaping scheme that it has when none is asked for.
    pub const fn new(format: Format) -> Self {
        let escaping = match format {
            Format::Text004 => None,
            Format::Text100 | Format::OpenMetrics100 => Some(Escaping::Underscores),
        };
        Self { format, escaping }
    }

    /// The Content-Type.
    pub fn content_type(self) -> String {
        let (media_type, version) = (self.format.media_type(), self.format.version());
        match self.escaping {
            Some(escaping) => {
                format!("{media_type}; version={version}; charset=utf-8; escaping={}", escaping.name())
            }
            None => format!("{media_type}; version={version}; charset=utf-8"),
        }
    }
}
