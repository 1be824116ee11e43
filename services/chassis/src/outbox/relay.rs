//! The fast path: from a committed transaction straight to the broker. Each queue has workers of its own, so that one that
//! takes no messages keeps none of the others waiting.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender};
use contracts::EventId;
use contracts::topology::{Queue, Service};
use sqlx::PgPool;
use strum::VariantArray;
use tracing::{debug, error};

use super::{BATCH, store};
use crate::broker::{Message, Publisher};
use crate::crash_here;
use crate::database::{IfHeldUp, RetryError, retry};
use crate::health::Health;
use crate::tasks::{TaskContext, Tasks};

/// Most messages for a queue that the relay holds, from their commit until they are deleted; further ones are left to the
/// sweeper. Some megabytes, and more than the saga lets in within a second.
const CAPACITY: usize = 4096;

/// Workers of a queue: one publishes while the other deletes.
const WORKERS: usize = 2;

/// Takes the messages of committed transactions. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Relay {
    committed: HashMap<Queue, Sender<Vec<Message>>>,
    held: Held,
}

/// The messages that the relay has in its hands, by queue. Their rows are not the sweeper's to publish.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<HashMap<Queue, HashSet<EventId>>>>);

impl Relay {
    /// Starts the workers of the queues that a service publishes to. When the tasks stop, they publish what they were given
    /// and end.
    pub(super) fn start(
        service: Service,
        pool: &PgPool,
        publisher: &Publisher,
        health: &Health,
        tasks: &Tasks,
    ) -> Self {
        let held = Held::default();
        let mut committed = HashMap::new();
        for queue in Queue::VARIANTS.iter().copied().filter(|queue| queue.is_published_to_by(service)) {
            // Each transaction has one message at least, so the channel is never full while there is capacity.
            let (sender, receiver) = async_channel::bounded(CAPACITY);
            for number in 0..WORKERS {
                let worker = Worker {
                    queue,
                    committed: receiver.clone(),
                    held: held.clone(),
                    pool: pool.clone(),
                    publisher: publisher.clone(),
                };
                let name = format!("outbox relay {number} to {queue}");
                tasks.spawn_monitored(&name, health, |task| worker.run(task));
            }
            committed.insert(queue, sender);
        }
        Self { committed, held }
    }

    /// Gives the relay the messages of a transaction, unless it holds too many.
    pub(super) fn publish(&self, messages: Vec<Message>) {
        for (queue, messages) in Message::by_queue(messages) {
            if !self.held.insert(queue, &messages) {
                debug!(%queue, "the outbox relay holds too much; the sweeper publishes these messages");
                continue;
            }
            let events: Vec<EventId> = messages.iter().map(|message| message.event_id).collect();
            let sent = self.committed.get(&queue).is_some_and(|queue| queue.try_send(messages).is_ok());
            if !sent {
                debug!(%queue, "the outbox relay has ended; the sweeper publishes these messages");
                self.held.remove(queue, &events);
            }
        }
    }

    /// What it holds.
    pub(super) const fn held(&self) -> &Held {
        &self.held
    }
}

impl Held {
    /// The messages by their ids.
    pub(super) fn ids(&self) -> Vec<EventId> {
        self.queues().values().flatten().copied().collect()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.queues().values().map(HashSet::len).sum()
    }

    /// Adds messages, all of them or none.
    fn insert(&self, queue: Queue, messages: &[Message]) -> bool {
        let mut queues = self.queues();
        let held = queues.entry(queue).or_default();
        let fits = held.len() + messages.len() <= CAPACITY;
        if fits {
            held.extend(messages.iter().map(|message| message.event_id));
        }
        fits
    }

    fn remove(&self, queue: Queue, events: &[EventId]) {
        if let Some(held) = self.queues().get_mut(&queue) {
            for event in events {
                held.remove(event);
            }
        }
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<Queue, HashSet<EventId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker {
    queue: Queue,
    committed: Receiver<Vec<Message>>,
    held: Held,
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
            let events: Vec<EventId> = batch.iter().map(|message| message.event_id).collect();
            self.publish(batch, &task).await;
            self.held.remove(self.queue, &events);
        }
    }

    async fn publish(&self, batch: Vec<Message>, task: &TaskContext) {
        // Left to the sweeper, these messages would come after all that an outage has left in the table. When the service
        // stops, publishing them tells whether they can be.
        task.unless_stopping(self.publisher.available()).await;
        let published = self.publisher.publish_to(self.queue, batch).await;
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
