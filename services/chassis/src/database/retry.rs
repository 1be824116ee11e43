//! A transaction, tried until it is committed or until trying again would not help.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;

use super::{FailureKind, StoreError};
use crate::backoff::Backoff;
use crate::tasks::TaskContext;

/// How long one transaction may take, from its begin to the answer to its commit. A database host that vanished without
/// closing its connections would otherwise be waited for until the kernel gives up.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a transaction that meets a transient failure is tried.
const ATTEMPTS: u32 = 5;

/// Why a transaction is not tried again.
#[derive(Debug, Error)]
pub(crate) enum RetryError {
    /// What was to be written can't be written, or kept colliding with other transactions.
    #[error("{0}")]
    Failed(StoreError),
    /// The service stops while the transaction fails.
    #[error("the service is stopping")]
    Stopping,
}

/// Tries a transaction until it is committed. `attempt` runs the whole of it, anew each time.
///
/// While the database is unavailable it waits, as long as it takes, and the task's health says so. A transaction that
/// collides with another one is tried five times in all.
pub(crate) async fn retry<T, F>(task: &TaskContext, mut attempt: impl FnMut() -> F) -> Result<T, RetryError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut after_collision = Backoff::for_collision();
    let mut while_unavailable = Backoff::for_infrastructure();
    let mut attempts = 1;
    loop {
        let outcome = tokio::time::timeout(TRANSACTION_TIMEOUT, attempt()).await;
        let error = match outcome.unwrap_or(Err(StoreError::Timeout)) {
            Ok(done) => {
                task.health.up();
                return Ok(done);
            }
            Err(error) => error,
        };
        let backoff = match error.kind() {
            FailureKind::Transient if attempts < ATTEMPTS => {
                attempts += 1;
                &mut after_collision
            }
            FailureKind::Infrastructure => {
                task.health.down(error.to_string());
                &mut while_unavailable
            }
            FailureKind::Transient | FailureKind::Permanent => {
                // The database answers; what it refuses is the caller's business.
                task.health.up();
                return Err(RetryError::Failed(error));
            }
        };
        if task.unless_stopping(backoff.wait()).await.is_none() {
            return Err(RetryError::Stopping);
        }
    }
}
