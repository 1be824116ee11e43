//! The data directory: everything the private servers write, used by one process at a time.
//!
//! ```text
//! .paysaga/
//!   lock            held while a paysaga runs here; its text is that process's id
//!   stack.json      addresses and passwords of the stack that runs here, see `stack::running`
//!   log/            what every process prints;  log.previous/ of the run before
//!   postgres/       data/, passwords, port      (elsewhere if its account can't reach it, see `postgres`)
//!   rabbitmq/       mnesia/, configuration, cookie, password, ports; node-2/, … of a cluster
//!   jaeger/         configuration, port; traces/ of this run and former ones
//!   gateway/        the API key: api-key, its digest for the gateway, and the header that curl sends
//! ```

mod lock;

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use uuid::Uuid;

use crate::account::{self, Account};
use crate::error::{Error, failed};
use crate::installation::Installation;
use crate::process::launcher::Launcher;
use crate::process::leftovers::{self, DataPaths};
use crate::process::{StopPolicy, StopSignal};
use lock::Lock;

pub use lock::LockError;

const EPHEMERAL_PREFIX: &str = "paysaga-";

/// An open data directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    postgres: PathBuf,
    launcher: Launcher,
    ephemeral: bool,
    // Last, so that it is released when everything else of the directory is done with.
    _lock: Lock,
}

impl Directory {
    /// Opens a directory that is kept, creating it if need be. Processes that a killed run left in it are ended first.
    pub async fn persistent(path: &Path, installation: &Installation) -> Result<Self, Error> {
        let known = Lock::is_in(path);
        let occupied = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if occupied && !known {
            return Err(Error::NotOurs(path.to_owned()));
        }
        create_passable(path)?;
        let path = path.canonicalize().map_err(failed("find", path))?;
        let lock = Lock::take(&path)?;
        if !known {
            // A directory of this name that was deleted may have left its PostgreSQL data outside.
            remove(&external_postgres(&path))?;
        }
        Self::open(path, lock, installation, false).await
    }

    /// Creates a directory below the system's temporary one that is removed when this value is dropped. Those that killed
    /// runs left there are removed first.
    pub async fn ephemeral(installation: &Installation) -> Result<Self, Error> {
        let parent = env::temp_dir();
        let parent = parent.canonicalize().map_err(failed("find", &parent))?;
        remove_abandoned(&parent).await?;
        // Locked under a hidden name, then renamed: it is never visible without its lock.
        let id = Uuid::new_v4().simple().to_string();
        let hidden = parent.join(format!(".{EPHEMERAL_PREFIX}{id}"));
        let path = parent.join(format!("{EPHEMERAL_PREFIX}{id}"));
        create_passable(&hidden)?;
        let lock = Lock::take(&hidden)?;
        fs::rename(&hidden, &path).map_err(failed("rename", &hidden))?;
        Self::open(path, lock, installation, true).await
    }

    async fn open(
        path: PathBuf,
        lock: Lock,
        installation: &Installation,
        ephemeral: bool,
    ) -> Result<Self, Error> {
        let launcher = Launcher::new(installation, &path)?;
        let postgres = match Account::without_privileges() {
            Some(account) if !can_reach(account, &launcher, &path).await => external_postgres(&path),
            _ => path.join("postgres"),
        };
        let directory = Self { path, postgres, launcher, ephemeral, _lock: lock };
        directory.stop_leftovers().await?;
        create_passable(&directory.postgres)?;
        if directory.postgres_is_external() {
            ensure_ours(&directory.postgres)?;
        }
        directory.begin_logs()?;
        for folder in [directory.rabbitmq(), directory.jaeger(), directory.gateway()] {
            create_private(&folder)?;
        }
        Ok(directory)
    }

    /// The directory itself, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether everything in it is removed when this value is dropped.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }

    /// Where every process's output goes.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.path.join("log")
    }

    /// What [`Directory::logs`] held of the run before, if there was one.
    #[must_use]
    pub fn previous_logs(&self) -> PathBuf {
        self.path.join("log.previous")
    }

    /// The log of one process.
    #[must_use]
    pub fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
    }

    /// PostgreSQL's part. Inside the directory, unless PostgreSQL runs under another account that can't get there
    /// (a checkout below /root): then below /var/tmp, under a name derived from the directory's.
    #[must_use]
    pub fn postgres(&self) -> &Path {
        &self.postgres
    }

    /// PostgreSQL's data directory.
    pub(crate) fn postgres_data(&self) -> PathBuf {
        self.postgres.join("data")
    }

    /// Whether PostgreSQL's part is outside the directory.
    pub(crate) fn postgres_is_external(&self) -> bool {
        !self.postgres.starts_with(&self.path)
    }

    /// RabbitMQ's part.
    #[must_use]
    pub fn rabbitmq(&self) -> PathBuf {
        self.path.join("rabbitmq")
    }

    /// Jaeger's part.
    #[must_use]
    pub fn jaeger(&self) -> PathBuf {
        self.path.join("jaeger")
    }

    /// The gateway's part.
    #[must_use]
    pub fn gateway(&self) -> PathBuf {
        self.path.join("gateway")
    }

    /// Starts programs that belong to this directory.
    #[must_use]
    pub(crate) fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// Ends what still runs here after everything was stopped; returns the names. There should be none.
    pub(crate) async fn stop_leftovers(&self) -> Result<Vec<String>, Error> {
        let paths = DataPaths { directory: &self.path, postgres_data: &self.postgres_data() };
        leftovers::stop(paths).await.map_err(failed("look for processes of", &self.path))
    }

    /// Every run writes new logs; those of the run before are kept beside them.
    fn begin_logs(&self) -> Result<(), Error> {
        let logs = self.logs();
        let previous = self.previous_logs();
        if logs.exists() {
            remove(&previous)?;
            fs::rename(&logs, &previous).map_err(failed("rename", &logs))?;
        }
        create_private(&logs)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.ephemeral {
            // The processes are gone, nothing is written here any more; what can't be removed now is removed by
            // the next ephemeral run.
            let _ = remove(&self.postgres);
            let _ = remove(&self.path);
        }
    }
}

