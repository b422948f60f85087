//! A small file system of its own, for which nobody needs to be root: a tmpfs in a namespace.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The namespace, and the file system in it. Both are gone when this is dropped.
pub struct Small {
    /// A process that does nothing but hold the namespace.
    holder: Child,
    dir: PathBuf,
}

impl Small {
    /// `None` where the system allows no such namespace, as some containers do not; then `instead` is said aloud, past
    /// the capture of a test's output, for a test that passes shows nothing else. With `DISK_MOUNTS` set it fails.
    pub fn mount(dir: &Path, size: &str, instead: &str) -> Option<Self> {
        let small = Self::try_mount(dir, size);
        if small.is_none() {
            let note = format!("\nNOT PROVEN HERE: no file system can be mounted in a namespace; {instead}\n");
            assert!(std::env::var_os("DISK_MOUNTS").is_none(), "{note}");
            std::io::stderr().write_all(note.as_bytes()).unwrap();
        }
        small
    }

    fn try_mount(dir: &Path, size: &str) -> Option<Self> {
        let script = "mount -t tmpfs -o size=$1 tmpfs \"$2\" && echo mounted && exec cat";
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script, "sh", size])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let small = Self { holder, dir: dir.to_owned() };
        (line == "mounted\n").then_some(small)
    }

    /// The command, run where the file system is seen.
    pub fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.holder.id().to_string(), "--user", "--mount", "--preserve-credentials"]);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// The directory, as it is seen from inside.
    pub fn inner(&self) -> &Path {
        &self.dir
    }

    /// The directory, as it is seen from outside.
    pub fn dir(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.dir.strip_prefix("/").unwrap())
    }

    /// Leaves no room.
    pub fn fill(&self) {
        self.take(u64::MAX);
    }

    /// Takes so many bytes of the room.
    pub fn take(&self, bytes: u64) {
        let mut filler = File::create(self.dir().join("filler")).unwrap();
        let mut taken = 0;
        while taken < bytes && filler.write_all(&[0; 4096]).is_ok() {
            taken += 4096;
        }
    }

    /// Makes so many bytes of room.
    pub fn free_some(&self, bytes: u64) {
        let filler = File::options().write(true).open(self.dir().join("filler")).unwrap();
        filler.set_len(filler.metadata().unwrap().len() - bytes).unwrap();
    }

    /// Makes room again.
    pub fn free(&self) {
        std::fs::remove_file(self.dir().join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
