//! What can go wrong with a child process.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A child process could not be started, or ended when it should not have.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program could not be executed.
    #[error("cannot start {name} ({program}): {source}")]
    Start {
        /// Which program it is.
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
        /// Which program it is.
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
        /// Which program it is.
        name: &'static str,
        /// Exit code or signal.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// It runs, but was not ready in time.
    #[error("{name} was not ready after {} s: {reason}; the end of its log {log}:\n{tail}", .after.as_secs())]
    NotReady {
        /// Which program it is.
        name: &'static str,
        /// How long it was waited for.
        after: Duration,
        /// The reason that the last probe gave.
        reason: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// It can't be waited for.
    #[error("cannot wait for {name}: {source}")]
    Wait {
        /// Which program it is.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
}
