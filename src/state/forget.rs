//! Forgetting series of a bridge that does not run: those that have a label with a certain value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::store::{Store, StoreError};
use crate::catalog::{by_otel_name, label_name};

/// The label of a component behind a circuit breaker.
const BREAKER: &str = "component";

/// Which series: those with this label, and with a value of it that fits the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    label: String,
    pattern: String,
}

impl FromStr for Labelled {
    type Err = String;

    /// `LABEL=PATTERN`, where `*` in the pattern stands for anything.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((label, pattern)) if !label.is_empty() => {
                Ok(Self { label: label_name(label), pattern: pattern.to_owned() })
            }
            _ => Err("it must be a label and its value, such as component_name=bad-client-*".to_owned()),
        }
    }
}

impl Labelled {
    /// Whether a series is meant that has these labels, as JSON, and these values of them; one that cannot be read is not.
    fn means(&self, labels: &str, values: &str) -> bool {
        let list = |json: &str| serde_json::from_str::<Vec<String>>(json).unwrap_or_default();
        list(labels).iter().zip(list(values)).any(|(label, value)| label_name(label) == self.label && self.fits(&value))
    }

    fn fits(&self, value: &str) -> bool {
        let mut parts: Vec<&str> = self.pattern.split('*').collect();
        let Some(last) = parts.pop().filter(|_| !parts.is_empty()) else { return value == self.pattern };
        let Some(rest) = value.strip_prefix(parts[0]) else { return false };
        let rest = parts[1..].iter().try_fold(rest, |rest, part| rest.split_once(part).map(|(_, after)| after));
        rest.is_some_and(|rest| rest.ends_with(last))
    }
}

/// What was forgotten.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// How many series of each metric, by its name on `/metrics`.
    pub series: BTreeMap<String, usize>,
    /// How many components behind a circuit breaker.
    pub breakers: usize,
}

/// Why nothing was forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// There is no database.
    #[error("{} holds no database of a bridge; name its data directory with --data-dir", .0.display())]
    Missing(PathBuf),
    /// A bridge is running.
    #[error("a bridge is running on {}; stop it first: it would write again what it has in memory", .0.display())]
    Running(PathBuf),
    /// The database cannot be used.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for ForgetError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Locked { dir } => Self::Running(dir),
            other => Self::Store(other),
        }
    }
}

/// Forgets these series of the bridge that has its data in this directory and does not run, and where the label is that of a
/// component behind a circuit breaker, its calls too. In a dry run everything stays, and what would go is told.
///
/// # Errors
///
/// When there is no database, a bridge uses it, or it cannot be read or written. It is left as it was then.
pub fn forget(dir: &Path, which: &Labelled, dry_run: bool) -> Result<Forgotten, ForgetError> {
    if !dir.join("bridge.db").exists() {
        return Err(ForgetError::Missing(dir.to_owned()));
    }
    let store = Store::open_existing(dir)?;
    store.begin()?;
    let forgotten = Forgotten { series: series(&store, which)?, breakers: breakers(&store, which)? };
    if dry_run {
        store.roll_back();
    } else {
        store.commit()?;
    }
    Ok(forgotten)
}

fn series(store: &Store, which: &Labelled) -> Result<BTreeMap<String, usize>, StoreError> {
    let mut read = store.db().prepare(
        "SELECT s.id, t.metric, t.labels, s.labels FROM series s JOIN series_streams t ON t.id = s.stream_id
         WHERE s.labels IS NOT NULL",
    )?;
    let rows = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let rows: Vec<(i64, String, String, String)> = rows.collect::<Result<_, _>>()?;
    let mut delete = store.db().prepare("DELETE FROM series WHERE id = ?1")?;
    let mut forgotten = BTreeMap::new();
    for (id, metric, ..) in rows.iter().filter(|(.., labels, values)| which.means(labels, values)) {
        delete.execute([id])?;
        let shown = by_otel_name(metric).map_or(metric.as_str(), |metric| metric.prometheus);
        *forgotten.entry(shown.to_owned()).or_default() += 1;
    }
    Ok(forgotten)
}

fn breakers(store: &Store, which: &Labelled) -> Result<usize, StoreError> {
    if which.label != BREAKER {
        return Ok(0);
    }
    let mut read = store.db().prepare("SELECT id, component FROM breakers")?;
    let rows = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, String)>, _>>()?;
    let gone: Vec<i64> = rows.into_iter().filter(|(_, component)| which.fits(component)).map(|(id, _)| id).collect();
    for id in &gone {
        // The number may be another component's one day, which is not to get these latencies.
        store.db().execute("DELETE FROM breaker_latencies WHERE breaker_id = ?1", [id])?;
        store.db().execute("DELETE FROM breakers WHERE id = ?1", [id])?;
    }
    Ok(gone.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_everything_else_for_itself() {
        let fits = |pattern: &str, value: &str| format!("l={pattern}").parse::<Labelled>().unwrap().fits(value);
        for (pattern, value) in [
            ("*", ""),
            ("*", "a"),
            ("", ""),
            ("abc", "abc"),
            ("a*", "a"),
            ("a*c", "abbc"),
            ("*b*", "abc"),
            ("a*b*c", "a-bb-c"),
            ("a**c", "ac"),
            ("100%_[x]?", "100%_[x]?"),
        ] {
            assert!(fits(pattern, value), "{pattern} {value}");
        }
        for (pattern, value) in [
            ("", "a"),
            ("abc", "abcd"),
            ("a*", "ba"),
            ("ab*ba", "aba"),
            ("a*b*c", "a-c-b"),
            ("A*", "abc"),
            ("ABC", "abc"),
            ("a?c", "abc"),
            ("a_c", "abc"),
            ("%", "abc"),
        ] {
            assert!(!fits(pattern, value), "{pattern} {value}");
        }
    }
}
