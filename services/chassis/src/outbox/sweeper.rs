//! The slow path: publishes what the fast path left behind.

use std::time::{Duration, Instant};

use contracts::EventId;
use contracts::topology::Queue;
use sqlx::PgPool;
use strum::VariantArray;
use thiserror::Error;
use tracing::{info, warn};

use super::BATCH;
use super::frontier::Frontier;
use super::relay::Held;
use super::store::{self, Claim};
use crate::broker::{Message, PublishError, Publisher, Throttle};
use crate::database::{StoreError, in_time};
use crate::health::Health;
use crate::tasks::{TaskContext, Tasks};

/// How often an empty outbox, or one that can't be published, is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a queue may be long before its messages are passed over, so that others get their turn. Its consumer is not
/// running then, or very slow.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Error)]
enum SweepError {
    #[error("{count} messages stay in the outbox: {error}")]
    Publish { count: usize, error: PublishError },
    #[error("messages stay in the outbox: {0} is long and gets no shorter")]
    LongQueue(Queue),
}

/// One walk through the table.
struct Pass {
    /// The row before the next batch.
    cursor: EventId,
    /// Queues that got no shorter; what belongs there waits for the next pass.
    long: Vec<Queue>,
}

impl Pass {
    fn begin(cursor: EventId) -> Self {
        Self { cursor, long: Vec::new() }
    }
}

/// What one batch came to.
struct Swept {
    /// Whether there may be more rows behind it.
    more: bool,
    /// Why messages were left, if any were.
    left: Option<SweepError>,
}

pub(super) fn start(
    pool: PgPool,
    publisher: Publisher,
    held: Held,
    left_behind_after: Duration,
    health: &Health,
    tasks: &Tasks,
) {
    let throttle = publisher.throttle();
    tasks.spawn_monitored("outbox sweeper", health, |task| {
        let frontier = Frontier::new();
        Sweeper { pool, publisher, held, left_behind_after, throttle, frontier, task }.sweep()
    });
}

struct Sweeper {
    pool: PgPool,
    publisher: Publisher,
    /// What the relay of this replica has in hand, however long the broker or the database keeps it waiting.
    held: Held,
    /// The age at which the relay of another replica has it in hand no longer.
    left_behind_after: Duration,
    throttle: Throttle,
    /// Where passes begin.
    frontier: Frontier,
    task: TaskContext,
}

impl Sweeper {
    /// Walks through the table, pass after pass. Within a pass each row is tried once, so rows that can't be published
    /// (their queue is missing or full) never keep those behind them from their turn.
    async fn sweep(mut self) {
        let mut pass = Pass::begin(self.frontier.begin(LEFT_BEHIND_AFTER));
        let mut reported = None;
        self.task.health.up();
        while !self.task.stopping.is_cancelled() {
            let swept = match self.publisher.availability() {
                Ok(()) => match self.sweep_batch(&mut pass).await {
                    Ok(swept) => {
                        self.task.health.up();
                        swept
                    }
                    Err(error) => {
                        self.task.health.down(format!("the outbox can't be read: {error}"));
                        Swept { more: false, left: None }
                    }
                },
                // The connection reports itself; there is nothing to read rows for.
                Err(_) => Swept { more: false, left: None },
            };
            let left = swept.left.or_else(|| pass.long.first().map(|queue| SweepError::LongQueue(*queue)));
            report(&mut reported, left.as_ref());
            if !swept.more {
                pass = Pass::begin(self.frontier.begin(LEFT_BEHIND_AFTER));
                tokio::select! {
                    () = self.task.stopping.cancelled() => {}
                    () = tokio::time::sleep(INTERVAL) => {}
                }
            }
        }
    }

    async fn sweep_batch(&mut self, pass: &mut Pass) -> Result<Swept, StoreError> {
        // The rows stay locked while they are published: another replica passes over them. The patience for long queues
        // and the publisher's timeout bound how long, and PostgreSQL's idle_in_transaction_session_timeout bounds it
        // again.
        let mut transaction = in_time(async { Ok(self.pool.begin().await?) }).await?;
        let without: Vec<_> =
            pass.long.iter().flat_map(|queue| queue.routes()).map(|route| route.event_type).collect();
        let claim = Claim {
            after: pass.cursor,
            age: self.left_behind_after,
            without: &without,
            held: &self.held.ids(),
            limit: BATCH,
        };
        let started = Instant::now();
        let mut messages = in_time(store::claim(&mut transaction, claim)).await?;
        self.frontier.looked(started.elapsed());
        if let Some(first) = messages.first() {
            self.frontier.meet(first.event_id);
        }
        let more = messages.len() == BATCH;
        let Some(last) = messages.last() else {
            return Ok(Swept { more, left: None });
        };
        pass.cursor = last.event_id;
        self.wait_for_short_queues(&messages, pass).await;
        messages.retain(|message| !pass.long.contains(&message.route().queue));
        let published = self.publisher.publish_all(messages).await;
        let (confirmed, left): (Vec<_>, Vec<_>) =
            published.into_iter().partition(|(_, result)| result.is_ok());
        let confirmed: Vec<_> = confirmed.into_iter().map(|(event, _)| event).collect();
        in_time(async {
            store::delete(&mut *transaction, &confirmed).await?;
            Ok(transaction.commit().await?)
        })
        .await?;
        let count = left.len();
        let left = left.into_iter().find_map(|(_, result)| result.err());
        Ok(Swept { more, left: left.map(|error| SweepError::Publish { count, error }) })
    }

    /// What was left behind waits here rather than in front of what is new: a queue gives its messages out in their
    /// order, so a long one would make every new order wait for all of it.
    async fn wait_for_short_queues(&mut self, messages: &[Message], pass: &mut Pass) {
        for &queue in Queue::VARIANTS {
            let needed = messages.iter().any(|message| message.route().queue == queue);
            let short = async {
                tokio::select! {
                    biased;
                    () = self.task.stopping.cancelled() => false,
                    short = self.throttle.wait_until_short(queue, PATIENCE) => short,
                }
            };
            if needed && !short.await {
                pass.long.push(queue);
            }
        }
    }
}

/// Logs a cause once, when it appears, and once more when it is gone.
fn report(reported: &mut Option<String>, left: Option<&SweepError>) {
    let cause = left.map(|error| match error {
        SweepError::Publish { error, .. } => error.to_string(),
        SweepError::LongQueue(_) => error.to_string(),
    });
    if cause == *reported {
        return;
    }
    if let Some(error) = left {
        warn!(%error, "the outbox does not empty");
    } else {
        info!("the outbox empties again");
    }
    *reported = cause;
}
