//! Starts that are killed: what was committed before is there, and nothing half.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::client::Client;
use crate::files::{aside, database, noise};
use crate::process::{Serving, program};

/// Kills a start after that time, whatever it has come to.
fn kill_a_start(dir: &Path, after: Duration) {
    let mut serve = program();
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir);
    let mut start = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    start.kill().unwrap();
    start.wait().unwrap();
}

#[test]
fn starts_that_are_killed_twice_in_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::default();
    for round in 0..12 {
        let bridge = Serving::start(dir.path(), &[]);
        client.check(&bridge);
        client.check_duplicates(&bridge);
        for _ in 0..20 {
            client.start(&bridge);
        }
        bridge.stop("-KILL");
        for more in 0..2 {
            kill_a_start(dir.path(), Duration::from_millis(3 * round + more));
        }
    }
    assert!(aside(dir.path()).is_empty());
}

#[test]
fn starts_that_are_killed_while_they_set_a_database_aside() {
    for round in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let damaged = noise(50 * 4096);
        fs::write(database(dir.path()), &damaged).unwrap();
        for more in 0..2 {
            kill_a_start(dir.path(), Duration::from_millis(3 * round + more));
        }
        let bridge = Serving::start(dir.path(), &[]);
        let mut client = Client::default();
        client.start(&bridge);
        client.check(&bridge);
        let kept = aside(dir.path());
        assert_eq!(kept.iter().filter(|path| fs::read(path).unwrap() == damaged).count(), 1, "{kept:?}");
    }
}
