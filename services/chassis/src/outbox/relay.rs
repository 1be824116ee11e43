//! The fast path: from a committed transaction straight to the broker. Each queue has workers of its own, so that one that
//! takes no messages keeps none of the others waiting.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender};
use contracts::EventId;
use contracts::topology::{Queue, Service};
use sqlx::PgPool;
use strum::VariantArray;
use tracing::debug;

use super::BATCH;
use super::deleter::Deleter;
use crate::broker::{Message, Publisher};
use crate::crash_here;
use crate::health::Health;
use crate::tasks::{TaskContext, Tasks};

/// Most messages for a queue that the relay holds, from their commit until they are deleted; further ones are left to the
/// sweeper. Some megabytes, and more than the saga lets in within a second.
const CAPACITY: usize = 4096;

/// Workers of a queue. What one publishes is under way while the other begins.
const WORKERS: usize = 2;

/// Published batches that wait to be deleted; more make the workers wait.
const PUBLISHED: usize = 64;

/// Takes the messages of committed transactions. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Relay {
    committed: HashMap<Queue, Sender<Vec<Message>>>,
    held: Held,
}

/// The messages that the relay has in its hands. Their rows are not the sweeper's to publish.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<Messages>>);

#[derive(Default)]
struct Messages {
    /// Those that are to be published, or are being published.
    publishing: HashMap<Queue, HashSet<EventId>>,
    /// Those that the broker has, and that are to be deleted.
    published: HashSet<EventId>,
}

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
        let (to_deleter, confirmed) = async_channel::bounded(PUBLISHED);
        let deleter = Deleter { published: confirmed, held: held.clone(), pool: pool.clone() };
        tasks.spawn_monitored("outbox deleter", health, |task| deleter.run(task));
        for queue in Queue::VARIANTS.iter().copied().filter(|queue| queue.is_published_to_by(service)) {
            // Each transaction has one message at least, so the channel is never full while there is capacity.
            let (sender, receiver) = async_channel::bounded(CAPACITY);
            for number in 0..WORKERS {
                let worker = Worker {
                    queue,
                    committed: receiver.clone(),
                    held: held.clone(),
                    published: to_deleter.clone(),
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
                self.held.sent(queue, &events, &[]);
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
        let messages = self.messages();
        messages.publishing.values().flatten().chain(&messages.published).copied().collect()
    }

    /// How many the broker does not have yet.
    pub(super) fn publishing(&self) -> usize {
        self.messages().publishing.values().map(HashSet::len).sum()
    }

    /// Forgets messages that were deleted.
    pub(super) fn deleted(&self, events: &[EventId]) {
        let mut messages = self.messages();
        for event in events {
            messages.published.remove(event);
        }
    }

    /// Adds messages, all of them or none.
    fn insert(&self, queue: Queue, messages: &[Message]) -> bool {
        let mut held = self.messages();
        let publishing = held.publishing.entry(queue).or_default();
        let fits = publishing.len() + messages.len() <= CAPACITY;
        if fits {
            publishing.extend(messages.iter().map(|message| message.event_id));
        }
        fits
    }

    /// Forgets messages that were to be published, but for those that the broker has now.
    fn sent(&self, queue: Queue, events: &[EventId], confirmed: &[EventId]) {
        let mut held = self.messages();
        if let Some(publishing) = held.publishing.get_mut(&queue) {
            for event in events {
                publishing.remove(event);
            }
        }
        held.published.extend(confirmed);
    }

    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker {
    queue: Queue,
    committed: Receiver<Vec<Message>>,
    held: Held,
    /// To the deleter.
    published: Sender<Vec<EventId>>,
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
            let confirmed = self.publish(batch, &task).await;
            self.held.sent(self.queue, &events, &confirmed);
            crash_here!("after-confirm-before-delete");
            if !confirmed.is_empty() {
                // The deleter ends after the last worker.
                self.published.send(confirmed).await.ok();
            }
        }
    }

    /// Publishes messages; returns those that the broker has.
    async fn publish(&self, batch: Vec<Message>, task: &TaskContext) -> Vec<EventId> {
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
        confirmed
    }
}
