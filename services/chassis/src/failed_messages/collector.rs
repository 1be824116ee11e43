//! From a dead-letter queue into the database.

use contracts::topology::Queue;
use lapin::Channel;
use lapin::message::Delivery;
use tracing::error;

use super::dead_letter::DeadLetter;
use super::{store, subject_of};
use crate::aggregate::{Aggregate, Applier, Stopping};
use crate::consumer::{DeliveryHandler, Interrupted, acknowledge};
use crate::database::{self, IfHeldUp, RetryError, StoreError, retry};
use crate::tasks::TaskContext;

/// Stores the dead letters of a queue.
pub(super) struct Collector<A> {
    /// The queue that rejected them.
    pub(super) queue: Queue,
    pub(super) applier: Applier<A>,
}

impl<A: Aggregate> DeliveryHandler for Collector<A> {
    async fn ready(&self, task: &TaskContext) -> Result<(), Stopping> {
        database::answers(self.applier.pool(), task).await
    }

    async fn handle(
        &self,
        channel: &Channel,
        deliveries: Vec<Delivery>,
        task: &TaskContext,
    ) -> Result<(), Interrupted> {
        for delivery in &deliveries {
            let letter = DeadLetter::of(self.queue, delivery);
            match retry(task, IfHeldUp::Persist, || self.store(&letter)).await {
                Ok(()) => acknowledge(channel, delivery).await?,
                Err(RetryError::Stopping) => return Err(Stopping.into()),
                Err(RetryError::Failed(error)) => {
                    // Stays in its queue, where an operator can still get at it; tried again with the next consumer.
                    error!(%error, queue = self.queue.dead_letter_queue(), "a dead letter can't be stored");
                }
            }
        }
        Ok(())
    }
}

impl<A: Aggregate> Collector<A> {
    async fn store(&self, letter: &DeadLetter<'_>) -> Result<(), StoreError> {
        let subject = subject_of(&self.applier, letter.body).await?;
        store::insert(self.applier.pool(), letter, subject).await
    }
}
