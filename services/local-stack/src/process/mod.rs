//! A child process that cannot outlive us.
//!
//! Three nets, one below the other:
//! 1. [`Process::stop`] asks politely, waits, and kills what doesn't listen: the ordinary way.
//! 2. Dropping a [`Process`] does the same, blocking: an error half-way, a panic.
//! 3. `setpriv --pdeathsig` has the kernel send a signal when we are killed ourselves.
//!
//! What slips through even so (a grandchild, a kill between fork and `setpriv`) is found by the mark in its
//! environment when its directory is used again, see `leftovers`.

pub(crate) mod launcher;
pub(crate) mod leftovers;
mod log;
mod spawner;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

/// How a program is asked to end, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// The polite signal.
    pub signal: StopSignal,
    /// How long to wait after it before SIGKILL.
    pub patience: Duration,
    /// What the kernel sends it if we are killed. Usually the polite signal too.
    pub orphaned: StopSignal,
}

/// The signals that mean "end in good order" to the programs we start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: PostgreSQL's fast shutdown (its SIGTERM would wait for every client to leave).
    Interrupt,
    /// SIGTERM: what everything else understands.
    Terminate,
    /// SIGKILL: for what may miss a polite signal.
    Kill,
}

/// How a process ended that was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// By itself, within its time.
    InOrder,
    /// By SIGKILL, because its time was up.
    Killed,
}

