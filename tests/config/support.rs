//! Files, and short ways to load them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_otel_bridge::config::{Config, Flags, Loaded, Sources, load};

/// A file of its own with that text.
pub(crate) fn file(name: &str, text: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("config-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

pub(crate) fn sources(yaml: &str, env: &[(&str, &str)]) -> Sources {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let file = (!yaml.is_empty()).then(|| file("bridge.yaml", yaml));
    Sources { file, env, flags: Flags::default() }
}

/// The result of a file and an environment that are right.
pub(crate) fn loaded(yaml: &str, env: &[(&str, &str)]) -> Loaded {
    load(&sources(yaml, env)).unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn from_file(yaml: &str) -> Config {
    loaded(yaml, &[]).config
}

pub(crate) fn from_env(env: &[(&str, &str)]) -> Config {
    loaded("", env).config
}

/// The messages of a file and an environment that are wrong, the directory cut off.
pub(crate) fn errors(yaml: &str, env: &[(&str, &str)]) -> Vec<String> {
    let errors = load(&sources(yaml, env)).err().unwrap_or_else(|| panic!("loads: {yaml} {env:?}"));
    let short = |place: &str| match place.split_once("bridge.yaml") {
        Some((_, rest)) => format!("bridge.yaml{rest}"),
        None => place.to_owned(),
    };
    errors.errors().iter().map(|error| format!("{}: {}; {}", short(&error.place), error.problem, error.help)).collect()
}

/// The one message.
pub(crate) fn error(yaml: &str, env: &[(&str, &str)]) -> String {
    let errors = errors(yaml, env);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.into_iter().next().unwrap()
}
