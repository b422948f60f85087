//! A configuration as the file would say it, and the reference of every key.

use serde_json::Value;

use super::draft::Draft;
use super::environment::{SECRETS, variables};
use super::key::Outline;
use super::keys::FILE;
use super::model::{Auth, Config, Otlp, PushMetrics, PushSpans, TokenSource};

/// One key of the file, for the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDoc {
    /// The full path; `[]` stands for each item of a list.
    pub path: String,
    /// The type and the range.
    pub takes: String,
    /// The default as the file would say it; `None` where there is none.
    pub default: Option<String>,
    /// What it sets.
    pub doc: &'static str,
    /// The environment variables that set it too; the last that is set wins.
    pub env: Vec<String>,
}

/// The configuration in force as the file would say it: it loads again as the same, but for secrets, which show as
/// `****`.
pub fn show(config: &Config) -> String {
    let mut config = config.clone();
    name_sources(&mut config.auth);
    let mut value = FILE.show(&Draft::from(&config)).unwrap_or_default();
    escape(&mut value);
    serde_saphyr::to_string(&value).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
}

/// What a program set itself, from no source, shows as the variable that would set it.
fn name_sources(auth: &mut Auth) {
    let sources = [
        auth.all.as_mut().map(|tokens| &mut tokens.source),
        auth.scrape.as_mut().map(|tokens| &mut tokens.source),
        auth.ingest.as_mut().map(|tokens| &mut tokens.source),
        auth.admin.as_mut().map(|tokens| &mut tokens.source),
        auth.basic.as_mut().map(|basic| &mut basic.source),
    ];
    for (source, (variable, _)) in sources.into_iter().zip(&SECRETS) {
        if let Some(source) = source {
            source.get_or_insert_with(|| TokenSource::Env((*variable).to_owned()));
        }
    }
}

/// Every key that the file takes, in order.
pub fn reference() -> Vec<KeyDoc> {
    // With push on, so that its defaults show.
    let config = Config {
        push_metrics: Some(PushMetrics::new(Otlp::new(super::draft::DEFAULT_ENDPOINT))),
        push_spans: Some(PushSpans::new(Otlp::new(super::draft::DEFAULT_ENDPOINT))),
        ..Config::default()
    };
    let defaults = FILE.show(&Draft::from(&config)).unwrap_or_default();
    let mut outline = Outline::default();
    FILE.outline(&mut outline);
    let doc = |(path, takes, doc): (String, String, &'static str)| {
        let default = path.split('.').try_fold(&defaults, |value, segment| match segment.strip_suffix("[]") {
            Some(list) => value.get(list)?.get(0),
            None => value.get(segment),
        });
        let default = default.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        KeyDoc { env: variables(&path), path, takes, default, doc }
    };
    outline.rows.into_iter().map(doc).collect()
}

/// A `$` that is meant as one is written twice, so that no variable is put in when the text is loaded again.
pub(super) fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(map) => map.values_mut().for_each(escape),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Every key and every variable, as a page of Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Configuration\n\nMade by `mcp-otel-bridge config --reference`. Defaults, then the file (`--config`), then the \
         environment, then flags; the later wins. Unknown keys are errors. Durations are written `90s`, `1m30s`, `24h`; \
         keys of OpenTelemetry's declarative configuration take milliseconds, as there. `${VAR}` and `${VAR:-default}` \
         stand for variables. Tokens come from files or the environment, never from flags.\n\n\
         | key | takes | default | what | variables |\n|---|---|---|---|---|\n",
    );
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    for key in reference() {
        let variables: Vec<String> = key.env.iter().map(|name| format!("`{name}`")).collect();
        page.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            key.path,
            cell(&key.takes),
            key.default.map(|default| format!("`{}`", cell(&default))).unwrap_or_default(),
            cell(key.doc),
            variables.join(", "),
        ));
    }
    page.push_str("\n## Variables that are no key\n\n| variable | what |\n|---|---|\n");
    for (name, doc) in super::OTHER_VARIABLES {
        page.push_str(&format!("| `{name}` | {} |\n", cell(doc)));
    }
    page
}
