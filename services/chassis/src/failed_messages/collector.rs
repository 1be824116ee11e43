//! From a dead-letter queue into the database.

use contracts::topology::Queue;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::dead_letter::DeadLetter;
use super::store;
use crate::consumer::{Process, Unsettled, settle};
use crate::health::HealthPart;
use crate::outbox::{GaveUp, Outbox, UnitOfWork, Work};

/// Stores the dead letters of a queue.
pub(super) struct Collector {
    /// The queue that they died on.
    pub(super) queue: Queue,
    pub(super) outbox: Outbox,
}

impl Process for Collector {
    async fn process(
        &self,
        channel: &Channel,
        deliveries: Vec<Delivery>,
        health: &HealthPart,
        stopping: &CancellationToken,
    ) -> Result<(), Unsettled> {
        for delivery in deliveries {
            let acker = delivery.acker.clone();
            let letter = DeadLetter::of(self.queue, delivery);
            match self.outbox.transact(health, stopping, &Store(&letter)).await {
                Ok(()) => settle(channel, acker.ack(BasicAckOptions::default())).await?,
                Err(GaveUp::Stopping) => return Err(Unsettled::Stopping),
                Err(GaveUp::Failed(error)) => {
                    // Stays in its queue, where an operator can still get at it; tried again with the next consumer.
                    error!(%error, queue = self.queue.dead_letter_queue(), "a dead letter can't be stored");
                }
            }
        }
        Ok(())
    }
}

struct Store<'a>(&'a DeadLetter);

impl Work for Store<'_> {
    type Output = ();

    async fn run(&self, unit: &mut UnitOfWork) -> Result<(), sqlx::Error> {
        store::insert(unit.connection(), self.0).await
    }
}
