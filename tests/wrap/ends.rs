//! The end, whoever brings it: no orphan, the server's own exit, and each signal once.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::{Wrapped, await_gone, await_some, seen, wrap, wrap_program};

/// A server that says `got` for each signal of the kind as soon as it comes, while stdin stays open.
fn counting(signal: &str) -> String {
    format!("trap 'echo got' {signal}; echo up; while :; do read line; done")
}

#[test]
fn a_closed_stdin_ends_the_server_and_the_wrapper_with_it() {
    let mut wrapped = Wrapped::start(wrap(&[], "cat; echo bye; exit 3"));
    wrapped.write(b"hello\n");
    assert_eq!(wrapped.line(), "hello");
    wrapped.close_stdin();
    assert_eq!(wrapped.line(), "bye");
    assert_eq!(wrapped.wait().code(), Some(3));
}

#[test]
fn a_server_that_dies_ends_the_wrapper_though_stdin_stays_open() {
    let mut wrapped = Wrapped::start(wrap(&[], "echo up; read line; kill -9 $$"));
    assert_eq!(wrapped.line(), "up");
    wrapped.write(b"go\n");
    assert_eq!(wrapped.output(), b"");
    assert_eq!(wrapped.wait().signal(), Some(9));
}

/// The program, started by `env` with that option.
fn through_env(option: &str, program: &Command) -> Command {
    let mut command = Command::new("env");
    command.arg(option).arg(program.get_program()).args(program.get_args());
    command.env("MCP_OTEL_BRIDGE_URL", "http://127.0.0.1:9");
    command
}

/// The program with no signal ignored, as these tests may have been started with some: a shell cannot trap those.
fn by_default(program: &Command) -> Command {
    through_env("--default-signal", program)
}

#[test]
fn each_signal_to_the_wrapper_reaches_the_server() {
    for (name, signal) in [
        ("HUP", Signal::SIGHUP),
        ("INT", Signal::SIGINT),
        ("QUIT", Signal::SIGQUIT),
        ("TERM", Signal::SIGTERM),
        ("USR1", Signal::SIGUSR1),
        ("USR2", Signal::SIGUSR2),
    ] {
        let server = format!("trap 'echo got; exit 7' {name}; echo up; while :; do sleep 0.02; done");
        let mut wrapped = Wrapped::start(by_default(&wrap(&[], &server)));
        assert_eq!(wrapped.line(), "up");
        wrapped.signal(signal);
        assert_eq!(wrapped.line(), "got", "{name}");
        assert_eq!(wrapped.wait().code(), Some(7), "{name}");
        // And by what it does where nobody minds it.
        let mut wrapped = Wrapped::start(by_default(&wrap(&[], "echo up; exec sleep 100")));
        assert_eq!(wrapped.line(), "up");
        wrapped.signal(signal);
        assert_eq!(wrapped.wait().signal(), Some(signal as i32), "{name}");
    }
}

#[test]
fn the_server_gets_a_signal_once_whether_it_was_sent_to_the_wrapper_or_to_the_group() {
    for to_group in [false, true] {
        let mut wrapped = Wrapped::start(wrap(&[], &counting("TERM")));
        assert_eq!(wrapped.line(), "up");
        for _ in 0..5 {
            if to_group {
                killpg(wrapped.pid(), Signal::SIGTERM).unwrap();
            } else {
                wrapped.signal(Signal::SIGTERM);
            }
            assert_eq!(wrapped.line(), "got");
            // A second one would be here by now.
            std::thread::sleep(Duration::from_millis(60));
        }
        wrapped.signal(Signal::SIGUSR1);
        assert_eq!(wrapped.output(), b"", "to the group: {to_group}");
        assert_eq!(wrapped.wait().signal(), Some(Signal::SIGUSR1 as i32));
    }
}

#[test]
fn a_server_starts_with_the_signals_as_the_client_left_them() {
    // Not through a shell, which has its own way with signals.
    let masks = ["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"];
    let mut bare = Command::new(masks[0]);
    bare.args(&masks[1..]);
    assert_eq!(seen(wrap_program(&[], &masks), b"", false), seen(bare, b"", false));
}

