//! Files that are read again when they change: whether they have.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files, and what they were when they were last looked at.
#[derive(Debug)]
pub(crate) struct Files {
    files: Vec<PathBuf>,
    seen: Vec<Option<Identity>>,
}

impl Files {
    /// As they are now.
    pub(crate) fn now(files: Vec<PathBuf>) -> Self {
        let seen = files.iter().map(|path| Identity::of(path)).collect();
        Self { files, seen }
    }

    /// Those that were read at an unknown time, and so count as changed.
    pub(crate) fn unseen(files: Vec<PathBuf>) -> Self {
        Self { files, seen: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether any is another one than when this was last asked. It is asked before the files are read: what changes
    /// while they are is seen the next time.
    pub(crate) fn changed(&mut self) -> bool {
        let now: Vec<_> = self.files.iter().map(|path| Identity::of(path)).collect();
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

/// What differs between two versions of a file.
#[derive(Debug, PartialEq)]
struct Identity {
    modified: Option<SystemTime>,
    size: u64,
    inode: (u64, u64),
    /// Tells of new contents also where a copy kept the time of its original.
    changed: (i64, i64),
}

impl Identity {
    /// The file that the path leads to, through links; `None` where there is none.
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        let (inode, changed) = of_system(&file);
        Some(Self { modified: file.modified().ok(), size: file.len(), inode, changed })
    }
}

#[cfg(unix)]
fn of_system(file: &fs::Metadata) -> ((u64, u64), (i64, i64)) {
    use std::os::unix::fs::MetadataExt as _;
    ((file.dev(), file.ino()), (file.ctime(), file.ctime_nsec()))
}

#[cfg(not(unix))]
fn of_system(_: &fs::Metadata) -> ((u64, u64), (i64, i64)) {
    ((0, 0), (0, 0))
}
