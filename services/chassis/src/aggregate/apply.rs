//! The one loop: load, transition, save, commit; together if that works, one by one if not.

use std::collections::HashSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::slice;
use std::sync::Arc;
use std::time::Instant;

use contracts::OrderId;
use futures_util::FutureExt;
use sqlx::{Connection, PgPool};
use tracing::{Instrument, Span, debug, error};

use super::batch::{Applied, Batch};
use super::lock::{IfLocked, lock};
use super::observe::{SharedTransaction, SpansOfOrders, observe};
use super::{Aggregate, Outcome, Rejection, Stopping, Stored, Triggered, early_cancellations};
use crate::crash_here;
use crate::database::{Connections, IfHeldUp, RetryError, StoreError, count_retry, retry};
use crate::outbox::Outbox;
use crate::panics;
use crate::tasks::TaskContext;
use crate::telemetry::record_wait;

/// Applies triggers to a service's aggregate. Cheap to clone.
pub struct Applier<A> {
    pub(super) aggregate: Arc<A>,
    connections: Connections,
    outbox: Outbox,
}

impl<A: Aggregate> Applier<A> {
    pub(crate) fn new(aggregate: A, connections: Connections, outbox: Outbox) -> Self {
        Self { aggregate: Arc::new(aggregate), connections, outbox }
    }

    /// The service's aggregate.
    #[must_use]
    pub fn aggregate(&self) -> &A {
        &self.aggregate
    }

