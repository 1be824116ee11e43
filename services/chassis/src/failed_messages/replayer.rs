//! Handles failed messages again, in their turn.

use std::time::Duration;

use contracts::topology::Queue;
use sqlx::PgPool;
use strum::VariantArray;
use tracing::{Instrument, error, info, warn};

use super::store::{self, Due};
use crate::aggregate::{Aggregate, Applier, IfLocked, Outcome, Stopping};
use crate::consumer::{Origin, Received, read};
use crate::database::{RetryError, retry};
use crate::health::Health;
use crate::tasks::{Task, Tasks};

/// How often messages whose turn has come are looked for.
const INTERVAL: Duration = Duration::from_millis(500);

/// Replays what is due.
pub(super) struct Replayer<A: Aggregate> {
    pub(super) applier: Applier<A>,
    pub(super) pool: PgPool,
}

/// What became of a message.
enum Replay {
    Done,
    /// It failed again, and why.
    Failed(String),
    /// Another transaction is working on its order; it stays due.
    Postponed,
}

impl<A: Aggregate> Replayer<A> {
    pub(super) fn start(self, health: &Health, tasks: &Tasks) {
        tasks.spawn_monitored("replayer", health, |task| self.run(task));
    }

    async fn run(self, task: Task) {
        task.health.up();
        loop {
            match self.replay_next(&task).await {
                Ok(true) => {}
                Ok(false) => {
                    if task.unless_stopping(tokio::time::sleep(INTERVAL)).await.is_none() {
                        return;
                    }
                }
                Err(Stopping) => return,
            }
        }
    }

    /// Handles the next message whose turn has come. Returns whether there may be another one.
    async fn replay_next(&self, task: &Task) -> Result<bool, Stopping> {
        let Some(due) = self.persist(task, || store::next_due(&self.pool)).await?.flatten() else {
            return Ok(false);
        };
        let id = due.id;
        let marked = match self.replay(due, task).await? {
            Replay::Postponed => None,
            Replay::Done => {
                info!(failed_message.id = %id, "failed message replayed");
                self.persist(task, || store::mark_replayed(&self.pool, id)).await?
            }
            Replay::Failed(reason) => {
                warn!(failed_message.id = %id, reason, "failed message failed again");
                self.persist(task, || store::mark_failed(&self.pool, id, &reason)).await?
            }
        };
        Ok(marked.is_some())
    }

    /// Applies a message as its consumer would.
    async fn replay(&self, due: Due, task: &Task) -> Result<Replay, Stopping> {
        let Some(queue) = Queue::VARIANTS.iter().copied().find(|queue| queue.name() == due.queue) else {
            return Ok(Replay::Failed("this service no longer consumes its queue".to_owned()));
        };
        let origin = Origin {
            queue,
            exchange: due.exchange,
            routing_key: due.routing_key,
            correlation_id: due.correlation_id,
            trace: due.trace_context,
            delivery_tag: None,
        };
        let Received { span, triggered } = read::<A>(&origin, &due.body);
        let triggered = match triggered {
            Ok(triggered) => triggered,
            Err(unreadable) => return Ok(Replay::Failed(unreadable.to_string())),
        };
        let outcomes = self.applier.apply(&[triggered], IfLocked::Skip, task).instrument(span).await?;
        Ok(match outcomes.into_iter().next() {
            Some(Outcome::Applied(_)) => Replay::Done,
            Some(Outcome::Rejected(rejection)) => Replay::Failed(rejection.to_string()),
            None => Replay::Postponed,
        })
    }

    /// Reads or writes, waiting for the database if necessary; `None` if that can't be done.
    async fn persist<T, F>(&self, task: &Task, attempt: impl FnMut() -> F) -> Result<Option<T>, Stopping>
    where
        F: Future<Output = Result<T, crate::database::StoreError>> + Send,
        T: Send,
    {
        match retry(task, attempt).await {
            Ok(done) => Ok(Some(done)),
            Err(RetryError::Stopping) => Err(Stopping),
            Err(RetryError::Failed(error)) => {
                error!(%error, "a failed message can't be replayed");
                Ok(None)
            }
        }
    }
}
