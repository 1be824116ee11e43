//! From a dead-letter queue into the database.

use contracts::topology::Queue;
use lapin::Channel;
use lapin::message::Delivery;
use sqlx::PgPool;
use tracing::error;

use super::dead_letter::DeadLetter;
use super::store;
use crate::aggregate::Stopping;
use crate::consumer::{DeliveryHandler, Interrupted, acknowledge};
use crate::database::{self, IfHeldUp, RetryError, retry};
use crate::tasks::TaskContext;

/// Stores the dead letters of a queue.
pub(super) struct Collector {
    /// The queue that rejected them.
    pub(super) queue: Queue,
    pub(super) pool: PgPool,
}

impl DeliveryHandler for Collector {
    async fn ready(&self, task: &TaskContext) -> Result<(), Stopping> {
        database::answers(&self.pool, task).await
    }

    async fn handle(
        &self,
        channel: &Channel,
        deliveries: Vec<Delivery>,
        task: &TaskContext,
    ) -> Result<(), Interrupted> {
        for delivery in &deliveries {
            let letter = DeadLetter::of(self.queue, delivery);
            match retry(task, IfHeldUp::Persist, || store::insert(&self.pool, &letter)).await {
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
