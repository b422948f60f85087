//! `--ephemeral`: it says at its start that nothing outlives it, and nothing does.

use crate::process::{Serving, program};
use crate::support::events::start;
use crate::support::samples::Samples;

#[test]
fn nothing_outlives_an_ephemeral_bridge_which_says_so_at_its_start() {
    let dir = tempfile::tempdir().unwrap();
    let serve = || {
        let mut command = program();
        // Where its data would lie.
        command.env("XDG_STATE_HOME", dir.path()).env("HOME", dir.path());
        Serving::spawn(command.args(["serve", "--ephemeral", "--listen", "127.0.0.1:0"]))
    };
    let started = |bridge: &Serving| Samples::parse(&bridge.get("/metrics")).total("session_start_total");
    let bridge = serve();
    assert!(bridge.banner.contains("\n  data    in memory only: nothing outlives this process\n"), "{}", bridge.banner);
    let event = start("a", "2026-02-06T12:34:56Z", "00000001").to_string();
    let answer = ureq::post(bridge.url("/v1/events")).header("content-type", "application/json").send(&event);
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(started(&bridge), 1.0);
    bridge.stop("-TERM");
    assert_eq!(started(&serve()), 0.0);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it leaves no file");
}
