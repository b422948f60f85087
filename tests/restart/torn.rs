//! A log that ends in the middle, as after a loss of power: what was committed before is there, and nothing half.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_otel_bridge::Bridge;
use serde_json::Value;

use crate::support::events::{send, start};

/// The size of a frame of the log: its header, and a page.
const FRAME: usize = 24 + 4096;

fn log_of(dir: &Path) -> PathBuf {
    dir.join("bridge.db-wal")
}

/// The event that starts session `number`.
fn event(number: u32) -> Value {
    start("torn", "2026-02-06T12:34:56Z", &format!("{number:08x}"))
}

/// Cuts the log at every byte of its last pages (`TORN_LONG=1`), or at every byte around the ends and headers of their
/// frames, and at many between.
#[test]
fn a_log_that_is_cut_anywhere_in_its_last_pages() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Bridge::builder().data_dir(dir.path()).build().unwrap();
    let log = log_of(dir.path());
    // Where each commit ends.
    let ends: Vec<usize> = (1..=8)
        .map(|number| {
            assert!(send(&bridge, event(number)).session_id.is_some());
            fs::metadata(&log).unwrap().len() as usize
        })
        .collect();
    let (main, whole) = (fs::read(dir.path().join("bridge.db")).unwrap(), fs::read(&log).unwrap());
    assert_eq!(whole.len(), *ends.last().unwrap());
    let every = std::env::var_os("TORN_LONG").is_some();
    let pages = if every { 8 } else { 6 };
    let from = whole.len() - pages * FRAME;
    assert!(from < ends[6], "the cut reaches the commit before the last");
    let cuts = (from..=whole.len()).filter(|cut| {
        let within = (cut - 32) % FRAME;
        every || !(40..FRAME - 7).contains(&within) || within.is_multiple_of(397)
    });

    let torn = tempfile::tempdir().unwrap();
    for cut in cuts {
        fs::write(torn.path().join("bridge.db"), &main).unwrap();
        fs::write(log_of(torn.path()), &whole[..cut]).unwrap();
        // A `-shm` from before does not fit: as after a crash of the machine, there is none.
        let _ = fs::remove_file(torn.path().join("bridge.db-shm"));
        let bridge = Bridge::builder().data_dir(torn.path()).build().unwrap();
        let committed = ends.iter().filter(|end| **end <= cut).count();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(bridge.sessions()).len(), committed, "cut at {cut}");
        // What was cut off is taken as new, what was not is known.
        for (number, end) in (1..).zip(&ends) {
            if *end > cut - FRAME || number == 1 {
                assert_eq!(send(&bridge, event(number)).duplicate, *end <= cut, "event {number}, cut at {cut}");
            }
        }
        bridge.shutdown(Duration::from_secs(10)).unwrap();
        assert_eq!(fs::read_dir(torn.path()).unwrap().count(), 2, "only the database and its lock, cut at {cut}");
    }
}
