//! Files and directories that may only be read: for them a bridge that runs as root would have no eyes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use crate::client::{Client, check_refusal, get, until_ready};
use crate::files;
use crate::full::deaf_to_limits;
use crate::process::{Serving, text};

/// A command of a user to whom modes matter: nobody, where these tests run as root.
fn as_plain_user() -> Command {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new(if root { "setpriv" } else { "env" });
    if root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    command
}

/// `serve` on that directory, as a plain user.
fn serve(dir: &Path) -> Command {
    let bridge = deaf_to_limits();
    let mut command = as_plain_user();
    command.arg(bridge.get_program()).args(bridge.get_args());
    for (name, _) in bridge.get_envs() {
        command.env_remove(name);
    }
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir);
    command
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A directory below one that is deleted at the end, whatever its mode.
fn data_dir(dir: &tempfile::TempDir) -> std::path::PathBuf {
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    set_mode(dir.path(), 0o755);
    set_mode(&data, 0o777);
    data
}

#[test]
fn a_directory_that_becomes_read_only_under_a_bridge_and_at_its_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = data_dir(&dir);
    let bridge = Serving::spawn(&mut serve(&data));
    let mut client = Client::default();
    client.start(&bridge);
    set_mode(&data, 0o555);
    // Its files are open and there: nothing keeps it from going on.
    client.start(&bridge);
    client.check(&bridge);
    bridge.stop("-KILL");
    for name in ["bridge.db", "bridge.db-wal", "bridge.db-shm", "bridge.lock"] {
        fs::set_permissions(data.join(name), Permissions::from_mode(0o444)).unwrap();
    }
    let output = serve(&data).output().unwrap();
    let log = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains(data.to_str().unwrap()) && log.contains("cannot be written"), "{log}");
    for name in ["bridge.db", "bridge.db-wal", "bridge.db-shm", "bridge.lock"] {
        fs::set_permissions(data.join(name), Permissions::from_mode(0o644)).unwrap();
    }
    set_mode(&data, 0o777);
    let bridge = Serving::spawn(&mut serve(&data));
    client.check(&bridge);
    client.check_duplicates(&bridge);
}

#[test]
fn a_database_that_is_read_only_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let data = data_dir(&dir);
    let bridge = Serving::spawn(&mut serve(&data));
    let mut client = Client::default();
    for _ in 0..10 {
        client.start(&bridge);
    }
    let database = files::database(&data);
    let limit = |size: &str| {
        let mut prlimit = as_plain_user();
        prlimit.arg("prlimit").arg("--pid").arg(bridge.id().to_string()).arg(format!("--fsize={size}:"));
        assert!(prlimit.status().unwrap().success());
    };
    // What a kernel does that met an error on the disk: a write fails, and from then on the files may only be read.
    for end in ["", "-wal", "-shm"] {
        set_mode(&files::beside(&database, end), 0o444);
    }
    limit("0");
    let (refused, _) = client.start_until_refused(&bridge);
    crate::support::events::until("the reason is told", || get(&bridge, "/readyz").body.contains("make it writable"));
    limit("unlimited");
    check_refusal(&bridge, &client.try_again(&bridge, refused), "make it writable");
    client.check(&bridge);
    for end in ["", "-wal", "-shm"] {
        set_mode(&files::beside(&database, end), 0o644);
    }
    until_ready(&bridge);
    assert_eq!(client.try_again(&bridge, refused).status, 200);
    client.check(&bridge);
    bridge.stop("-KILL");
    let bridge = Serving::spawn(&mut serve(&data));
    client.check(&bridge);
    client.check_duplicates(&bridge);
}
