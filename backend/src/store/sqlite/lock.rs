//! One program serves one file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// The right to serve a database, for as long as it is held; the system gives it back when the program dies.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLocked {
    /// Somebody else serves it.
    #[error(
        "another program serves this database: end it, give this one another file by store.url, or share PostgreSQL"
    )]
    Taken,
    /// The file of the lock cannot be made.
    #[error("{} cannot be locked", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FileLock {
    /// Takes the lock of the database at `path`, which is a file beside it.
    pub(crate) fn take(path: &Path) -> Result<Self, NotLocked> {
        let make = |path: &Path| {
            let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
            opened.map_err(|source| NotLocked::Io { path: path.to_owned(), source })
        };
        // One that is a link has the lock of what it leads to, and therefore has to be there: SQLite takes an empty file for
        // an empty database. One that is there is not opened, since closing it would give SQLite's own locks back.
        if !path.exists() {
            make(path)?;
        }
        let database = path.canonicalize().map_err(|source| NotLocked::Io { path: path.to_owned(), source })?;
        let mut name = database.into_os_string();
        name.push(".lock");
        let path = PathBuf::from(name);
        let file = make(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(NotLocked::Taken),
            Err(TryLockError::Error(source)) => Err(NotLocked::Io { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_he_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let first = FileLock::take(&path).unwrap();
        assert!(matches!(FileLock::take(&path), Err(NotLocked::Taken)));
        assert!(FileLock::take(&folder.path().join("b.db")).is_ok());
        #[cfg(unix)]
        {
            let link = folder.path().join("link.db");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert!(matches!(FileLock::take(&link), Err(NotLocked::Taken)), "by another name");
        }
        drop(first);
        assert!(FileLock::take(&path).is_ok());
        assert!(matches!(FileLock::take(&folder.path().join("none/a.db")), Err(NotLocked::Io { .. })));
    }
}
