//! Processes of a data directory that outlived the command that started them.
//!
//! Every process carries its directory in its environment ([`MARK`]) and hands it on to what it starts, so they
//! are found without pid files, which a crash leaves wrong. PostgreSQL's back ends write their title over their
//! environment; they are known by their working directory, which is the data directory.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use procfs::process::{self, all_processes};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

/// The environment variable that names the data directory a process belongs to.
pub(crate) const MARK: &str = "PAYSAGA_DIRECTORY";

const POSTGRES: &str = "postgres";

/// Where the processes of a data directory are recognised by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataPaths<'a> {
    /// The data directory, which the processes have in their environment.
    pub(crate) directory: &'a Path,
    /// The working directory of PostgreSQL's processes.
    pub(crate) postgres_data: &'a Path,
}

/// A process that was found. Held by a file descriptor, so that a new process with its id is not taken for it.
#[derive(Debug)]
struct Leftover {
    name: String,
    process: OwnedFd,
}

/// What /proc shows of a process. Empty where it may not be read: the process is another user's then, and none of ours.
struct ProcessInfo {
    name: String,
    mark: Option<OsString>,
    working_directory: PathBuf,
}

/// Ends every process that belongs to the data directory, and waits until it is gone. Returns their names.
pub(crate) async fn stop(paths: DataPaths<'_>) -> io::Result<Vec<String>> {
    const TIMEOUT: Duration = Duration::from_secs(10);
    let found = find(|info| info.carries_mark(paths.directory) || info.is_postgres_in(paths.postgres_data))?;
    for leftover in &found {
        // PostgreSQL ends fast on SIGINT; on SIGTERM it would wait for its clients.
        leftover.signal(if leftover.name == POSTGRES { Signal::INT } else { Signal::TERM });
    }
    if tokio::time::timeout(TIMEOUT, gone(&found)).await.is_err() {
        for leftover in &found {
            leftover.signal(Signal::KILL);
        }
        gone(&found).await;
    }
    Ok(found.into_iter().map(|leftover| leftover.name).collect())
}

/// Waits until no PostgreSQL process works in `data` any more: the back ends of a server that was killed notice it by
/// themselves, and a new server refuses to start until the last of them is gone.
pub(crate) async fn postgres_gone(data: &Path) -> io::Result<()> {
    gone(&find(|info| info.is_postgres_in(data))?).await;
    Ok(())
}

async fn gone(leftovers: &[Leftover]) {
    join_all(leftovers.iter().map(Leftover::gone)).await;
}

fn find(belongs: impl Fn(&ProcessInfo) -> bool) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    // A process that has ended since the list was read is an error here.
    for process in all_processes().map_err(io::Error::other)?.flatten() {
        let Some(pid) = Pid::from_raw(process.pid()).filter(|pid| *pid != getpid()) else { continue };
        // Opened before the process is read: as long as /proc still shows it, its id was not given to another.
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let info = ProcessInfo::read(&process);
        if belongs(&info) {
            found.push(Leftover { name: info.name, process: held });
        }
    }
    Ok(found)
}

impl ProcessInfo {
    fn read(process: &process::Process) -> Self {
        Self {
            name: process.stat().map(|stat| stat.comm).unwrap_or_default(),
            mark: process.environ().ok().and_then(|mut variables| variables.remove(OsStr::new(MARK))),
            working_directory: process.cwd().unwrap_or_default(),
        }
    }

    fn carries_mark(&self, directory: &Path) -> bool {
        self.mark.as_deref() == Some(directory.as_os_str())
    }

    fn is_postgres_in(&self, data: &Path) -> bool {
        self.name == POSTGRES && self.working_directory == data
    }
}

impl Leftover {
    fn signal(&self, signal: Signal) {
        // Fails only for a process that has ended already.
        let _ = pidfd_send_signal(&self.process, signal);
    }

    /// A pidfd becomes readable when its process ends (`pidfd_open(2)`).
    async fn gone(&self) {
        const POLL_INTERVAL: Duration = Duration::from_millis(20);
        const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        while poll(&mut [PollFd::new(&self.process, PollFlags::IN)], Some(&AT_ONCE)) == Ok(0) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn sleeper(mark: &Path) -> Child {
        Command::new("sleep").arg("60").env(MARK, mark).stdin(Stdio::null()).spawn().unwrap()
    }

    #[tokio::test]
    async fn only_a_process_that_carries_exactly_this_mark_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut ours = sleeper(folder.path());
        let others =
            [Path::new("/somewhere/else"), &folder.path().join("below"), folder.path().parent().unwrap()];
        let others = others.map(sleeper);
        let paths = DataPaths { directory: folder.path(), postgres_data: Path::new("/nowhere") };
        assert_eq!(stop(paths).await.unwrap(), ["sleep"]);
        assert!(!ours.wait().unwrap().success());
        for mut other in others {
            assert!(other.try_wait().unwrap().is_none());
            other.kill().unwrap();
            other.wait().unwrap();
        }
    }
}
