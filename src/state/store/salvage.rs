//! What can still be read of a damaged database, copied into a new one.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::StoreError;

/// After so many rows the writer shows that it lives.
const ROWS: usize = 10_000;

/// Copies every row that can be read into the tables of `into`, and names the tables of which some could not.
///
/// # Errors
///
/// Only where `into` cannot be written.
pub(super) fn copy(from: &Connection, into: &Connection, alive: &dyn Fn()) -> Result<Vec<String>, StoreError> {
    let mut tables = into.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut incomplete = Vec::new();
    for table in tables {
        into.execute_batch("BEGIN")?;
        if !copy_table(from, into, &table, alive)? {
            incomplete.push(table);
        }
        into.execute_batch("COMMIT")?;
    }
    Ok(incomplete)
}

/// Copies from the table's beginning up to what cannot be read, and then from its end; whether that was all of it.
fn copy_table(from: &Connection, into: &Connection, table: &str, alive: &dyn Fn()) -> Result<bool, StoreError> {
    let mut columns = into.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid")?;
    let columns: Vec<(String, i64)> =
        columns.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
    key.sort_by_key(|(_, place)| *place);
    let order = |direction: &str| match key.is_empty() {
        true => format!("rowid {direction}"),
        false => key.iter().map(|(name, _)| format!("{} {direction}", quoted(name))).collect::<Vec<_>>().join(", "),
    };
    let (table, names) = (quoted(table), names.join(", "));
    let places = vec!["?"; columns.len()].join(", ");
    let mut insert = into.prepare(&format!("INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})"))?;
    for (direction, whole) in [("ASC", true), ("DESC", false)] {
        let select = format!("SELECT {names} FROM {table} NOT INDEXED ORDER BY {}", order(direction));
        if copy_rows(from, &select, columns.len(), alive, |values| Ok(insert.execute(params_from_iter(values))? > 0))? {
            return Ok(whole);
        }
    }
    Ok(false)
}

/// Hands on rows until one was there already (then they meet what was copied before) or cannot be read; whether all
/// were read.
fn copy_rows(
    from: &Connection,
    select: &str,
    columns: usize,
    alive: &dyn Fn(),
    mut insert: impl FnMut(Vec<Value>) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let Ok(mut statement) = from.prepare(select) else { return Ok(false) };
    let Ok(mut rows) = statement.query([]) else { return Ok(false) };
    for number in 1_usize.. {
        match rows.next() {
            Ok(Some(row)) => {
                let Ok(values) = values(row, columns) else { return Ok(false) };
                if !insert(values)? {
                    return Ok(false);
                }
            }
            Ok(None) => return Ok(true),
            Err(_) => return Ok(false),
        }
        if number.is_multiple_of(ROWS) {
            alive();
        }
    }
    Ok(true)
}

fn values(row: &Row<'_>, columns: usize) -> Result<Vec<Value>, rusqlite::Error> {
    (0..columns).map(|column| row.get(column)).collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
