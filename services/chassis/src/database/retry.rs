//! A transaction, tried until it is committed or until trying again would not help.

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use sqlx::{Connection, PgPool};
use strum::VariantArray;
use thiserror::Error;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{FailureKind, StoreError};
use crate::aggregate::Stopping;
use crate::backoff::Backoff;
use crate::tasks::TaskContext;
use crate::telemetry::{METER, is_recorded};

/// How long one transaction may take, from its begin to the answer to its commit: longer than PostgreSQL lets a statement
/// take, and less than a service has to shut down. A database host that vanished without closing its connections would
/// otherwise be waited for until the kernel gives up.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(8);

/// How often a transaction that collides with others is tried before that counts as more than a coincidence.
const ATTEMPTS: u32 = 5;

static RETRIES: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER
        .u64_counter("paysaga.transaction.retries")
        .with_description("Transactions that were tried again, by what had kept them from being committed.")
        .build()
});

/// What to do when other transactions keep one from being committed: locks, collisions, timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfHeldUp {
    /// Try it again until it is committed. Meanwhile the task is not healthy.
    Persist,
    /// Give up after a lock that was not released in time, or after a few collisions: there is another way.
    GiveUp,
}

/// Why a transaction is not tried again.
#[derive(Debug, Error)]
pub(crate) enum RetryError {
    /// What was to be written can't be written; with [`IfHeldUp::GiveUp`], not now.
    #[error("{0}")]
    Failed(StoreError),
    /// The service stops while the transaction fails.
    #[error("the service is stopping")]
    Stopping,
}

/// Makes the counter visible before there is something to count: what appears later has no rate at first.
pub(crate) fn start_counting_retries() {
    for kind in FailureKind::VARIANTS {
        RETRIES.add(0, &[KeyValue::new("kind", <&str>::from(kind))]);
    }
}

/// Counts a transaction that is tried again, and tells the trace why.
pub(crate) fn count_retry(error: &StoreError) {
    let kind = error.kind();
    RETRIES.add(1, &[KeyValue::new("kind", <&str>::from(kind))]);
    let span = Span::current();
    if is_recorded(&span) {
        let sqlstate = error.sqlstate().unwrap_or_default();
        span.add_event(
            "transaction tried again",
            vec![
                KeyValue::new("reason", <&str>::from(kind)),
                KeyValue::new("db.response.status_code", sqlstate),
                KeyValue::new("exception.message", error.to_string()),
            ],
        );
    }
}

/// Tries a transaction until it is committed. `attempt` runs the whole of it, anew each time.
///
/// While the database is unavailable it waits, as long as it takes, and the task's health says so.
pub(crate) async fn retry<T, F>(
    task: &TaskContext,
    if_held_up: IfHeldUp,
    mut attempt: impl FnMut() -> F,
) -> Result<T, RetryError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut after_collision = Backoff::for_collision();
    let mut while_unavailable = Backoff::for_infrastructure();
    let mut collisions = 0;
    loop {
        let error = match in_time(attempt()).await {
            Ok(done) => {
                task.health.up();
                return Ok(done);
            }
            Err(error) => error,
        };
        let kind = error.kind();
        collisions += u32::from(matches!(kind, FailureKind::Collision | FailureKind::Conflict));
        let backoff = match kind {
            FailureKind::Collision | FailureKind::Conflict if collisions < ATTEMPTS => &mut after_collision,
            FailureKind::Collision | FailureKind::Locked if if_held_up == IfHeldUp::GiveUp => {
                return Err(RetryError::Failed(error));
            }
            FailureKind::Conflict | FailureKind::Permanent => {
                // The database answers; what it refuses is the caller's business.
                task.health.up();
                return Err(RetryError::Failed(error));
            }
            FailureKind::Collision | FailureKind::Locked | FailureKind::Infrastructure => {
                task.health.down(error.to_string());
                &mut while_unavailable
            }
        };
        count_retry(&error);
        if task.unless_stopping(backoff.wait()).await.is_none() {
            return Err(RetryError::Stopping);
        }
    }
}

/// Waits until the database answers. Meanwhile the task is not healthy; whether it is afterwards, the caller knows.
pub(crate) async fn answers(pool: &PgPool, task: &TaskContext) -> Result<(), Stopping> {
    let mut backoff = Backoff::for_infrastructure();
    let ask = || async { Ok(pool.acquire().await?.ping().await?) };
    while let Err(error) = in_time(ask()).await {
        task.health.down(error.to_string());
        task.unless_stopping(backoff.wait()).await.ok_or(Stopping)?;
    }
    Ok(())
}

/// Waits for a transaction, but not indefinitely. What it did to the database when its time is up is not known.
pub async fn in_time<T>(transaction: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(TRANSACTION_TIMEOUT, transaction).await.unwrap_or(Err(StoreError::Timeout))
}
