//! What can go wrong while a stack is set up, started or stopped.

use std::io;
use std::path::{Path, PathBuf};

use crate::directory::LockError;
use crate::http::ClientError;
use crate::installation::NotInstalled;
use crate::ports::NoFreePort;
use crate::postgres::DatabaseError;
use crate::process::ProcessError;
use crate::rabbitmq::ManagementError;
use crate::stack::plan::Obstacles;

/// A part of the stack can't be set up, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not installed.
    #[error(transparent)]
    NotInstalled(#[from] NotInstalled),
    /// Several things are in the way of a start.
    #[error(transparent)]
    Obstacles(#[from] Obstacles),
    /// Another paysaga uses the data directory, or its lock can't be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The data directory exists and holds something else.
    #[error("{0} is neither empty nor a data directory of paysaga; choose another with --directory")]
    NotOurs(PathBuf),
    /// A directory that we would have to trust belongs to another user.
    #[error("{0} belongs to another user; remove it first")]
    Foreign(PathBuf),
    /// A file operation failed.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A server has nothing to listen on.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// A process could not be started, ended by itself, or was not ready in time.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// PostgreSQL refused a statement or a connection.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// RabbitMQ's HTTP API refused a request or did not answer.
    #[error(transparent)]
    Management(#[from] ManagementError),
    /// No HTTP client can be made.
    #[error(transparent)]
    Http(#[from] ClientError),
}

/// Turns the error of a file operation into ours: `.map_err(failed("create", path))`.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}
