//! The files of a data directory, as they lie there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The database and what SQLite keeps beside it.
pub const PARTS: [&str; 2] = ["", "-wal"];

/// The database of a directory.
pub fn database(dir: &Path) -> PathBuf {
    dir.join("bridge.db")
}

/// The path with this at its end.
pub fn beside(path: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}

/// The database and its log, by the ends of their names.
pub fn read(database: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    PARTS.into_iter().filter_map(|end| Some((end, fs::read(beside(database, end)).ok()?))).collect()
}

pub fn write(database: &Path, files: &BTreeMap<&'static str, Vec<u8>>) {
    for (end, bytes) in files {
        fs::write(beside(database, end), bytes).unwrap();
    }
}

/// The databases that were set aside in the directory.
pub fn aside(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path().to_string_lossy().into_owned());
    let aside: BTreeSet<PathBuf> = names
        .filter(|path| path.contains("bridge.db.damaged-"))
        .map(|path| path.trim_end_matches("-wal").trim_end_matches("-shm").into())
        .collect();
    aside.into_iter().collect()
}

/// Whether the database is what it was, byte for byte, and its log is too where it had one.
pub fn is_untouched(database: &Path, was: &BTreeMap<&'static str, Vec<u8>>) -> bool {
    was.iter().all(|(end, bytes)| fs::read(beside(database, end)).is_ok_and(|found| found == *bytes))
}

/// Bytes that no database begins with, and the same in every run.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
