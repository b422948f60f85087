//! A damaged database: how it is recognised, and how it is set aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::StoreError;

/// A file of at most so many bytes is checked whole at the start. Of a larger one, the schema is, and what is loaded then.
const CHECKED_WHOLE: i64 = 16 << 20;

/// Tables that are checked whatever the size of the file: they are loaded later, when the instruments are there.
const ALWAYS_CHECKED: [&str; 2] = ["series_streams", "series"];

/// What SQLite keeps beside a database, by the ends of their names.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Finds out whether this is a database of the bridge's, made by these steps, and whether it is sound.
pub(super) fn check(db: &Connection, steps: &[&str]) -> Result<(), StoreError> {
    let found = columns(db)?;
    if steps.is_empty() {
        return match found.first_key_value() {
            None => Ok(()),
            Some((table, _)) => Err(StoreError::Damaged(format!("it is another program's: it has a table {table}"))),
        };
    }
    let model = Connection::open_in_memory()?;
    for step in steps {
        model.execute_batch(step)?;
    }
    for (table, columns) in columns(&model)? {
        let Some(known) = found.get(&table) else {
            return Err(StoreError::Damaged(format!("the table {table} is missing")));
        };
        if let Some(column) = columns.difference(known).next() {
            return Err(StoreError::Damaged(format!("the column {column} of {table} is missing")));
        }
    }
    let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let page: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
    if pages.saturating_mul(page) <= CHECKED_WHOLE {
        return sound(db, "1");
    }
    ALWAYS_CHECKED.into_iter().filter(|table| found.contains_key(*table)).try_for_each(|table| sound(db, table))
}

/// What SQLite finds of a table, or of everything.
fn sound(db: &Connection, what: &str) -> Result<(), StoreError> {
    let verdict: String = db.query_row(&format!("PRAGMA quick_check({what})"), [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Damaged(verdict.replace('\n', " "))) }
}

/// The tables, each with its columns.
fn columns(db: &Connection) -> Result<BTreeMap<String, BTreeSet<String>>, StoreError> {
    let mut statement = db.prepare(
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let mut rows = statement.query([])?;
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        tables.entry(row.get(0)?).or_default().insert(row.get(1)?);
    }
    Ok(tables)
}

/// Looks at the files before SQLite does, which would delete a log beside a database that is empty or gone, and what was
/// committed in it.
pub(super) fn check_files(database: &Path) -> Result<(), StoreError> {
    let size = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.len());
    match (size(database), size(&beside(database, "-wal"))) {
        (Some(0), _) => Err(StoreError::Damaged("it is empty".to_owned())),
        (None, Some(1..)) => Err(StoreError::Damaged("only its write-ahead log is there".to_owned())),
        _ => Ok(()),
    }
}

/// Which files the database and its log are, whatever their names.
#[derive(Debug, PartialEq)]
pub(super) struct Identity([(u64, u64); 2]);

impl Identity {
    /// The files that have the names now; `None` where one is missing.
    #[cfg(unix)]
    pub(super) fn of(database: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let of = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        Some(Self([of(database)?, of(&beside(database, "-wal"))?]))
    }

    /// Elsewhere a file that is open can be neither deleted nor replaced.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Path) -> Option<Self> {
        None
    }
}

/// Gives the database and what lies beside it a new name, which nothing had before. No file is changed or deleted.
///
/// The sqlite3 shell opens it under that name as a whole. The database itself goes last: until then a bridge that is
/// killed here finds it damaged again.
pub(super) fn set_aside(database: &Path) -> io::Result<PathBuf> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut aside = beside(database, &format!(".damaged-{time}"));
    for number in 2.. {
        if !["", "-wal", "-shm"].iter().any(|end| beside(&aside, end).exists()) {
            break;
        }
        aside = beside(database, &format!(".damaged-{time}-{number}"));
    }
    for end in BESIDE {
        rename_if_there(&beside(database, end), &beside(&aside, end))?;
    }
    rename_if_there(database, &aside)?;
    if let Some(dir) = database.parent() {
        sync_dir(dir);
    }
    Ok(aside)
}

/// The path with this at its end.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Makes the names in a directory durable, where the system can do that.
pub(super) fn sync_dir(dir: &Path) {
    if let Err(error) = File::open(dir).and_then(|dir| dir.sync_all()) {
        tracing::debug!(%error, "the directory could not be synced");
    }
}

pub(super) fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