#[test]
fn a_server_gets_the_environment_without_tokens_and_certificate() {
    let mut command = wrap_program(&[], &["env"]);
    command.env("MCP_OTEL_BRIDGE_TOKEN", "sekret").env("MCP_OTEL_BRIDGE_TOKEN_FILE", "/the/sekret").env("OTHER", "yes");
    command.env("MCP_OTEL_BRIDGE_CLIENT_CERTIFICATE", "/a/sekret").env("MCP_OTEL_BRIDGE_CLIENT_KEY", "/of/sekret");
    command
        .env("MCP_OTEL_BRIDGE_AUTH_ADMIN_TOKEN", "sekret")
        .env("MCP_OTEL_BRIDGE_AUTH_SCRAPE_TOKEN_FILE", "/a/sekret");
    let output = String::from_utf8(seen(command, b"", false).output).unwrap();
    assert!(output.contains("OTHER=yes") && !output.contains("sekret"), "{output}");
}

#[test]
fn a_client_that_ignores_its_children_gets_the_servers_end_all_the_same() {
    let ignoring = |program: &Command| through_env("--ignore-signal=CHLD", program);
    let mut status = Command::new("grep");
    let ignored = seen(ignoring(status.args(["SigIgn:", "/proc/self/status"])), b"", false).output;
    let ignored = String::from_utf8(ignored).unwrap();
    let ignored = u64::from_str_radix(ignored.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!(ignored >> (Signal::SIGCHLD as i32 - 1) & 1, 1, "it is not ignored");

    let mut wrapped = Wrapped::start(ignoring(&wrap(&[], "echo hi; exit 3")));
    assert_eq!(wrapped.output(), b"hi\n");
    assert_eq!(wrapped.wait().code(), Some(3));
    let mut wrapped = Wrapped::start(ignoring(&wrap(&[], "echo up; exec sleep 100")));
    assert_eq!(wrapped.line(), "up");
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().signal(), Some(Signal::SIGTERM as i32));
}

/// The numbers of processes that the server prints, one a line.
fn numbers(wrapped: &mut Wrapped, count: usize) -> Vec<i32> {
    (0..count).map(|_| wrapped.line().parse().unwrap()).collect()
}

/// A server with a child, a grandchild, and one that left its session.
const FAMILY: &str = "echo $$; sleep 1000 & echo $!; sh -c 'echo $$; sleep 1000; true' & \
     setsid sh -c 'echo $$; exec sleep 1000' & wait";

#[test]
fn sigkill_of_the_wrapper_leaves_nobody() {
    let mut wrapped = Wrapped::start(wrap(&[], FAMILY));
    let family = numbers(&mut wrapped, 4);
    let keeper = wrapped.keeper();
    wrapped.signal(Signal::SIGKILL);
    assert_eq!(wrapped.wait().signal(), Some(9));
    for pid in family {
        await_gone(pid);
    }
    await_gone(keeper.as_raw());
}

#[test]
fn sigkill_at_the_very_start_leaves_nobody() {
    for after in [0, 1, 2, 4, 8, 16, 32] {
        let mut wrapped = Wrapped::start(wrap(&[], "exec sleep 1000"));
        std::thread::sleep(Duration::from_millis(after));
        let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", wrapped.pid())).unwrap();
        let child: Option<i32> = child.split_whitespace().next().map(|pid| pid.parse().unwrap());
        wrapped.signal(Signal::SIGKILL);
        wrapped.wait();
        if let Some(child) = child {
            await_gone(child);
        }
        // The server holds the other end of stdout: it is closed once that is gone, too.
        assert_eq!(wrapped.errors(), "");
    }
}

#[test]
fn sigkill_of_the_keeper_takes_the_server_along() {
    let mut wrapped = Wrapped::start(wrap(&[], "echo $$; exec sleep 1000"));
    let server = numbers(&mut wrapped, 1)[0];
    kill(wrapped.keeper(), Signal::SIGKILL).unwrap();
    assert_eq!(wrapped.wait().signal(), Some(9));
    await_gone(server);
}

