//! A child process that cannot outlive us.
//!
//! It is ended in one of three ways:
//! 1. [`Process::stop`] sends the stop signal, waits, and kills the process if it does not end in time: the ordinary way.
//! 2. Dropping a [`Process`] does the same, blocking: an error half-way, a panic.
//! 3. `setpriv --pdeathsig` has the kernel send a signal when we are killed ourselves.
//!
//! What is left even so (a grandchild, a kill between fork and `setpriv`) is found by the mark in its
//! environment when its directory is used again, see `leftovers`.

mod error;
pub(crate) mod launcher;
pub(crate) mod leftovers;
mod log;
mod spawner;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

pub use error::ProcessError;

/// How a program is stopped, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub struct StopPolicy {
    /// The signal that makes it end in good order.
    pub signal: StopSignal,
    /// How long to wait after it before SIGKILL.
    pub timeout: Duration,
    /// The signal that the kernel sends it when we are killed (`PR_SET_PDEATHSIG`).
    pub parent_death_signal: StopSignal,
}

/// The signals that mean "end in good order" to the programs we start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: PostgreSQL's fast shutdown (its SIGTERM would wait for every client to leave).
    Interrupt,
    /// SIGTERM: what everything else understands.
    Terminate,
    /// SIGKILL: for a program that may miss another signal.
    Kill,
}

/// How a process ended that was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// In good order, in time.
    InOrder,
    /// By SIGKILL, because it took too long.
    Killed,
}

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    stop_policy: StopPolicy,
    log: PathBuf,
    child: Child,
}

impl Process {
    fn new(name: &'static str, stop_policy: StopPolicy, log: PathBuf, child: Child) -> Self {
        Self { name, stop_policy, log, child }
    }

    /// The program's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id; `None` once it ended and was waited for.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it ends by itself, which is an error. May be dropped and called again.
    pub async fn ended(&mut self) -> ProcessError {
        match self.child.wait().await {
            Ok(status) => ProcessError::Ended {
                name: self.name,
                status,
                log: self.log.clone(),
                tail: log::tail(&self.log),
            },
            Err(source) => ProcessError::Wait { name: self.name, source },
        }
    }

    /// Waits until `probe` succeeds. Fails at once when the process ends first, and after `timeout` with the
    /// reason that the last probe gave.
    pub async fn ready<Probe, Answer>(
        &mut self,
        timeout: Duration,
        mut probe: Probe,
    ) -> Result<(), ProcessError>
    where
        Probe: FnMut() -> Answer,
        Answer: Future<Output = Result<(), String>>,
    {
        const POLL_INTERVAL: Duration = Duration::from_millis(50);
        let mut reason = "no answer".to_owned();
        let answered = async {
            while let Err(why) = probe().await {
                reason = why;
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let ready = tokio::select! {
            // First: what answers after our process has ended is another process.
            biased;
            ended = self.ended() => return Err(ended),
            answered = tokio::time::timeout(timeout, answered) => answered,
        };
        ready.map_err(|_| ProcessError::NotReady {
            name: self.name,
            after: timeout,
            reason,
            log: self.log.clone(),
            tail: log::tail(&self.log),
        })
    }

    /// Sends the stop signal, waits, and kills it when its time is up. May be dropped half-way and called again.
    pub async fn stop(&mut self) -> Result<Stopped, ProcessError> {
        self.stop_within(self.stop_policy.timeout).await
    }

    /// Like [`Process::stop`], with another timeout than its own.
    pub(crate) async fn stop_within(&mut self, timeout: Duration) -> Result<Stopped, ProcessError> {
        self.signal(self.stop_policy.signal.signal());
        match tokio::time::timeout(timeout, self.child.wait()).await {
            Ok(Ok(_)) => Ok(Stopped::InOrder),
            Ok(Err(source)) => Err(ProcessError::Wait { name: self.name, source }),
            Err(_) => self.kill().await.map(|()| Stopped::Killed),
        }
    }

    /// Kills it: the crash test, and the last resort. Changes nothing if it has ended.
    pub async fn kill(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::KILL);
        let ended = self.child.wait().await;
        ended.map(drop).map_err(|source| ProcessError::Wait { name: self.name, source })
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
        const POLL_INTERVAL: Duration = Duration::from_millis(10);
        self.signal(self.stop_policy.signal.signal());
        let deadline = Instant::now() + self.stop_policy.timeout;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                self.signal(Signal::KILL);
            }
            thread::sleep(POLL_INTERVAL);
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

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn shell(folder: &Path, script: &str, timeout: Duration) -> Process {
        let launcher = Launcher::new(&Installation::of_this_machine(), folder).unwrap();
        let stop_policy =
            StopPolicy { signal: StopSignal::Terminate, timeout, parent_death_signal: StopSignal::Terminate };
        launcher
            .program("shell", Path::new("/bin/sh"), stop_policy, None)
            .arg("-c")
            .arg(script)
            .spawn(&folder.join("shell.log"))
            .unwrap()
    }

    async fn prints(process: &mut Process, folder: &Path, word: &str) {
        let log = folder.join("shell.log");
        let probe =
            || async { if log::tail(&log).contains(word) { Ok(()) } else { Err("nothing".to_owned()) } };
        process.ready(TIMEOUT, probe).await.unwrap();
    }

    #[tokio::test]
    async fn the_error_about_a_process_that_ended_has_its_status_and_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "echo out of ink; exit 3", TIMEOUT);
        let message = process.ended().await.to_string();
        assert!(message.contains("exit status: 3") && message.contains("out of ink"), "{message}");
    }

    #[tokio::test]
    async fn a_process_that_ends_is_not_waited_for_until_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "exit 4", TIMEOUT);
        let never = || async { Err("not yet".to_owned()) };
        assert!(matches!(process.ready(TIMEOUT, never).await, Err(ProcessError::Ended { .. })));
    }

    #[tokio::test]
    async fn the_error_about_a_process_that_is_never_ready_has_the_last_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "exec sleep 60", TIMEOUT);
        let never = || async { Err("still asleep".to_owned()) };
        let message = process.ready(Duration::from_millis(120), never).await.unwrap_err().to_string();
        assert!(message.contains("still asleep"), "{message}");
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_stop_signal_is_killed_when_its_time_is_up() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; echo ignoring; while :; do sleep 0.05; done";
        let mut process = shell(folder.path(), script, Duration::from_millis(200));
        prints(&mut process, folder.path(), "ignoring").await;
        assert_eq!(process.stop().await.unwrap(), Stopped::Killed);
    }

    #[tokio::test]
    async fn dropping_a_process_ends_it_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo stopped; exit' TERM; echo here; while :; do sleep 0.05; done";
        let mut process = shell(folder.path(), script, TIMEOUT);
        prints(&mut process, folder.path(), "here").await;
        drop(process);
        assert!(log::tail(&folder.path().join("shell.log")).contains("stopped"));
    }
}
