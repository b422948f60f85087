//! Databases that are damaged: each is set aside as it was, which the log says, and the bridge goes on with a new one.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use crate::client::{Client, get, until_ready};
use crate::files::{aside, beside, database, is_untouched, noise, read, write};
use crate::process::Serving;
use crate::support::events::until;

type Files = BTreeMap<&'static str, Vec<u8>>;

/// The files that a bridge leaves behind which remembered a few sessions, and some more after a restart.
fn left_behind(signal: &str) -> Files {
    left_behind_by_client(signal).0
}

/// The same, and what a client knows of it.
fn left_behind_by_client(signal: &str) -> (Files, Client) {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::default();
    for signal in ["-TERM", signal] {
        let bridge = Serving::start(dir.path(), &[]);
        for _ in 0..15 {
            client.start(&bridge);
        }
        bridge.stop(signal);
    }
    (read(&database(dir.path())), client)
}

/// Starts a bridge on these files: it sets them aside, says so, and takes events.
fn set_aside(damaged: &Files, reason: &str) {
    let dir = tempfile::tempdir().unwrap();
    write(&database(dir.path()), damaged);
    let bridge = Serving::start(dir.path(), &[]);
    let kept = aside(dir.path());
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(is_untouched(&kept[0], damaged), "what was set aside was changed");
    assert_eq!(get(&bridge, "/readyz").status, 200);
    let mut client = Client::default();
    client.start(&bridge);
    client.check(&bridge);
    // What it remembers from now on, it remembers: the new database is found as it should be.
    let (_, _, log) = bridge.stop("-KILL");
    assert!(log.contains(kept[0].to_str().unwrap()) && log.contains(reason), "{log}");
    let bridge = Serving::start(dir.path(), &[]);
    client.check(&bridge);
    assert_eq!(aside(dir.path()), kept);
}

#[test]
fn noise_in_place_of_the_database() {
    let clean = left_behind("-TERM");
    set_aside(&[("", noise(clean[""].len()))].into(), "not a database");
    // A bridge that was killed leaves a log too, which goes along.
    let mut killed = left_behind("-KILL");
    assert!(!killed["-wal"].is_empty());
    killed.insert("", noise(killed[""].len()));
    set_aside(&killed, "the database is damaged");
}

#[test]
fn a_database_that_is_cut_at_any_page() {
    let whole = left_behind("-TERM")[""].clone();
    assert!(whole.len() > 20 * 4096, "{}", whole.len());
    for pages in 0..whole.len() / 4096 {
        set_aside(&[("", whole[..pages * 4096].to_vec())].into(), "the database is damaged");
    }
}

/// The log has what was committed last, and with it some of the pages that the database lacks: either all that was
/// acknowledged is there, or both files are set aside as they were.
#[test]
fn a_database_that_is_cut_at_any_page_with_its_log_beside_it() {
    let (whole, client) = left_behind_by_client("-KILL");
    assert!(whole[""].len() > 20 * 4096 && !whole["-wal"].is_empty());
    let (mut kept, mut given_up) = (0, 0);
    for pages in 0..=whole[""].len() / 4096 {
        let dir = tempfile::tempdir().unwrap();
        let cut = Files::from([("", whole[""][..pages * 4096].to_vec()), ("-wal", whole["-wal"].clone())]);
        write(&database(dir.path()), &cut);
        let bridge = Serving::start(dir.path(), &[]);
        match &aside(dir.path())[..] {
            [] => {
                client.check(&bridge);
                client.check_duplicates(&bridge);
                kept += 1;
            }
            [one] => {
                assert!(is_untouched(one, &cut), "what was set aside was changed, cut at page {pages}");
                let mut anew = Client::default();
                anew.start(&bridge);
                anew.check(&bridge);
                given_up += 1;
            }
            more => panic!("{more:?}"),
        }
    }
    assert!(kept > 1 && given_up > 0, "{kept} were kept and {given_up} set aside");
}

#[test]
fn noise_in_any_page() {
    let whole = left_behind("-TERM")[""].clone();
    let free = u32::from_be_bytes(whole[36..40].try_into().unwrap());
    assert_eq!(free, 0, "noise in a page that nothing uses harms nobody");
    for page in (0..whole.len() / 4096).step_by(5) {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..4096].copy_from_slice(&noise(4096));
        set_aside(&[("", damaged)].into(), "the database is damaged");
    }
}

#[test]
fn a_log_without_its_database() {
    let mut killed = left_behind("-KILL");
    killed.remove("");
    set_aside(&killed, "only its write-ahead log is there");
}

