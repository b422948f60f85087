//! What is remembered is its owner's alone: the modes of the directory and of the files in it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a directory, with those above it that are missing, for its owner alone. One that is there keeps its mode:
/// whoever made it may have reasons, such as the group of a volume.
pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Opens a file that is made if it is not there, for its owner alone; one that is open to others is closed to them.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    close_to_others(path);
    Ok(file)
}

/// Takes from everyone but its owner what they may do with a file. SQLite gives what it makes beside a database the
/// mode of the database.
pub(super) fn close_to_others(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_or(0, |file| file.permissions().mode());
        // What the owner may do stays: who made it read-only meant it.
        if mode & 0o077 != 0
            && let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))
        {
            tracing::warn!("{} can be read by others, and that cannot be changed: {error}", path.display());
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::Store;
    use super::*;
    use crate::config::Durability;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_its_owner_s_alone_and_what_was_open_is_closed() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("state").join("bridge");
        let names = ["bridge.db", "bridge.db-wal", "bridge.db-shm", "bridge.lock"];
        let store = Store::open(&dir, Durability::Full).unwrap();
        assert_eq!((mode(&dir), mode(dir.parent().unwrap())), (0o700, 0o700));
        for name in names {
            assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
        }
        drop(store);
        // As a version left them that did not care, in a directory that somebody else made.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["bridge.db", "bridge.lock"] {
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let _store = Store::open(&dir, Durability::Full).unwrap();
        assert_eq!(mode(&dir), 0o755);
        for name in names {
            assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
        }
    }
}
