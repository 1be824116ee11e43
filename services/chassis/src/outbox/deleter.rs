//! Deletes what the relay has published, many messages at a time: no order waits for it.

use std::time::Duration;

use async_channel::Receiver;
use contracts::EventId;
use sqlx::PgPool;
use tracing::{debug, error};

use super::relay::Held;
use super::store;
use crate::database::{IfHeldUp, RetryError, retry};
use crate::tasks::TaskContext;

/// How long published messages are gathered. Should the process crash meanwhile, they are published again.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Deleter {
    pub(super) published: Receiver<Vec<EventId>>,
    pub(super) held: Held,
    pub(super) pool: PgPool,
}

impl Deleter {
    /// Deletes until the last worker has ended.
    pub(super) async fn run(self, task: TaskContext) {
        task.health.up();
        while let Ok(mut events) = self.published.recv().await {
            task.unless_stopping(tokio::time::sleep(PAUSE)).await;
            while let Ok(more) = self.published.try_recv() {
                events.extend(more);
            }
            match retry(&task, IfHeldUp::Persist, || store::delete(&self.pool, &events)).await {
                Ok(()) => {}
                Err(RetryError::Stopping) => {
                    debug!("published messages stay in the outbox; the next sweeper publishes them again");
                }
                Err(RetryError::Failed(error)) => error!(%error, "published messages can't be deleted"),
            }
            self.held.deleted(&events);
        }
        task.stopping.cancelled().await;
    }
}