#[test]
fn another_programs_database_and_one_that_lacks_a_table() {
    let made = |begin: Option<&Files>, sql: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = database(dir.path());
        if let Some(files) = begin {
            write(&path, files);
        }
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        read(&path)
    };
    set_aside(&made(None, "CREATE TABLE diary (day TEXT, entry TEXT);"), "another program's");
    let clean = left_behind("-TERM");
    set_aside(&made(Some(&clean), "DROP TABLE hosts;"), "the table hosts is missing");
    set_aside(
        &made(Some(&clean), "ALTER TABLE hosts DROP COLUMN sessions;"),
        "the column sessions of hosts is missing",
    );
}

/// Overwrites a part of the database of a running bridge, which finds it at its next event.
fn damage(dir: &Path, change: impl FnOnce(&mut Vec<u8>, &Connection)) -> Vec<u8> {
    let path = database(dir);
    // Another program that commits makes the bridge forget the pages that it knows.
    let other = Connection::open(&path).unwrap();
    other.execute("INSERT OR REPLACE INTO meta VALUES ('other', 'program')", []).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes, &other);
    std::fs::write(&path, &bytes).unwrap();
    bytes
}

/// A bridge whose database is damaged in use loses no acknowledged event, and none of its metrics falls.
fn damaged_in_use(change: impl FnOnce(&mut Vec<u8>, &Connection), lost: &str) {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[]);
    let mut client = Client::default();
    for _ in 0..30 {
        client.start(&bridge);
    }
    let damaged = damage(dir.path(), change);
    let refused = client.try_start(&bridge);
    if refused.status != 200 {
        assert!(refused.status == 503 && refused.body.contains("damaged"), "{}", refused.body);
        until("it is set aside", || !aside(dir.path()).is_empty());
        until_ready(&bridge);
        let number = *client.acknowledged.last().unwrap() + 1;
        assert_eq!(client.try_again(&bridge, number).status, 200);
    }
    until("it is set aside", || !aside(dir.path()).is_empty());
    client.start(&bridge);
    client.check(&bridge);
    let kept = aside(dir.path());
    assert!(std::fs::read(&kept[0]).unwrap() == damaged, "the file that was set aside was changed");
    assert!(!beside(&database(dir.path()), ".rebuilt").exists());

    let (_, _, log) = bridge.stop("-KILL");
    assert!(log.contains(kept[0].to_str().unwrap()) && log.contains(lost), "{log}");
    let bridge = Serving::start(dir.path(), &[]);
    client.check(&bridge);
    client.check_duplicates(&bridge);
    assert_eq!(aside(dir.path()), kept);
}

#[test]
fn a_database_that_is_overwritten_in_use() {
    damaged_in_use(|bytes, _| *bytes = noise(bytes.len()), "what is in memory");
}

#[test]
fn a_table_that_is_overwritten_in_use() {
    let change = |table: &'static str| {
        move |bytes: &mut Vec<u8>, db: &Connection| {
            let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
            let root: u32 = db.query_row(root, [table], |row| row.get(0)).unwrap();
            bytes[(root as usize - 1) * 4096..][..4096].copy_from_slice(&noise(4096));
        }
    };
    damaged_in_use(change("sessions"), "Not all could be read of: sessions");
    damaged_in_use(change("event_ids"), "Not all could be read of: event_ids");
}

/// What is committed to a file that nobody can open any more would be gone with the process.
#[test]
fn a_database_that_is_deleted_in_use() {
    for gone in [["bridge.db", "bridge.db-wal", "bridge.db-shm", "bridge.lock"].as_slice(), &["bridge.db-wal"]] {
        let dir = tempfile::tempdir().unwrap();
        let bridge = Serving::start(dir.path(), &[]);
        let mut client = Client::default();
        for _ in 0..30 {
            client.start(&bridge);
        }
        for name in gone {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        // It finds out within a second or two; until then it may take events, which count.
        for _ in 0..5 {
            client.start(&bridge);
        }
        until("there is a database again", || {
            database(dir.path()).exists() && beside(&database(dir.path()), "-wal").exists()
        });
        until_ready(&bridge);
        client.start(&bridge);
        client.check(&bridge);
        assert!(dir.path().join("bridge.lock").exists());
        let (_, _, log) = bridge.stop("-KILL");
        assert!(log.contains("deleted or replaced while they were in use"), "{log}");
        let bridge = Serving::start(dir.path(), &[]);
        client.check(&bridge);
        client.check_duplicates(&bridge);
    }
}
