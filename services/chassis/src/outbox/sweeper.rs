//! The slow path: publishes what the fast path left behind, and watches how much that is.

use std::sync::LazyLock;
use std::time::Duration;

use contracts::topology::Queue;
use opentelemetry::metrics::Gauge;
use sqlx::PgPool;
use strum::VariantArray;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::{BATCH, LEFT_BEHIND_AFTER, store};
use crate::broker::{Message, PublishError, Publisher, Room};
use crate::tasks::Tasks;
use crate::telemetry::METER;

/// How often an empty outbox, or one that can't be published, is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a queue may be long before its messages are passed over, so that others get their turn. Its consumer is away
/// then, or very slow.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the backlog is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

static DEPTH: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.outbox.depth")
        .with_description("Messages in the outbox, published or not.")
        .build()
});

static AGE: LazyLock<Gauge<f64>> = LazyLock::new(|| {
    METER
        .f64_gauge("paysaga.outbox.oldest_age")
        .with_unit("s")
        .with_description("Age of the oldest message in the outbox.")
        .build()
});

#[derive(Debug, Error)]
enum SweepError {
    #[error("the outbox can't be read: {0}")]
    Database(#[from] sqlx::Error),
    #[error("{count} messages stay in the outbox: {error}")]
    Publish { count: usize, error: PublishError },
    #[error("messages stay in the outbox: {0} is long and gets no shorter")]
    NoRoom(Queue),
}

/// One walk through the table.
#[derive(Default)]
struct Pass {
    /// The row before the next batch.
    cursor: Uuid,
    /// Queues that got no shorter; what belongs there waits for the next pass.
    full: Vec<Queue>,
}

/// What one batch came to.
struct Swept {
    /// Whether there may be more rows behind it.
    more: bool,
    /// Why messages were left, if any were.
    left: Option<SweepError>,
}

pub(super) fn start(pool: PgPool, publisher: Publisher, tasks: &Tasks) {
    let room = publisher.room();
    let sweeper = Sweeper { pool: pool.clone(), publisher, room, stopping: tasks.stopping() };
    tasks.spawn_essential("outbox sweeper", sweeper.sweep());
    tasks.spawn_every(MEASURE_INTERVAL, "outbox gauge", move || measure(pool.clone()));
}

struct Sweeper {
    pool: PgPool,
    publisher: Publisher,
    room: Room,
    stopping: CancellationToken,
}

impl Sweeper {
    /// Walks through the table, pass after pass. Within a pass each row is tried once, so rows that can't be published
    /// (their queue is missing or full) never keep those behind them from their turn.
    async fn sweep(mut self) {
        let mut pass = Pass::default();
        let mut reported = None;
        while !self.stopping.is_cancelled() {
            let swept = match self.publisher.availability() {
                Ok(()) => self
                    .sweep_batch(&mut pass)
                    .await
                    .unwrap_or_else(|error| Swept { more: false, left: Some(error.into()) }),
                // The connection reports itself; there is nothing to read rows for.
                Err(_) => Swept { more: false, left: None },
            };
            let left = swept.left.or_else(|| pass.full.first().map(|queue| SweepError::NoRoom(*queue)));
            report(&mut reported, left.as_ref());
            if !swept.more {
                pass = Pass::default();
                tokio::select! {
                    () = self.stopping.cancelled() => {}
                    () = tokio::time::sleep(INTERVAL) => {}
                }
            }
        }
    }

    async fn sweep_batch(&mut self, pass: &mut Pass) -> Result<Swept, sqlx::Error> {
        // The rows stay locked while they are published: another replica passes over them. The patience for long queues
        // and the publisher's timeout bound how long, and PostgreSQL's idle_in_transaction_session_timeout bounds it
        // again.
        let mut transaction = self.pool.begin().await?;
        let without: Vec<_> =
            pass.full.iter().flat_map(|queue| queue.routes()).map(|route| route.event_type).collect();
        let mut messages =
            store::claim_left_behind(&mut transaction, pass.cursor, LEFT_BEHIND_AFTER, &without, BATCH)
                .await?;
        let more = messages.len() == BATCH;
        let Some(last) = messages.last() else {
            return Ok(Swept { more, left: None });
        };
        pass.cursor = last.event_id.as_uuid();
        self.wait_for_room(&messages, pass).await;
        messages.retain(|message| !pass.full.contains(&message.route().queue));
        let events: Vec<_> = messages.iter().map(|message| message.event_id).collect();
        let results = self.publisher.publish_all(messages).await;
        let (confirmed, left): (Vec<_>, Vec<_>) =
            events.iter().zip(results).partition(|(_, result)| result.is_ok());
        let confirmed: Vec<_> = confirmed.into_iter().map(|(event, _)| *event).collect();
        store::delete(&mut *transaction, &confirmed).await?;
        transaction.commit().await?;
        let count = left.len();
        let left = left.into_iter().find_map(|(_, result)| result.err());
        Ok(Swept { more, left: left.map(|error| SweepError::Publish { count, error }) })
    }

    /// What was left behind waits here rather than in front of what is new: a queue gives its messages out in their
    /// order, so a long one would make every new order wait for all of it.
    async fn wait_for_room(&mut self, messages: &[Message], pass: &mut Pass) {
        for &queue in Queue::VARIANTS {
            let needed = messages.iter().any(|message| message.route().queue == queue);
            let has_room = async {
                tokio::select! {
                    biased;
                    () = self.stopping.cancelled() => false,
                    has_room = self.room.soon(queue, PATIENCE) => has_room,
                }
            };
            if needed && !has_room.await {
                pass.full.push(queue);
            }
        }
    }
}

/// Logs a cause once, when it appears, and once more when it is gone.
fn report(reported: &mut Option<String>, left: Option<&SweepError>) {
    let cause = left.map(|error| match error {
        SweepError::Publish { error, .. } => error.to_string(),
        SweepError::Database(_) | SweepError::NoRoom(_) => error.to_string(),
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

async fn measure(pool: PgPool) {
    // An outbox that can't be read keeps its last measure; the database's health says why.
    if let Ok((depth, age)) = store::backlog(&pool).await {
        DEPTH.record(depth, &[]);
        AGE.record(age, &[]);
    }
}
