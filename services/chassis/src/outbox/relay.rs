//! The fast path: from a committed transaction straight to the broker.

use async_channel::{Receiver, Sender};
use contracts::EventId;
use sqlx::PgPool;
use tracing::{debug, error};

use super::{BATCH, store};
use crate::broker::{Message, Publisher};
use crate::crash_here;
use crate::database::{IfHeldUp, RetryError, retry};
use crate::health::Health;
use crate::tasks::{TaskContext, Tasks};

/// Transactions whose messages may wait for the relay; those of further ones are left to the sweeper.
const QUEUE: usize = 4096;

const WORKERS: usize = 2;

/// Starts the workers. When the tasks stop, they publish what they were given and end.
pub(super) fn start(
    pool: &PgPool,
    publisher: &Publisher,
    health: &Health,
    tasks: &Tasks,
) -> Sender<Vec<Message>> {
    let (sender, receiver) = async_channel::bounded(QUEUE);
    for number in 0..WORKERS {
        let worker = Worker { committed: receiver.clone(), pool: pool.clone(), publisher: publisher.clone() };
        tasks.spawn_monitored(&format!("outbox relay {number}"), health, |task| worker.run(task));
    }
    sender
}

struct Worker {
    committed: Receiver<Vec<Message>>,
    pool: PgPool,
    publisher: Publisher,
}

impl Worker {
    async fn run(self, task: TaskContext) {
        task.health.up();
        loop {
            let received = tokio::select! {
                biased;
                received = self.committed.recv() => received,
                () = task.stopping.cancelled() => {
                    // No transaction is committed any more; what is queued is received until the channel is empty.
                    self.committed.close();
                    continue;
                }
            };
            let Ok(mut batch) = received else {
                // Every sender is gone: the service stops, and this worker is the next to be told.
                return task.stopping.cancelled().await;
            };
            while batch.len() < BATCH
                && let Ok(more) = self.committed.try_recv()
            {
                batch.extend(more);
            }
            self.publish(batch, &task).await;
        }
    }

    async fn publish(&self, batch: Vec<Message>, task: &TaskContext) {
        let published = self.publisher.publish_all(batch).await;
        let confirmed: Vec<EventId> =
            published.iter().filter(|(_, result)| result.is_ok()).map(|(event, _)| *event).collect();
        if confirmed.len() < published.len() {
            // The sweeper meets the same error, and reports it.
            debug!(left = published.len() - confirmed.len(), "unconfirmed messages stay in the outbox");
        }
        crash_here!("after-confirm-before-delete");
        if confirmed.is_empty() {
            return;
        }
        match retry(task, IfHeldUp::Persist, || store::delete(&self.pool, &confirmed)).await {
            Ok(()) => {}
            Err(RetryError::Stopping) => {
                debug!("published messages stay in the outbox; the next sweeper publishes them again");
            }
            Err(RetryError::Failed(error)) => error!(%error, "published messages can't be deleted"),
        }
    }
}