/// The kernel decides, not a comparison of modes, so that ACLs and mounts count too.
async fn can_reach(account: Account, launcher: &Launcher, directory: &Path) -> bool {
    let stop_policy = StopPolicy {
        signal: StopSignal::Kill,
        timeout: Duration::ZERO,
        parent_death_signal: StopSignal::Kill,
    };
    let test = launcher.program("test", Path::new("test"), stop_policy, Some(account));
    test.arg("-x").arg(directory).run().await.is_ok()
}

/// PostgreSQL's part outside the directory.
fn external_postgres(directory: &Path) -> PathBuf {
    let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, directory.as_os_str().as_encoded_bytes());
    Path::new("/var/tmp").join(format!("paysaga-postgres-{}", name.simple()))
}

/// Makes a directory that only we can enter.
fn create_private(path: &Path) -> Result<(), Error> {
    create(path, 0o700)
}

/// Makes a directory that only we can list, but that PostgreSQL's account may pass through on the way to its data
/// when we are root. Every secret in it is a file with mode 0600.
fn create_passable(path: &Path) -> Result<(), Error> {
    create(path, if account::is_root() { 0o711 } else { 0o700 })
}

fn create(path: &Path, mode: u32) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed("create", path))
}

/// In /var/tmp another user may have created it first, to read or change what we put there.
fn ensure_ours(path: &Path) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(path).map_err(failed("inspect", path))?;
    let ours = metadata.is_dir() && metadata.uid() == geteuid().as_raw();
    if ours { Ok(()) } else { Err(Error::Foreign(path.to_owned())) }
}

/// Removes the ephemeral directories of runs that were killed: those of our user that are not locked.
async fn remove_abandoned(parent: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(parent).map_err(failed("list", parent))?;
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(EPHEMERAL_PREFIX));
        let ours = entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw());
        if !named || !ours {
            continue;
        }
        let Some(_lock) = Lock::take_abandoned(&path) else { continue };
        let postgres = external_postgres(&path);
        for data in [path.join("postgres/data"), postgres.join("data")] {
            let paths = DataPaths { directory: &path, postgres_data: &data };
            leftovers::stop(paths).await.map_err(failed("look for processes of", &path))?;
        }
        remove(&postgres)?;
        remove(&path)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(path: &Path) -> Result<Directory, Error> {
        Directory::persistent(path, &Installation::of_this_machine()).await
    }

    #[tokio::test]
    async fn a_directory_is_used_by_one_process_at_a_time_and_the_error_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = open(&path).await.unwrap();
        let refusal = open(&path).await.unwrap_err().to_string();
        assert!(refusal.ends_with(&format!("(process {})", std::process::id())), "{refusal}");
        drop(first);
        open(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_directory_with_other_files_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "").unwrap();
        assert!(matches!(open(folder.path()).await, Err(Error::NotOurs(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn the_logs_of_the_run_before_are_kept_and_no_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        for run in ["one", "two", "three"] {
            let directory = open(&path).await.unwrap();
            fs::write(directory.log("order"), run).unwrap();
        }
        let last = open(&path).await.unwrap();
        assert!(!last.log("order").exists());
        assert_eq!(fs::read_to_string(path.join("log.previous/order.log")).unwrap(), "three");
    }

    #[tokio::test]
    async fn an_ephemeral_directory_is_removed_when_its_value_is_dropped() {
        let directory = Directory::ephemeral(&Installation::of_this_machine()).await.unwrap();
        let path = directory.path().to_owned();
        assert!(path.is_dir());
        drop(directory);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn only_ephemeral_directories_that_are_not_locked_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = parent.path().join(name);
            create_private(&path).unwrap();
            path
        };
        let held = folder("paysaga-held");
        let _lock = Lock::take(&held).unwrap();
        let abandoned = folder("paysaga-abandoned");
        drop(Lock::take(&abandoned).unwrap());
        let other = folder("paysaga-without-a-lock");
        remove_abandoned(parent.path()).await.unwrap();
        assert!(held.exists() && other.exists() && !abandoned.exists());
    }
}
