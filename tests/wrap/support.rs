//! A client of a wrapped server: the wrapper as a process with pipes, and everything it does within a deadline.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No step takes this long, on any machine that works.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub struct Wrapped {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

/// The command that wraps `server`, a script for the shell. Its bridge is one that is not there.
pub fn wrap(flags: &[&str], server: &str) -> Command {
    wrap_program(flags, &["sh", "-c", server])
}

/// The same for any program and its arguments.
pub fn wrap_program(flags: &[&str], server: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    command.arg("wrap").args(flags).arg("--").args(server).env("MCP_OTEL_BRIDGE_URL", "http://127.0.0.1:9");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("OTEL_") || name.starts_with("SESSION_BUDDY_") || name == "TRACEPARENT" {
            command.env_remove(name);
        }
    }
    command
}

/// The server as a client would start it without a wrapper.
pub fn bare(server: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", server]);
    command
}

impl Wrapped {
    pub fn start(mut command: Command) -> Self {
        // A group of its own, as clients do, so that a test can signal it.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        Self { stdin: child.stdin.take(), stdout: child.stdout.take(), stderr: child.stderr.take(), child }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next line on stdout, without its newline.
    pub fn line(&mut self) -> String {
        let mut stdout = self.stdout.take().unwrap();
        let (line, stdout) = within(move || {
            let (mut line, mut byte) = (Vec::new(), [0]);
            while stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
                line.push(byte[0]);
            }
            (line, stdout)
        });
        self.stdout = Some(stdout);
        String::from_utf8(line).unwrap()
    }

    /// Everything on stdout, to its end.
    pub fn output(&mut self) -> Vec<u8> {
        read_all(self.stdout.take().unwrap())
    }

    /// Everything on stderr, to its end.
    pub fn errors(&mut self) -> String {
        String::from_utf8(read_all(self.stderr.take().unwrap())).unwrap()
    }

    /// What comes on stderr next, up to and with this.
    pub fn errors_until(&mut self, last: &'static str) -> String {
        let mut stderr = self.stderr.take().unwrap();
        let (said, stderr) = within(move || {
            let (mut said, mut byte) = (String::new(), [0]);
            while !said.ends_with(last) && stderr.read(&mut byte).unwrap() == 1 {
                said.push(byte[0].into());
            }
            (said, stderr)
        });
        self.stderr = Some(stderr);
        said
    }

    /// How it ended.
    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "it did not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The number of the process's direct child: the keeper's.
    pub fn keeper(&self) -> Pid {
        let pid = self.pid();
        await_some(|| {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            children.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
        })
    }

    /// The most memory that it had resident, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server shows to its client: all of its output, and its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub output: Vec<u8>,
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// What the client sees of a server that it gives `input` to, with stdin closed then or kept open.
pub fn seen(command: Command, input: &[u8], keep_open: bool) -> Seen {
    let mut server = Wrapped::start(command);
    // The server may have ended before it read everything.
    let _ = server.stdin.as_mut().unwrap().write_all(input);
    if !keep_open {
        server.close_stdin();
    }
    let output = server.output();
    let status = server.wait();
    Seen { output, code: status.code(), signal: status.signal() }
}

pub fn read_all(mut from: impl Read + Send + 'static) -> Vec<u8> {
    within(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// Does it on another thread, and fails where that takes too long.
pub fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(DEADLINE).expect("it takes too long, or failed")
}

/// Waits until there is something.
pub fn await_some<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "it does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the process is gone; one that only waits to be reaped is.
pub fn await_gone(pid: i32) {
    await_some(|| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        let gone = stat.map_or(true, |stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')));
        gone.then_some(())
    });
}
