//! A disk without room: what cannot be kept is refused with a reason, and all goes on when there is room.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, ask, check_account, check_refusal, event, get, until_ready};
use crate::files;
use crate::process::{Serving, program};
use crate::small::Small;

/// Fills the disk under a bridge, sees what it does, and makes room again. Every event that was acknowledged at any
/// time is there in the end, also after the bridge was killed.
fn full(start: impl Fn() -> Serving, fill: impl Fn(&Serving), free: impl Fn(&Serving), reason: &str) {
    let mut client = Client::default();
    let bridge = start();
    for _ in 0..50 {
        client.start(&bridge);
    }
    fill(&bridge);
    let (refused, answer) = client.start_until_refused(&bridge);
    check_refusal(&bridge, &answer, reason);
    // It stays so, and counts nothing.
    for _ in 0..5 {
        check_refusal(&bridge, &client.try_again(&bridge, refused), reason);
    }
    client.check(&bridge);
    // Refused is not unseen: over HTTP the first one and those after it, over gRPC one at each look.
    check_account(&bridge, &[("http", 6.0), ("grpc", 6.0)], 0.0);

    free(&bridge);
    until_ready(&bridge);
    check_account(&bridge, &[("http", 6.0), ("grpc", 6.0)], 1.0);
    assert_eq!(client.try_again(&bridge, refused).status, 200);
    for _ in 0..50 {
        client.start(&bridge);
    }
    client.check(&bridge);

    let (_, _, log) = bridge.stop("-KILL");
    assert!(log.contains("events cannot be kept") && log.contains(reason), "{log}");
    assert!(log.contains("events can be kept again"), "{log}");
    let bridge = start();
    client.check(&bridge);
    client.check_duplicates(&bridge);
}

#[test]
fn a_file_system_that_is_full() {
    let dir = tempfile::tempdir().unwrap();
    // Where namespaces are forbidden, a limit on the size of files takes the place of the file system.
    let Some(small) = Small::mount(dir.path(), "4m", "a limit on the size of files stands for the full disk") else {
        return limited(dir.path());
    };
    let start = || Serving::spawn(&mut small.inside(serve(dir.path(), &mut program())));
    full(start, |_| small.fill(), |_| small.free(), "make room");
}

/// Room for a row, and for no batch, is not taken for room.
#[test]
fn a_disk_that_is_nearly_full_stays_at_fault() {
    let dir = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(dir.path(), "4m", "no disk is nearly full") else { return };
    let bridge = Serving::spawn(&mut small.inside(serve(dir.path(), &mut program())));
    let batch = Value::from((0..300).map(event).collect::<Vec<_>>()).to_string();
    let send = || ask(&bridge, "POST", "/v1/events", &batch).unwrap();
    small.fill();
    assert_eq!(send().status, 503);
    small.free_some(48 << 10);
    // As long as the bridge looks twice by itself, and whenever the batch comes again.
    let end = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < end {
        assert_eq!(get(&bridge, "/readyz").status, 503);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(send().status, 503);
    small.free();
    until_ready(&bridge);
    assert_eq!(send().status, 200);
    let (_, _, log) = bridge.stop("-KILL");
    assert_eq!(log.matches("events can be kept again").count(), 1, "{log}");
}

#[test]
fn files_that_may_grow_no_more() {
    limited(tempfile::tempdir().unwrap().path());
}

/// As with a quota that is used up: the log may not grow beyond the size that it has.
fn limited(dir: &Path) {
    let limit = |bridge: &Serving, size: &str| {
        let done =
            Command::new("prlimit").arg("--pid").arg(bridge.id().to_string()).arg(format!("--fsize={size}:")).status();
        assert!(done.unwrap().success());
    };
    let log = files::beside(&files::database(dir), "-wal");
    full(
        || Serving::spawn(serve(dir, &mut deaf_to_limits())),
        |bridge| limit(bridge, &fs::metadata(&log).unwrap().len().to_string()),
        |bridge| limit(bridge, "unlimited"),
        "a quota on it is used up",
    );
}

fn serve<'a>(dir: &Path, command: &'a mut Command) -> &'a mut Command {
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir)
}

/// The program, which a write beyond the limit on the size of files does not kill: it fails instead.
pub fn deaf_to_limits() -> Command {
    let bridge = program();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(bridge.get_program());
    for (name, _) in bridge.get_envs() {
        shell.env_remove(name);
    }
    shell.stdin(std::process::Stdio::null());
    shell
}
