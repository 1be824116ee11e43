//! Processes of a data directory that outlived the command that started them.
//!
//! Every process carries its directory in its environment ([`MARK`]) and hands it on to what it starts, so they
//! are found without pid files, which a crash leaves wrong. PostgreSQL's back ends write their title over their
//! environment; they are known by their working directory, which is the data directory.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use super::table;

/// The environment variable that names the data directory a process belongs to.
pub const MARK: &str = "PAYSAGA_DIRECTORY";

const POSTGRES: &str = "postgres";

/// A process that was found. Held by a file descriptor, so its id can't turn into another's.
#[derive(Debug)]
struct Leftover {
    name: String,
    process: OwnedFd,
}

/// What a process shows of itself. Empty where it may not be read: it is another user's then, and none of ours.
struct Seen {
    name: String,
    environment: Vec<u8>,
    works_in: PathBuf,
}

/// Ends every process that belongs to `directory` or is a PostgreSQL working in `postgres_data`, and waits until
/// it is gone. Returns their names.
pub async fn stop(directory: &Path, postgres_data: &Path) -> io::Result<Vec<String>> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let found = find(|seen| seen.carries_mark(directory) || seen.is_postgres_in(postgres_data))?;
    for leftover in &found {
        // PostgreSQL ends fast on SIGINT; on SIGTERM it would wait for its clients.
        leftover.signal(if leftover.name == POSTGRES { Signal::INT } else { Signal::TERM });
    }
    if tokio::time::timeout(PATIENCE, gone(&found)).await.is_err() {
        for leftover in &found {
            leftover.signal(Signal::KILL);
        }
        gone(&found).await;
    }
    Ok(found.into_iter().map(|leftover| leftover.name).collect())
}

/// Waits until no PostgreSQL process works in `data` any more: a server that was killed leaves its back ends to
/// notice by themselves, and a new one refuses to start until the last is gone.
pub(crate) async fn postgres_gone(data: &Path) -> io::Result<()> {
    gone(&find(|seen| seen.is_postgres_in(data))?).await;
    Ok(())
}

async fn gone(leftovers: &[Leftover]) {
    join_all(leftovers.iter().map(Leftover::gone)).await;
}

fn find(belongs: impl Fn(&Seen) -> bool) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    for (id, process) in table::list()? {
        let Some(pid) = Pid::from_raw(id).filter(|pid| *pid != getpid()) else { continue };
        // Opened before it is looked at: what is read below is then of this process or of none.
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        let seen = Seen {
            name: fs::read_to_string(process.join("comm")).unwrap_or_default().trim_end().to_owned(),
            environment: fs::read(process.join("environ")).unwrap_or_default(),
            works_in: fs::read_link(process.join("cwd")).unwrap_or_default(),
        };
        if belongs(&seen) {
            found.push(Leftover { name: seen.name, process: held });
        }
    }
    Ok(found)
}

impl Seen {
    fn carries_mark(&self, directory: &Path) -> bool {
        self.environment
            .split(|byte| *byte == 0)
            .filter_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))
            .any(|value| value == directory.as_os_str().as_bytes())
    }

    fn is_postgres_in(&self, data: &Path) -> bool {
        self.name == POSTGRES && self.works_in == data
    }
}

impl Leftover {
    fn signal(&self, signal: Signal) {
        // Fails only for a process that has ended already.
        let _ = pidfd_send_signal(&self.process, signal);
    }

    /// A pidfd becomes readable when its process ends (`pidfd_open(2)`).
    async fn gone(&self) {
        const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
        const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        while poll(&mut [PollFd::new(&self.process, PollFlags::IN)], Some(&AT_ONCE)) == Ok(0) {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_mark_must_match_the_whole_path() {
        let seen = Seen {
            name: "order".to_owned(),
            environment: b"PATH=/bin\0PAYSAGA_DIRECTORY=/tmp/one\0HOME=/".to_vec(),
            works_in: PathBuf::from("/"),
        };
        assert!(seen.carries_mark(Path::new("/tmp/one")));
        assert!(!seen.carries_mark(Path::new("/tmp/on")));
        assert!(!seen.carries_mark(Path::new("/tmp/one/two")));
    }

    #[tokio::test]
    async fn a_process_that_carries_the_mark_is_ended_and_another_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let sleeper = |mark: &Path| {
            Command::new("sleep").arg("60").env(MARK, mark).stdin(Stdio::null()).spawn().unwrap()
        };
        let mut ours = sleeper(folder.path());
        let mut other = sleeper(Path::new("/somewhere/else"));
        assert_eq!(stop(folder.path(), Path::new("/nowhere")).await.unwrap().len(), 1);
        assert!(!ours.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
