//! How sessions end: a server that stays is ended by its client through the wrapper, and none is left behind.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::json;

use crate::peers::bridge::Bridge;
use crate::peers::until;
use crate::servers::{ask, call, faulty};
use crate::stage::{Client, Session, play, through_wrap};

#[test]
fn a_server_that_stays_is_ended_by_its_client() {
    let clients = [Client::Python, Client::Node].map(|client| {
        thread::spawn(move || {
            let bridge = Bridge::options().start();
            let steps = vec![ask("tools/list"), call("stay", json!({}))];
            let sessions = [Session::bare("legacy"), Session::wrapped(&bridge, "staying", "legacy")];
            let played = play(client, &faulty().steps(steps), &sessions).finish();
            let [bare, wrapped] = &played[..] else { panic!("{played:?}") };
            wrapped.assert_passed_through();
            assert_eq!(bare.outer["status"], -15);
            assert_eq!(wrapped.outer["status"], -15);
        })
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn no_server_is_left_behind_when_the_wrapper_is_killed() {
    let bridge = Bridge::options().start();
    let mut wrapper = Wrapper::start(&through_wrap(Some(&bridge.url("")), "killed", &faulty().command));
    let pid = wrapper.server_that_stays();
    assert!(runs(pid));
    wrapper.0.kill().unwrap();
    until("the end of the server", || (!runs(pid)).then_some(()));
}

/// A wrapper, which is killed when it goes; so is the server that it should have ended.
struct Wrapper(Child, Option<u32>);

impl Wrapper {
    fn start(command: &[String]) -> Self {
        let mut command_line = Command::new(&command[0]);
        command_line.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command_line.spawn().unwrap(), None)
    }

    /// Has the server stay whatever becomes of stdin; gives its process id.
    fn server_that_stays(&mut self) -> u32 {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "stay"}});
        self.0.stdin.as_mut().unwrap().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        let pid = answer["result"]["content"][0]["text"].as_str().unwrap().parse().unwrap();
        self.1 = Some(pid);
        pid
    }
}

impl Drop for Wrapper {
    fn drop(&mut self) {
        // Both may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
        if let Some(pid) = self.1.filter(|pid| runs(*pid)) {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
    }
}

/// Whether there is such a process, and it has not ended.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}
