//! Why the store cannot be used, in words that say what to do about it, and what the bridge itself can do.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or written.
    #[error("the data directory {} cannot be written: {source}; give another with --data-dir, or use --ephemeral", dir.display())]
    Unwritable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another bridge has it open.
    #[error("the data directory {} is in use by another bridge; stop that one, or give this one its own with --data-dir", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// It was written by a newer version.
    #[error("the database was written by a newer version of the bridge (schema {found}, this one knows {known})")]
    Newer {
        /// The version found.
        found: i64,
        /// The newest version known.
        known: i64,
    },
    /// What is left on the disk is needed for what is there already.
    #[error(
        "the disk of the data directory is nearly full, and what is left is kept for what must be written all the same; make room on it"
    )]
    NoRoom,
    /// What is in the file is not what the bridge has put there.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// SQLite failed.
    #[error("{}", advice(.0))]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    /// Whether the database itself is at fault, so that trying again is in vain.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(error) => is_damage(error),
            Self::Unwritable { .. } | Self::Locked { .. } | Self::Newer { .. } | Self::NoRoom => false,
        }
    }

    /// Whether the connection may be at fault: it does not notice that a file system came back or may be written again.
    pub(crate) fn asks_for_a_new_connection(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return !matches!(self, Self::Damaged(_) | Self::NoRoom);
        };
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::PermissionDenied
            )
        )
    }

    /// Whether room on the disk is all that is missing: less may still find some.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::NoRoom => true,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            _ => false,
        }
    }
}

/// Values that do not fit their columns' types are damage too: the bridge wrote none such.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqliteFailure, Utf8Error,
    };
    match error {
        SqliteFailure(failure, _) => matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase),
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..) => true,
        _ => false,
    }
}

/// What failed, and what would help.
fn advice(error: &rusqlite::Error) -> String {
    if is_damage(error) {
        return format!("the database is damaged: {error}");
    }
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk of the data directory is full; make room on it",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "the data directory or its file system is read-only; make it writable"
        }
        Some(ErrorCode::SystemIoFailure) => {
            "the disk of the data directory failed, or a quota on it is used up; look at the disk and the system's log"
        }
        Some(ErrorCode::CannotOpen) => {
            "a file in the data directory cannot be opened; look whether the directory is there and may be written"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds the database, such as a sqlite3 shell in a transaction; let it finish"
        }
        _ => return format!("the store failed: {error}"),
    };
    format!("{advice} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn error(code: i32) -> StoreError {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn each_fault_says_what_would_help() {
        for (code, helps) in [
            (ffi::SQLITE_FULL, "make room"),
            (ffi::SQLITE_READONLY, "make it writable"),
            (ffi::SQLITE_IOERR_FSYNC, "look at the disk"),
            (ffi::SQLITE_CANTOPEN, "whether the directory is there"),
            (ffi::SQLITE_BUSY, "let it finish"),
            (ffi::SQLITE_CORRUPT_INDEX, "damaged"),
        ] {
            assert!(error(code).to_string().contains(helps), "{}", error(code));
        }
    }

    #[test]
    fn only_what_the_bridge_has_not_written_is_damage() {
        for damage in [ffi::SQLITE_CORRUPT, ffi::SQLITE_CORRUPT_INDEX, ffi::SQLITE_NOTADB] {
            assert!(error(damage).is_damage() && !error(damage).asks_for_a_new_connection());
        }
        for fault in [ffi::SQLITE_FULL, ffi::SQLITE_READONLY, ffi::SQLITE_IOERR_READ, ffi::SQLITE_BUSY] {
            assert!(!error(fault).is_damage());
        }
        assert!(!StoreError::Newer { found: 9, known: 3 }.is_damage());
    }
}
