//! The store by itself: who may open it, what it is brought to, what is synced, and how large its log grows.

use super::*;

#[test]
fn a_second_store_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path(), Durability::Full).unwrap();
    assert!(matches!(Store::open(dir.path(), Durability::Full), Err(StoreError::Locked { .. })));
    drop(first);
    Store::open(dir.path(), Durability::Full).unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), Durability::Full).unwrap());
    let db = Connection::open(dir.path().join("bridge.db")).unwrap();
    db.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(db);
    assert!(matches!(Store::open(dir.path(), Durability::Full), Err(StoreError::Newer { .. })));
}

#[test]
fn every_older_schema_is_brought_to_the_newest_and_keeps_its_rows() {
    for version in 1..MIGRATIONS.len() {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join("bridge.db")).unwrap();
        for step in &MIGRATIONS[..version] {
            db.execute_batch(step).unwrap();
        }
        db.pragma_update(None, "user_version", version as i64).unwrap();
        db.execute("INSERT INTO hosts (host, sessions) VALUES ('a', 3)", []).unwrap();
        drop(db);
        let store = Store::open(dir.path(), Durability::Full).unwrap();
        let count = |table: &str| -> i64 {
            store.db().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("hosts"), count("skills")), (1, 0));
    }
}

/// Commits rows of noise until they are so many bytes, keeping the log within its bound if `bounded`; the largest
/// size of the log.
fn commit_much(store: &mut Store, dir: &Path, bytes: usize, bounded: bool) -> u64 {
    let mut largest = 0;
    for _ in 0..bytes / 100_000 {
        store.begin().unwrap();
        store.db().execute("INSERT INTO event_ids (at_ms, ids) VALUES (0, randomblob(100000))", []).unwrap();
        store.commit().unwrap();
        if bounded {
            store.bound_log();
        }
        largest = largest.max(fs::metadata(dir.join("bridge.db-wal")).unwrap().len());
    }
    largest
}

#[test]
fn the_log_is_copied_beside_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Durability::Off).unwrap();
    commit_much(&mut store, dir.path(), 8 << 20, false);
    let other = Connection::open(dir.path().join("bridge.db")).unwrap();
    let waiting = || -> i64 {
        let ends = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
        other.query_row("PRAGMA wal_checkpoint(NOOP)", [], ends).unwrap()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while waiting() >= 1024 {
        assert!(Instant::now() < deadline, "{} pages were not copied", waiting());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_log_begins_anew_and_its_file_is_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Durability::Off).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut written = 0;
    // As events come: with pauses in which a checkpoint finds its turn.
    while written < 192 << 20 {
        assert!(Instant::now() < deadline, "{written}");
        let size = commit_much(&mut store, dir.path(), 1 << 20, true);
        written += 1 << 20;
        assert!(size < 120 << 20, "{size} after {written}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_log_is_bounded_and_folded_in_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Durability::Off).unwrap();
    let bound = 2 << 20;
    store.disk.as_mut().unwrap().log_bytes = bound;
    let largest = commit_much(&mut store, dir.path(), 16 << 20, true);
    assert!(largest < 2 * bound, "{largest}");

    // A reader holds it, and is not waited for.
    let reader = Connection::open(dir.path().join("bridge.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM event_ids;").unwrap();
    let began = Instant::now();
    store.fold_log();
    assert!(began.elapsed() < BUSY / 2, "{:?}", began.elapsed());
    drop(reader);
    drop(store);
    assert!(!dir.path().join("bridge.db-wal").exists());
}

/// Wherever the exchange of a damaged database is cut off, the next start has what was rebuilt, and never the damaged one
/// without its log, nor what was rebuilt long ago.
#[test]
fn an_exchange_that_is_cut_off_is_finished_at_the_next_start() {
    let made = |label: &str, dir: &Path| {
        let store = Store::open(dir, Durability::Off).unwrap();
        store.set_meta("made", label).unwrap();
    };
    let fresh = tempfile::tempdir().unwrap();
    made("rebuilt", fresh.path());
    // What a kill leaves: the renames done so far, in their order.
    for moved in [&[][..], &["-wal"], &["-wal", "-shm"], &["-wal", "-shm", ""]] {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("bridge.db");
        let store = Store::open(dir.path(), Durability::Off).unwrap();
        store.set_meta("made", "damaged").unwrap();
        let image = tempfile::tempdir().unwrap();
        for end in ["", "-wal", "-shm"] {
            std::fs::copy(damage::beside(&database, end), image.path().join(format!("bridge.db{end}"))).unwrap();
        }
        drop(store);
        for end in moved {
            let from = image.path().join(format!("bridge.db{end}"));
            std::fs::rename(from, image.path().join(format!("bridge.db.damaged-20260101T000000Z{end}"))).unwrap();
        }
        std::fs::copy(fresh.path().join("bridge.db"), image.path().join("bridge.db.rebuilt")).unwrap();

        for _ in 0..2 {
            let store = Store::open(image.path(), Durability::Off).unwrap();
            let found: String =
                store.db().query_row("SELECT value FROM meta WHERE key = 'made'", [], |row| row.get(0)).unwrap();
            assert_eq!(found, "rebuilt", "{moved:?}");
            assert!(!image.path().join("bridge.db.rebuilt").exists());
        }
        let names = std::fs::read_dir(image.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let aside = names.filter(|name| name.to_str().unwrap().contains("damaged")).count();
        assert_eq!(aside, 3, "the damaged one, its log and its index are kept");
    }
}

#[test]
fn durability_is_what_sqlite_syncs() {
    let dir = tempfile::tempdir().unwrap();
    for (durability, level) in [(Durability::Full, 2), (Durability::Normal, 1), (Durability::Off, 0)] {
        let store = Store::open(dir.path(), durability).unwrap();
        let found: i64 = store.db().pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!(found, level);
    }
}

#[test]
fn every_table_is_described() {
    let page = include_str!("../../../docs/durability.md");
    let store = Store::in_memory().unwrap();
    let mut tables = store.db().prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in &tables {
        assert!(page.contains(&format!("\n| `{table}` | ")), "docs/durability.md lacks the table {table}");
    }
    let section = page.split("| table | a row is |").nth(1).unwrap().split("\n\n").next().unwrap();
    assert_eq!(section.lines().filter(|line| line.starts_with("| `")).count(), tables.len());
}

#[test]
fn the_instance_id_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path(), Durability::Full).unwrap().meta("instance_id", || "one".to_owned()).unwrap();
    let second = Store::open(dir.path(), Durability::Full).unwrap().meta("instance_id", || "two".to_owned()).unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("one", "one"));
}