/// A child process could not be started, or ended when it should not have.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program could not be executed.
    #[error("cannot start {name} ({program}): {source}")]
    Start {
        /// What it is to us.
        name: &'static str,
        /// The file.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its log file could not be opened.
    #[error("cannot open the log {log}: {source}")]
    Log {
        /// The file.
        log: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("{name} ended by itself ({status}); the end of its log {log}:\n{tail}")]
    Ended {
        /// What it is to us.
        name: &'static str,
        /// Exit code or signal.
        status: ExitStatus,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// It was run to do one thing, and failed.
    #[error("{name} failed ({status}):\n{output}")]
    Failed {
        /// What it is to us.
        name: &'static str,
        /// Exit code or signal.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// It runs, but was not ready in time.
    #[error("{name} was not ready after {} s: {reason}; the end of its log {log}:\n{tail}", .after.as_secs())]
    NotReady {
        /// What it is to us.
        name: &'static str,
        /// How long we waited.
        after: Duration,
        /// What the last look at it said.
        reason: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// It can't be waited for or signalled.
    #[error("lost hold of {name}: {source}")]
    Lost {
        /// What it is to us.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    ending: Ending,
    log: PathBuf,
    child: Child,
}

impl Process {
    fn new(name: &'static str, ending: Ending, log: PathBuf, child: Child) -> Self {
        Self { name, ending, log, child }
    }

    /// What it is to us.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id; `None` once it ended and was waited for.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it ends by itself and says so as the error that this is. May be dropped and called again.
    pub async fn ended(&mut self) -> ProcessError {
        match self.child.wait().await {
            Ok(status) => ProcessError::Ended {
                name: self.name,
                status,
                log: self.log.clone(),
                tail: log::tail(&self.log),
            },
            Err(source) => ProcessError::Lost { name: self.name, source },
        }
    }

    /// Waits until `probe` succeeds. Fails at once when the process ends first, and after `patience` with the
    /// reason that the last probe gave.
    pub async fn ready<Probe, Look>(
        &mut self,
        patience: Duration,
        mut probe: Probe,
    ) -> Result<(), ProcessError>
    where
        Probe: FnMut() -> Look,
        Look: Future<Output = Result<(), String>>,
    {
        const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
        let mut reason = "no answer".to_owned();
        let answered = async {
            while let Err(why) = probe().await {
                reason = why;
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        };
        let ready = tokio::select! {
            // First: what answers after our process has ended is not our process.
            biased;
            ended = self.ended() => return Err(ended),
            answered = tokio::time::timeout(patience, answered) => answered,
        };
        ready.map_err(|_| ProcessError::NotReady {
            name: self.name,
            after: patience,
            reason,
            log: self.log.clone(),
            tail: log::tail(&self.log),
        })
    }

    /// Asks it to end, waits its time, kills it if need be. May be dropped half-way and called again.
    pub async fn stop(&mut self) -> Result<Stopped, ProcessError> {
        self.stop_within(self.ending.patience).await
    }

    /// Like [`Process::stop`], with another patience than its own.
    pub async fn stop_within(&mut self, patience: Duration) -> Result<Stopped, ProcessError> {
        self.signal(self.ending.signal.signal());
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(Ok(_)) => Ok(Stopped::InOrder),
            Ok(Err(source)) => Err(ProcessError::Lost { name: self.name, source }),
            Err(_) => self.kill().await.map(|()| Stopped::Killed),
        }
    }

    /// Kills it: the crash test, and the last resort. Changes nothing if it has ended.
    pub async fn kill(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::KILL);
        let ended = self.child.wait().await;
        ended.map(drop).map_err(|source| ProcessError::Lost { name: self.name, source })
    }

    fn signal(&self, signal: Signal) {
        // The id is ours for as long as the child has not been waited for, so it can't have been given to another.
        if let Some(pid) = self.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            // Fails only if it has ended already, which is what the signal is for.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
        self.signal(self.ending.signal.signal());
        let deadline = Instant::now() + self.ending.patience;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                self.signal(Signal::KILL);
            }
            thread::sleep(BETWEEN_LOOKS);
        }
    }
}

impl StopSignal {
    /// The name by which `setpriv` knows it.
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "INT",
            Self::Terminate => "TERM",
            Self::Kill => "KILL",
        }
    }

    fn signal(self) -> Signal {
        match self {
            Self::Interrupt => Signal::INT,
            Self::Terminate => Signal::TERM,
            Self::Kill => Signal::KILL,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::launcher::Launcher;
    use super::*;
    use crate::installation::Installation;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn shell(folder: &Path, script: &str, patience: Duration) -> Process {
        let launcher = Launcher::new(&Installation::of_this_machine(), folder).unwrap();
        let ending = Ending { signal: StopSignal::Terminate, patience, orphaned: StopSignal::Terminate };
        launcher
            .program("shell", Path::new("/bin/sh"), ending, None)
            .arg("-c")
            .arg(script)
            .spawn(&folder.join("shell.log"))
            .unwrap()
    }

    async fn says(process: &mut Process, folder: &Path, word: &str) {
        let log = folder.join("shell.log");
        let look =
            || async { if log::tail(&log).contains(word) { Ok(()) } else { Err("nothing".to_owned()) } };
        process.ready(PATIENCE, look).await.unwrap();
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_told_with_its_status_and_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "echo out of ink; exit 3", PATIENCE);
        let message = process.ended().await.to_string();
        assert!(message.contains("exit status: 3") && message.contains("out of ink"), "{message}");
    }

    #[tokio::test]
    async fn a_process_that_ends_is_not_waited_for_until_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "exit 4", PATIENCE);
        let never = || async { Err("not yet".to_owned()) };
        assert!(matches!(process.ready(PATIENCE, never).await, Err(ProcessError::Ended { .. })));
    }

    #[tokio::test]
    async fn a_process_that_is_never_ready_is_told_with_the_last_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "exec sleep 60", PATIENCE);
        let never = || async { Err("still asleep".to_owned()) };
        let message = process.ready(Duration::from_millis(120), never).await.unwrap_err().to_string();
        assert!(message.contains("still asleep"), "{message}");
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_polite_signal_is_killed_when_its_time_is_up() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; echo deaf; while :; do sleep 0.05; done";
        let mut process = shell(folder.path(), script, Duration::from_millis(200));
        says(&mut process, folder.path(), "deaf").await;
        assert_eq!(process.stop().await.unwrap(), Stopped::Killed);
    }

    #[tokio::test]
    async fn dropping_a_process_ends_it_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo good bye; exit' TERM; echo here; while :; do sleep 0.05; done";
        let mut process = shell(folder.path(), script, PATIENCE);
        says(&mut process, folder.path(), "here").await;
        drop(process);
        assert!(log::tail(&folder.path().join("shell.log")).contains("good bye"));
    }
}