    /// The service's database, for reading.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        self.connections.pool()
    }

    /// Applies triggers in their order, waiting for other transactions that work on the same orders; the outcomes are in
    /// the same order.
    ///
    /// All of them share one transaction. If that can't be committed, each gets a transaction of its own, so that one
    /// that can't be stored does not keep the others from being applied. While the database is unavailable, or other
    /// transactions hold what is needed, it waits as long as it takes, and the task's health says so.
    pub async fn apply(
        &self,
        triggers: &[Triggered<A::Trigger>],
        task: &TaskContext,
    ) -> Result<Vec<Outcome<A::Call>>, Stopping> {
        // With locks that are waited for, none is skipped.
        Ok(self.apply_batch(triggers, IfLocked::Wait, task).await?.into_iter().flatten().collect())
    }

    /// Applies a trigger to the orders that `find` finds because its time has come. `None` is an order that was skipped,
    /// since another transaction is working on it: it is found again if its time has still come afterwards.
    pub async fn apply_due<F>(
        &self,
        trigger: &A::Trigger,
        find: impl FnMut() -> F,
        task: &TaskContext,
    ) -> Result<Vec<(OrderId, Option<Outcome<A::Call>>)>, Stopping>
    where
        A::Trigger: Clone,
        F: Future<Output = Result<Vec<OrderId>, StoreError>>,
    {
        let orders = match retry(task, IfHeldUp::Persist, find).await {
            Ok(orders) => orders,
            Err(RetryError::Stopping) => return Err(Stopping),
            Err(RetryError::Failed(error)) => {
                error!(%error, "orders whose time has come can't be looked for");
                return Ok(Vec::new());
            }
        };
        let triggers: Vec<_> = orders.iter().map(|id| Triggered::of_order(*id, trigger.clone())).collect();
        let outcomes = self.apply_batch(&triggers, IfLocked::Skip, task).await?;
        Ok(orders.into_iter().zip(outcomes).collect())
    }

    async fn apply_batch(
        &self,
        triggers: &[Triggered<A::Trigger>],
        if_locked: IfLocked,
        task: &TaskContext,
    ) -> Result<Vec<Option<Outcome<A::Call>>>, Stopping> {
        if triggers.len() > 1 {
            match self.apply_together(triggers, if_locked, IfHeldUp::GiveUp, task).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(RetryError::Stopping) => return Err(Stopping),
                Err(RetryError::Failed(error)) => {
                    let count = triggers.len();
                    debug!(%error, count, "a batch of triggers was not stored; applying them one by one");
                }
            }
        }
        // What is found again can be passed over; what was delivered is held until it is stored.
        let if_held_up = match if_locked {
            IfLocked::Skip => IfHeldUp::GiveUp,
            IfLocked::Wait => IfHeldUp::Persist,
        };
        let mut outcomes = Vec::with_capacity(triggers.len());
        for triggered in triggers {
            let alone = slice::from_ref(triggered);
            let mut applied = self.apply_together(alone, if_locked, if_held_up, task).await;
            if let Err(RetryError::Failed(StoreError::Panicked(panic))) = &applied {
                // Only one that panics again is to blame.
                triggered.span.in_scope(
                    || debug!(panic, order.id = %triggered.order_id, "applying a trigger panicked; trying once more"),
                );
                applied = self.apply_together(alone, if_locked, if_held_up, task).await;
            }
            match applied {
                Ok(outcome) => outcomes.extend(outcome),
                Err(RetryError::Failed(error)) if error.is_held_up() => {
                    debug!(%error, order.id = %triggered.order_id, "an order whose time has come is passed over");
                    outcomes.push(None);
                }
                Err(RetryError::Failed(error)) => {
                    outcomes.push(Some(Outcome::Rejected(Rejection::Store(error))));
                }
                Err(RetryError::Stopping) => return Err(Stopping),
            }
        }
        Ok(outcomes)
    }

    async fn apply_together(
        &self,
        triggers: &[Triggered<A::Trigger>],
        if_locked: IfLocked,
        if_held_up: IfHeldUp,
        task: &TaskContext,
    ) -> Result<Vec<Option<Outcome<A::Call>>>, RetryError> {
        let (shared, spans) = (SharedTransaction::begin(triggers), SpansOfOrders::default());
        // On the heap: every wrapper around a future of that size would copy it.
        let transaction = || unless_panicking(Box::pin(self.transaction(triggers, if_locked, &spans)));
        let committed = retry(task, if_held_up, transaction).instrument(shared.span().clone()).await;
        if let Err(RetryError::Failed(error)) = &committed
            && triggers.len() > 1
        {
            // They are applied one by one now.
            shared.span().in_scope(|| count_retry(error));
        }
        shared.end(triggers, &spans);
        let (applied, saved) = committed?;
        self.aggregate.committed(&applied.changes, saved);
        self.outbox.publish(applied.messages);
        for observation in &applied.observations {
            observe::<A>(observation);
        }
        Ok(applied.outcomes)
    }

    async fn transaction<'a>(
        &self,
        triggers: &'a [Triggered<A::Trigger>],
        if_locked: IfLocked,
        spans: &SpansOfOrders,
    ) -> Result<(Applied<'a, A>, A::Saved), StoreError> {
        let mut connection = self.connections.take().await?;
        let mut transaction = connection.begin().await?;
        let locking = Instant::now();
        let locked = lock(&mut transaction, triggers, if_locked).await;
        record_wait(&Span::current(), locking, "wait: lock");
        let locked = locked?;
        let (mut known, mut newer) = (Vec::new(), HashSet::new());
        for (order_id, stored) in self.aggregate.load(&mut transaction, &locked).await? {
            match stored {
                Stored::Known(entity) => known.push((order_id, entity)),
                Stored::Newer => _ = newer.insert(order_id),
            }
        }
        let states = early_cancellations::complete(&mut transaction, &locked, known).await?;
        let mut batch = Batch::<A>::new(states, newer);
        for triggered in triggers {
            batch.apply(triggered, spans)?;
        }
        let applied = batch.finish();
        early_cancellations::insert(&mut transaction, &applied.changes.cancelled_early).await?;
        let saved = self.aggregate.save(&mut transaction, &applied.changes).await?;
        self.outbox.insert(&mut transaction, &applied.messages).await?;
        crash_here!("before-commit");
        transaction.commit().await?;
        connection.keep();
        crash_here!("after-commit-before-publish");
        Ok((applied, saved))
    }
}

/// A panic is an error of what was being applied, and of nothing else.
async fn unless_panicking<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|panic| Err(StoreError::Panicked(panics::message(&*panic))))
}

impl<A> Clone for Applier<A> {
    fn clone(&self) -> Self {
        Self {
            aggregate: Arc::clone(&self.aggregate),
            connections: self.connections.clone(),
            outbox: self.outbox.clone(),
        }
    }
}
