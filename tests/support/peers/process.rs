//! A child process: what it prints is kept, and it is killed by its own id when the guard goes.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{DEADLINE, until, until_within};

/// How many of the last lines of a process are shown when a test fails.
const SHOWN: usize = 25;

/// A running child.
pub struct Process {
    name: String,
    child: Child,
    /// Standard output and standard error, line by line as they come.
    lines: Arc<Mutex<Vec<String>>>,
}

/// A process that does not run, though it is there; it goes on when this goes.
pub struct Frozen<'a>(&'a Process);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.signal("CONT");
    }
}

impl Process {
    /// Starts a command, which must be there.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        keep_lines(child.stdout.take().unwrap(), &lines);
        keep_lines(child.stderr.take().unwrap(), &lines);
        Self { name: name.to_owned(), child, lines }
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// What `find` makes of the first line that it knows, as soon as there is one.
    pub fn find_line<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let name = self.name.clone();
        until(&format!("{what} of {name}"), || {
            let found = self.lines.lock().unwrap().iter().find_map(|line| find(line));
            if found.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("{name} ended with {status} before it told {what}");
            }
            found
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        // Either may find it gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait(DEADLINE)
    }

    /// Waits until it ends by itself, which may take as long as that.
    pub fn wait(&mut self, time: Duration) -> ExitStatus {
        until_within(time, &format!("the end of {}", self.name), || self.child.try_wait().unwrap())
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Stops it from running, until the guard goes.
    pub fn freeze(&self) -> Frozen<'_> {
        self.signal("STOP");
        Frozen(self)
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{} could not be sent {signal}", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let lines = self.lines();
            eprintln!("-- the last lines of {}:", self.name);
            for line in &lines[lines.len().saturating_sub(SHOWN)..] {
                eprintln!("   {line}");
            }
        }
    }
}

fn keep_lines(from: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            lines.lock().unwrap().push(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    });
}
