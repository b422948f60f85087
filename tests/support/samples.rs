//! The samples of a bridge's metrics, as a reader of OpenMetrics sees them.

use std::collections::BTreeMap;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::expose::exposition::Format;

use super::books::assert_balanced;

/// An exemplar as printed: where it leads, and what was measured there.
#[derive(Debug, Clone, PartialEq)]
pub struct PrintedExemplar {
    pub trace_id: String,
    pub span_id: String,
    pub value: f64,
}

/// All samples, each under its name and labels as printed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    pub values: BTreeMap<String, f64>,
    pub exemplars: BTreeMap<String, PrintedExemplar>,
}

impl Samples {
    /// The samples as of now.
    pub fn of(bridge: &Bridge) -> Self {
        Self::parse(&bridge.render(Format::OpenMetrics100).unwrap())
    }

    /// The samples of a scrape, in which the bridge's own books must be balanced.
    pub fn parse(text: &str) -> Self {
        let mut samples = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (sample, exemplar) = match line.split_once(" # {") {
                Some((sample, exemplar)) => (sample, Some(exemplar)),
                None => (line, None),
            };
            let (key, value) = sample.rsplit_once(' ').unwrap();
            let before = samples.values.insert(key.to_owned(), value.parse().unwrap());
            assert!(before.is_none(), "{key} twice in\n{text}");
            if let Some(exemplar) = exemplar {
                let label = |name: &str| {
                    let at = exemplar.find(name).unwrap() + name.len() + 2;
                    exemplar[at..].split('"').next().unwrap().to_owned()
                };
                let value = exemplar.split_once("} ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
                let exemplar = PrintedExemplar { trace_id: label("trace_id"), span_id: label("span_id"), value };
                samples.exemplars.insert(key.to_owned(), exemplar);
            }
        }
        assert_balanced(samples.values.iter().map(|(key, value)| (key.as_str(), *value)));
        samples
    }

    /// The value of a sample, if it is there.
    pub fn find(&self, key: &str) -> Option<f64> {
        self.values.get(key).copied()
    }

    /// The value of a sample that must be there.
    #[track_caller]
    pub fn get(&self, key: &str) -> f64 {
        self.find(key).unwrap_or_else(|| panic!("no sample {key} among {:#?}", self.values))
    }

    /// The samples whose names begin with one of these.
    pub fn named(&self, names: &[&str]) -> BTreeMap<String, f64> {
        let wanted = self.values.iter().filter(|(key, _)| names.iter().any(|name| key.starts_with(name)));
        wanted.map(|(key, value)| (key.clone(), *value)).collect()
    }

    /// The sum of the samples whose names begin so.
    pub fn total(&self, name: &str) -> f64 {
        self.named(&[name]).values().sum()
    }

    /// The exemplars of the samples whose names begin so.
    pub fn exemplars_of(&self, name: &str) -> Vec<&PrintedExemplar> {
        self.exemplars.iter().filter(|(key, _)| key.starts_with(name)).map(|(_, exemplar)| exemplar).collect()
    }
}
