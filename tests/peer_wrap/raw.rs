//! A client that only writes bytes and reads bytes: what it gets is held against the same without `wrap` to the byte.

use std::io::{Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use crate::peers::until;

/// All that a client can see of a server.
#[derive(PartialEq)]
pub struct Seen {
    /// What came from its stdout.
    pub stdout: Vec<u8>,
    /// What came from its stderr.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub status: ExitStatus,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tail = |bytes: &[u8]| String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(300)..]).into_owned();
        let (out, err) = (self.stdout.len(), self.stderr.len());
        write!(
            formatter,
            "{}, {out} bytes: ..{:?}, {err} bytes: ..{:?}",
            self.status,
            tail(&self.stdout),
            tail(&self.stderr)
        )
    }
}

/// A running command.
pub struct Raw {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Raw {
    /// Starts a command, which must be there.
    pub fn start(command: &[String]) -> Self {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Some(keep(child.stdout.take().unwrap()));
        let stderr = Some(keep(child.stderr.take().unwrap()));
        Self { child, stdout, stderr }
    }

    /// Writes this; a server that is gone does not read it.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.child.stdin.as_mut().unwrap().write_all(bytes);
    }

    /// Closes stdin, and waits for all to end.
    pub fn finish(mut self) -> Seen {
        drop(self.child.stdin.take());
        let status = until("the end of a server", || self.child.try_wait().unwrap());
        let [stdout, stderr] =
            [&mut self.stdout, &mut self.stderr].map(|reader| reader.take().unwrap().join().unwrap());
        Seen { stdout, stderr, status }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}