#[test]
fn what_a_server_leaves_running_is_ended_unless_it_left_the_session() {
    // The parent ends; of its two children one minds no SIGTERM.
    let server = "sleep 1000 & echo $!; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.1; done' & \
         setsid sh -c 'echo $$; exec sleep 1000 >/dev/null' & read line; exit 5";
    let mut wrapped = Wrapped::start(wrap(&[], server));
    let mut left = numbers(&mut wrapped, 3);
    // The third is the one that is its session's own leader.
    left.sort_by_key(|pid| nix::unistd::getsid(Some(Pid::from_raw(*pid))) == Ok(Pid::from_raw(*pid)));
    wrapped.close_stdin();
    assert_eq!(wrapped.wait().code(), Some(5));
    await_gone(left[0]);
    await_gone(left[1]);
    let daemon = Pid::from_raw(left[2]);
    assert_eq!(kill(daemon, None), Ok(()));
    kill(daemon, Signal::SIGKILL).unwrap();
}

#[test]
fn a_daemon_that_holds_the_servers_stdout_does_not_hold_the_wrapper() {
    let mut wrapped =
        Wrapped::start(wrap(&[], "setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.2; echo last; exit 5"));
    let daemon = numbers(&mut wrapped, 1)[0];
    assert_eq!(wrapped.output(), b"last\n");
    assert_eq!(wrapped.wait().code(), Some(5));
    kill(Pid::from_raw(daemon), Signal::SIGKILL).unwrap();
}

#[test]
fn a_client_that_does_not_read_the_last_words_can_still_end_it() {
    let mut wrapped = Wrapped::start(wrap(&[], "echo $$; read line; head -c 8000 /dev/zero; exit 8"));
    let server = numbers(&mut wrapped, 1)[0];
    // The last words fit into the smallest pipe that a server can be given, and not into the one to the client.
    rustix::pipe::fcntl_setpipe_size(wrapped.stdout.as_ref().unwrap(), 4096).unwrap();
    wrapped.write(b"go\n");
    await_gone(server);
    assert!(wrapped.child.try_wait().unwrap().is_none());
    let signalled = Instant::now();
    // Once it knows that the server has ended, one is enough.
    while wrapped.child.try_wait().unwrap().is_none() {
        wrapped.signal(Signal::SIGTERM);
        std::thread::sleep(Duration::from_millis(20));
        assert!(signalled.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(wrapped.wait().code(), Some(8));
}

#[test]
fn what_cannot_be_started_is_said_as_a_shell_says_it() {
    for (command, code, message) in [
        ("no-such-command-anywhere", 127, "no-such-command-anywhere: command not found"),
        ("/etc/passwd", 126, "/etc/passwd: cannot be run"),
        ("/", 126, "/: cannot be run"),
    ] {
        let mut wrapped = Wrapped::start(wrap_program(&[], &[command, "argument"]));
        assert_eq!(wrapped.output(), b"");
        let errors = wrapped.errors();
        assert!(errors.contains(message), "{errors}");
        assert_eq!(wrapped.wait().code(), Some(code));
    }
}

#[test]
fn a_client_that_closes_stdout_breaks_the_servers_very_next_write() {
    let server = "trap '' PIPE; echo up; read line; echo one; echo \"first write: $?\" >&2; exit 0";
    let mut wrapped = Wrapped::start(wrap(&[], server));
    assert_eq!(wrapped.line(), "up");
    wrapped.stdout = None;
    // Nothing tells when the wrapper has seen it, which takes microseconds.
    std::thread::sleep(Duration::from_millis(200));
    wrapped.write(b"go\n");
    let errors = wrapped.errors();
    assert!(errors.contains("first write: 1"), "{errors}");
}

#[test]
fn a_server_that_closes_stdin_is_seen_before_the_next_write() {
    let mut wrapped = Wrapped::start(wrap(&[], "exec <&-; echo closed; exec sleep 100"));
    assert_eq!(wrapped.line(), "closed");
    await_some(|| {
        let mut ends = [PollFd::new(wrapped.stdin.as_ref()?, PollFlags::empty())];
        poll(&mut ends, Some(&Timespec::default())).unwrap();
        ends[0].revents().contains(PollFlags::ERR).then_some(())
    });
}
