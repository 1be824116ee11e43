//! A unit of work, tried until it is committed or until waiting would not mend it.

use std::future::Future;
use std::io;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::{Outbox, UnitOfWork};
use crate::backoff::Backoff;
use crate::database::{Failure, TRANSACTION_TIMEOUT};
use crate::health::HealthPart;

/// How often a unit of work that meets a transient failure is tried.
const ATTEMPTS: u32 = 5;

/// What is to be done in a transaction.
pub trait Work: Sync {
    /// What it comes to.
    type Output;

    /// Does it. Runs anew each time the transaction is tried, and must start from what it reads.
    fn run(&self, unit: &mut UnitOfWork) -> impl Future<Output = Result<Self::Output, sqlx::Error>> + Send;
}

/// Why a unit of work was given up.
#[derive(Debug, Error)]
pub enum GaveUp {
    /// What was to be written can't be written, or kept colliding with other transactions.
    #[error("{0}")]
    Failed(sqlx::Error),
    /// The service stops, and the database is away.
    #[error("stopping")]
    Stopping,
}

impl Outbox {
    /// Runs `work` in a transaction and commits it.
    ///
    /// While the database is away it waits, as long as it takes, and `health` says so. A transaction that collides
    /// with another one is tried five times in all.
    pub async fn transact<W: Work>(
        &self,
        health: &HealthPart,
        stopping: &CancellationToken,
        work: &W,
    ) -> Result<W::Output, GaveUp> {
        let mut transient = Backoff::for_message();
        let mut away = Backoff::for_infrastructure();
        let mut attempt = 1;
        loop {
            let transaction = async {
                let mut unit = self.begin().await?;
                let done = work.run(&mut unit).await?;
                unit.commit().await?;
                Ok(done)
            };
            let error = match tokio::time::timeout(TRANSACTION_TIMEOUT, transaction).await {
                Ok(Ok(done)) => {
                    health.up();
                    return Ok(done);
                }
                Ok(Err(error)) => error,
                Err(_) => sqlx::Error::Io(io::ErrorKind::TimedOut.into()),
            };
            let wait = match Failure::of(&error) {
                Failure::Transient if attempt < ATTEMPTS => {
                    attempt += 1;
                    &mut transient
                }
                Failure::Infrastructure => {
                    health.down(error.to_string());
                    &mut away
                }
                Failure::Transient | Failure::Message => return Err(GaveUp::Failed(error)),
            };
            tokio::select! {
                biased;
                () = stopping.cancelled() => return Err(GaveUp::Stopping),
                () = wait.wait() => {}
            }
        }
    }
}
