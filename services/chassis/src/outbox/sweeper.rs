//! The slow path: publishes what the fast path left behind, and watches how much that is.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::metrics::Gauge;
use sqlx::PgPool;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::{BATCH, LEFT_BEHIND_AFTER, store};
use crate::broker::{PublishError, Publisher};
use crate::tasks::Tasks;
use crate::telemetry::METER;

/// How often an empty outbox, or one that can't be published, is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

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
}

/// What one batch came to.
struct Swept {
    /// Where the next batch of this pass begins; `None` at the end of the table.
    next: Option<Uuid>,
    /// Why messages were left, if any were.
    left: Option<SweepError>,
}

pub(super) fn start(pool: PgPool, publisher: Publisher, tasks: &Tasks) {
    tasks.spawn_essential("outbox sweeper", sweep(pool.clone(), publisher, tasks.stopping()));
    tasks.spawn_every(MEASURE_INTERVAL, "outbox gauge", move || measure(pool.clone()));
}

/// Walks through the table, pass after pass. Within a pass each row is tried once, so rows that can't be published
/// (their queue is missing or full) never keep those behind them from their turn.
async fn sweep(pool: PgPool, publisher: Publisher, stopping: CancellationToken) {
    let mut cursor = Uuid::nil();
    let mut reported = None;
    while !stopping.is_cancelled() {
        let swept = match publisher.availability() {
            Ok(()) => sweep_batch(&pool, &publisher, cursor)
                .await
                .unwrap_or_else(|error| Swept { next: None, left: Some(error.into()) }),
            // The connection reports itself; there is nothing to read rows for.
            Err(_) => Swept { next: None, left: None },
        };
        report(&mut reported, swept.left.as_ref());
        cursor = swept.next.unwrap_or_default();
        if swept.next.is_none() {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }
}

async fn sweep_batch(pool: &PgPool, publisher: &Publisher, cursor: Uuid) -> Result<Swept, sqlx::Error> {
    // The rows stay locked while they are published: another replica passes over them. The publisher's timeout bounds
    // how long, and PostgreSQL's idle_in_transaction_session_timeout bounds it again.
    let mut transaction = pool.begin().await?;
    let messages = store::claim_left_behind(&mut transaction, cursor, LEFT_BEHIND_AFTER, BATCH).await?;
    let next = messages.last().filter(|_| messages.len() == BATCH).map(|message| message.event_id.as_uuid());
    if messages.is_empty() {
        return Ok(Swept { next, left: None });
    }
    let events: Vec<_> = messages.iter().map(|message| message.event_id).collect();
    let results = publisher.publish_all(messages).await;
    let (confirmed, left): (Vec<_>, Vec<_>) =
        events.iter().zip(results).partition(|(_, result)| result.is_ok());
    let confirmed: Vec<_> = confirmed.into_iter().map(|(event, _)| *event).collect();
    store::delete(&mut *transaction, &confirmed).await?;
    transaction.commit().await?;
    let count = left.len();
    let left = left.into_iter().find_map(|(_, result)| result.err());
    Ok(Swept { next, left: left.map(|error| SweepError::Publish { count, error }) })
}

/// Logs a cause once, when it appears, and once more when it is gone.
fn report(reported: &mut Option<String>, left: Option<&SweepError>) {
    let cause = left.map(|error| match error {
        SweepError::Publish { error, .. } => error.to_string(),
        SweepError::Database(error) => error.to_string(),
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
