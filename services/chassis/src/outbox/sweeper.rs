//! The slow path: publishes what the fast path left behind.

use std::time::{Duration, Instant};

use contracts::topology::Queue;
use contracts::{EventId, EventType};
use futures_util::future::join_all;
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

/// How often an empty outbox is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a pass that left messages is followed by none.
const PAUSE: Duration = Duration::from_secs(1);

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
    /// Queues that are long and get no shorter, or take nothing; what belongs there waits for the next pass.
    closed: Vec<Queue>,
    /// Why messages were left, if any were.
    left: Option<SweepError>,
}

impl Pass {
    fn begin(cursor: EventId) -> Self {
        Self { cursor, closed: Vec::new(), left: None }
    }
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
        let mut pass = Pass::begin(self.frontier.begin(self.left_behind_after));
        let mut reported = None;
        self.task.health.up();
        while !self.task.stopping.is_cancelled() {
            let more = match self.publisher.availability() {
                Ok(()) => match self.sweep_batch(&mut pass).await {
                    Ok(more) => {
                        self.task.health.up();
                        more
                    }
                    Err(error) => {
                        self.task.health.down(format!("the outbox can't be read: {error}"));
                        false
                    }
                },
                // The connection reports itself; there is nothing to read rows for.
                Err(_) => false,
            };
            if !more {
                report(&mut reported, pass.left.as_ref());
                let pause = if pass.left.is_some() { PAUSE } else { INTERVAL };
                pass = Pass::begin(self.frontier.begin(self.left_behind_after));
                tokio::select! {
                    () = self.task.stopping.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }

    /// Publishes the next rows of a pass. Returns whether there may be more behind them.
    async fn sweep_batch(&mut self, pass: &mut Pass) -> Result<bool, StoreError> {
        // The rows stay locked while they are published: another replica passes over them. The patience for long queues
        // and the publisher's timeout bound how long, and PostgreSQL's idle_in_transaction_session_timeout bounds it
        // again.
        let mut transaction = in_time(async { Ok(self.pool.begin().await?) }).await?;
        let is_open = |event_type: &EventType| !pass.closed.contains(&event_type.route().queue);
        let types: Vec<_> = EventType::VARIANTS.iter().copied().filter(is_open).collect();
        let claim = Claim {
            after: pass.cursor,
            age: self.left_behind_after,
            types: &types,
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
            return Ok(more);
        };
        pass.cursor = last.event_id;
        self.wait_for_short_queues(&messages, pass).await;
        messages.retain(|message| !pass.closed.contains(&message.route().queue));
        let publisher = &self.publisher;
        let sending = Message::by_queue(messages)
            .into_iter()
            .map(|(queue, messages)| async move { (queue, publisher.publish_to(queue, messages).await) });
        let (mut confirmed, mut left) = (Vec::new(), Vec::new());
        for (queue, published) in join_all(sending).await {
            let before = left.len();
            for (event, result) in published {
                match result {
                    Ok(()) => confirmed.push(event),
                    Err(error) => left.push(error),
                }
            }
            if left.len() > before {
                pass.closed.push(queue);
            }
        }
        in_time(async {
            store::delete(&mut *transaction, &confirmed).await?;
            Ok(transaction.commit().await?)
        })
        .await?;
        let count = left.len();
        if let Some(error) = left.into_iter().next() {
            pass.left.get_or_insert(SweepError::Publish { count, error });
        }
        Ok(more)
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
                pass.closed.push(queue);
                pass.left.get_or_insert(SweepError::LongQueue(queue));
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
