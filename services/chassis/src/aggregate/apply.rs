//! The one loop: load, transition, save, commit; together if that works, one by one if not.

use std::slice;
use std::sync::Arc;

use sqlx::PgPool;
use thiserror::Error;
use tracing::debug;

use super::batch::Batch;
use super::lock::lock;
use super::{Aggregate, Changes, IfLocked, Triggered, early_cancellations};
use crate::crash_here;
use crate::database::{RetryError, StoreError, retry};
use crate::outbox::Outbox;
use crate::tasks::Task;

/// What became of a trigger.
#[derive(Debug)]
pub enum Outcome<Call> {
    /// It was applied, which is committed, and this is to be done outside of the service.
    Applied(Option<Call>),
    /// It can't be applied, however often it is tried; nothing changed.
    Rejected(Rejection),
}

/// Why a trigger can't be applied.
#[derive(Debug, Error)]
pub enum Rejection {
    /// The contract rules it out.
    #[error("{0}")]
    Violation(String),
    /// What follows from it can't be stored.
    #[error("still failing: {0}")]
    Store(StoreError),
}

/// The service stops before the triggers could be applied; they are still where they were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the service is stopping")]
pub struct Stopping;

/// Applies triggers to a service's aggregate. Cheap to clone.
pub struct Applier<A> {
    aggregate: Arc<A>,
    pool: PgPool,
    outbox: Outbox,
}

impl<A: Aggregate> Applier<A> {
    pub(crate) fn new(aggregate: A, pool: PgPool, outbox: Outbox) -> Self {
        Self { aggregate: Arc::new(aggregate), pool, outbox }
    }

    /// Applies triggers in their order; the outcomes are in the same order, without those of triggers that were skipped.
    ///
    /// All of them share one transaction. If that can't be committed, each gets a transaction of its own, so that one
    /// that can't be stored does not keep the others from being applied. While the database is unavailable it waits, and
    /// the task's health says so.
    pub async fn apply(
        &self,
        triggers: &[Triggered<A::Trigger>],
        if_locked: IfLocked,
        task: &Task,
    ) -> Result<Vec<Outcome<A::Call>>, Stopping> {
        match (self.apply_together(triggers, if_locked, task).await, triggers) {
            (Ok(outcomes), _) => Ok(outcomes),
            (Err(RetryError::Stopping), _) => Err(Stopping),
            (Err(RetryError::Failed(error)), [_]) => Ok(vec![Outcome::Rejected(Rejection::Store(error))]),
            (Err(RetryError::Failed(error)), _) => {
                debug!(%error, count = triggers.len(), "a batch of triggers failed; applying them one by one");
                self.apply_one_by_one(triggers, if_locked, task).await
            }
        }
    }

    async fn apply_one_by_one(
        &self,
        triggers: &[Triggered<A::Trigger>],
        if_locked: IfLocked,
        task: &Task,
    ) -> Result<Vec<Outcome<A::Call>>, Stopping> {
        let mut outcomes = Vec::with_capacity(triggers.len());
        for triggered in triggers {
            match self.apply_together(slice::from_ref(triggered), if_locked, task).await {
                Ok(outcome) => outcomes.extend(outcome),
                Err(RetryError::Failed(error)) => outcomes.push(Outcome::Rejected(Rejection::Store(error))),
                Err(RetryError::Stopping) => return Err(Stopping),
            }
        }
        Ok(outcomes)
    }

    async fn apply_together(
        &self,
        triggers: &[Triggered<A::Trigger>],
        if_locked: IfLocked,
        task: &Task,
    ) -> Result<Vec<Outcome<A::Call>>, RetryError> {
        if triggers.is_empty() {
            return Ok(Vec::new());
        }
        let (batch, changes) = retry(task, || self.transaction(triggers, if_locked)).await?;
        self.aggregate.committed(&changes);
        self.outbox.publish(batch.messages);
        Ok(batch.outcomes)
    }

    async fn transaction<'a>(
        &self,
        triggers: &'a [Triggered<A::Trigger>],
        if_locked: IfLocked,
    ) -> Result<(Batch<'a, A>, Changes<'a, A::Entity>), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let locked = lock(&mut transaction, triggers, if_locked).await?;
        let known = self.aggregate.load(&mut transaction, &locked).await?;
        let states = early_cancellations::complete(&mut transaction, &locked, known).await?;
        let mut batch = Batch::<A>::new(states);
        for triggered in triggers {
            batch.apply(triggered)?;
        }
        let changes = batch.changes();
        early_cancellations::insert(&mut transaction, &changes.cancelled_early).await?;
        self.aggregate.save(&mut transaction, &changes).await?;
        self.outbox.insert(&mut transaction, &batch.messages).await?;
        crash_here!("before-commit");
        transaction.commit().await?;
        crash_here!("after-commit-before-publish");
        Ok((batch, changes))
    }
}

impl<A> Clone for Applier<A> {
    fn clone(&self) -> Self {
        Self { aggregate: Arc::clone(&self.aggregate), pool: self.pool.clone(), outbox: self.outbox.clone() }
    }
}
