//! One process at a time uses a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

const NAME: &str = "lock";

/// The lock of a directory. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(File);

/// A directory can't be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another paysaga holds it.
    #[error("{directory} is in use: a paysaga is running there (process {holder})")]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The process id of the other.
        holder: String,
    },
    /// The lock file can't be used.
    #[error("cannot lock {directory}: {source}")]
    Io {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Lock {
    /// Whether a directory has a lock, held or not: whether it is one of ours.
    pub(super) fn is_in(directory: &Path) -> bool {
        directory.join(NAME).exists()
    }

    /// Takes the lock of a directory; the error names the process that holds it.
    pub(super) fn take(directory: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { directory: directory.to_owned(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(directory.join(NAME));
        let mut file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Self::write_process_id(file).map_err(failed),
            Err(TryLockError::Error(source)) => Err(failed(source)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                Err(LockError::InUse { directory: directory.to_owned(), holder: holder.trim().to_owned() })
            }
        }
    }

    /// Takes a lock that exists and is not held. Creates none: a directory without its lock is being removed by another
    /// process.
    pub(super) fn take_abandoned(directory: &Path) -> Option<Self> {
        let file = OpenOptions::new().read(true).write(true).open(directory.join(NAME)).ok()?;
        file.try_lock().ok()?;
        Self::write_process_id(file).ok()
    }

    /// Writes our process id into the file, for the error message of a process that finds it locked.
    fn write_process_id(mut file: File) -> io::Result<Self> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Explicitly: closing the file would leave it locked while a child that another thread is just starting still
        // has a copy of it.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}
