//! The fast path: from a committed transaction straight to the broker.

use async_channel::{Receiver, Sender};
use contracts::EventId;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{BATCH, store};
use crate::broker::{Message, Publisher};
use crate::crash_here;
use crate::tasks::Tasks;

/// Transactions whose messages may wait for the relay; those of further ones are left to the sweeper.
const QUEUE: usize = 4096;

const WORKERS: usize = 2;

/// Starts the workers. When the tasks stop, they publish what they were given and end.
pub(super) fn start(pool: &PgPool, publisher: &Publisher, tasks: &Tasks) -> Sender<Vec<Message>> {
    let (sender, receiver) = async_channel::bounded(QUEUE);
    for number in 0..WORKERS {
        let worker = Worker {
            committed: receiver.clone(),
            pool: pool.clone(),
            publisher: publisher.clone(),
            stopping: tasks.stopping(),
        };
        tasks.spawn_essential(format!("outbox relay {number}"), worker.run());
    }
    sender
}

struct Worker {
    committed: Receiver<Vec<Message>>,
    pool: PgPool,
    publisher: Publisher,
    stopping: CancellationToken,
}

impl Worker {
    async fn run(self) {
        loop {
            let received = tokio::select! {
                biased;
                received = self.committed.recv() => received,
                () = self.stopping.cancelled() => {
                    // No transaction is committed any more; what is queued is received until the channel is empty.
                    self.committed.close();
                    continue;
                }
            };
            let Ok(mut batch) = received else {
                // Every sender is gone: the service stops, and this worker is the next to be told.
                return self.stopping.cancelled().await;
            };
            while batch.len() < BATCH
                && let Ok(more) = self.committed.try_recv()
            {
                batch.extend(more);
            }
            self.publish(batch).await;
        }
    }

    async fn publish(&self, batch: Vec<Message>) {
        let published = self.publisher.publish_all(batch).await;
        let confirmed: Vec<EventId> =
            published.iter().filter(|(_, result)| result.is_ok()).map(|(event, _)| *event).collect();
        if confirmed.len() < published.len() {
            // The sweeper meets the same error, and reports it.
            debug!(left = published.len() - confirmed.len(), "unconfirmed messages stay in the outbox");
        }
        crash_here!("after-confirm-before-delete");
        if !confirmed.is_empty()
            && let Err(error) = store::delete(&self.pool, &confirmed).await
        {
            debug!(%error, "published messages stay in the outbox; the sweeper publishes them again");
        }
    }
}
