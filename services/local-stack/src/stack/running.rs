//! The file `stack.json` in a data directory: what runs there, for other commands of the same user.
//!
//! The process that starts a stack writes the file when everything is ready, holds a lock on it, and removes it when the
//! stack stops. After a crash the file is still there, but the kernel has released the lock: then nothing runs.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

const NAME: &str = "stack.json";

/// The addresses of a running stack. Holds passwords and a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningStack {
    /// `http://…` of the gateway.
    pub gateway_url: String,
    /// An operator's API key for it.
    pub api_key: String,
    /// `postgres://…` of the order service's database.
    pub order_database_url: String,
    /// The same as the role that owns the schema, if that is another one.
    pub order_owner_database_url: Option<String>,
    /// `postgres://…` of the payment service's database.
    pub payment_database_url: String,
    /// `amqp://…`
    pub rabbitmq_url: String,
    /// Jaeger's pages, if there is a Jaeger.
    pub jaeger_url: Option<String>,
}

/// The file of a running stack can't be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}")]
pub struct RunningStackError {
    path: PathBuf,
    source: io::Error,
}

impl RunningStack {
    /// The stack that runs in a data directory. One of another user is not found: its file may not be read, or should
    /// not be trusted.
    pub fn find(directory: &Path) -> Result<Option<Self>, RunningStackError> {
        let path = directory.join(NAME);
        Self::read(&path).map_err(|source| RunningStackError { path, source })
    }

    fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if file.metadata()?.uid() != geteuid().as_raw() {
            return Ok(None);
        }
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(serde_json::from_reader(file)?)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Writes the file, with mode 0600. It is locked before it can be seen.
    pub(super) fn publish(&self, directory: &Path) -> io::Result<Published> {
        let mut file = NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.flush()?;
        file.as_file().lock()?;
        let path = directory.join(NAME);
        Ok(Published { file: file.persist(&path)?, path })
    }
}

impl fmt::Debug for RunningStack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RunningStack").field("gateway_url", &self.gateway_url).finish_non_exhaustive()
    }
}

/// The file while the stack runs. It is removed when this value is dropped.
#[derive(Debug)]
pub(super) struct Published {
    file: File,
    path: PathBuf,
}

impl Drop for Published {
    fn drop(&mut self) {
        // A file that is left behind is not locked, and is not used.
        let _ = fs::remove_file(&self.path);
        // Closing alone would leave it locked while a child that is just being started still has a copy of it.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn stack() -> RunningStack {
        RunningStack {
            api_key: "hunter2".to_owned(),
            gateway_url: "http://127.0.0.1:3456".to_owned(),
            order_database_url: "postgres://order:hunter2@127.0.0.1/order".to_owned(),
            order_owner_database_url: None,
            payment_database_url: "postgres://payment:hunter2@127.0.0.1/payment".to_owned(),
            rabbitmq_url: "amqp://paysaga:hunter2@127.0.0.1".to_owned(),
            jaeger_url: None,
        }
    }

    #[test]
    fn a_stack_is_found_while_it_runs_and_its_file_is_its_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(RunningStack::find(folder.path()).unwrap(), None);
        let published = stack().publish(folder.path()).unwrap();
        assert_eq!(RunningStack::find(folder.path()).unwrap(), Some(stack()));
        assert_eq!(fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        drop(published);
        assert_eq!(RunningStack::find(folder.path()).unwrap(), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_file_of_a_crashed_process_is_not_used_and_the_next_stack_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        let left_behind = RunningStack { gateway_url: "http://127.0.0.1:1".to_owned(), ..stack() };
        fs::write(folder.path().join(NAME), serde_json::to_string(&left_behind).unwrap()).unwrap();
        assert_eq!(RunningStack::find(folder.path()).unwrap(), None);
        let _published = stack().publish(folder.path()).unwrap();
        assert_eq!(RunningStack::find(folder.path()).unwrap(), Some(stack()));
    }

    #[test]
    fn debug_output_holds_no_password() {
        assert!(!format!("{:?}", stack()).contains("hunter2"));
    }
}
