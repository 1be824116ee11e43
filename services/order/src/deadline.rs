//! The saga's deadline: an order whose payment has no result in time is cancelled.

use std::sync::LazyLock;
use std::time::Duration;

use chassis::health::{Health, HealthPart};
use chassis::outbox::{GaveUp, Outbox, UnitOfWork, Work};
use chassis::tasks::Tasks;
use chassis::telemetry::METER;
use contracts::Timestamp;
use opentelemetry::metrics::Gauge;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::domain::{self, Saga, Trigger};
use crate::store::{self, Step};

/// How often overdue orders are looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often overdue orders are counted.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

/// Most orders cancelled in one transaction.
const BATCH: usize = 100;

static OVERDUE: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.orders.overdue")
        .with_description("Pending orders that are past the saga's deadline and not cancelled yet.")
        .build()
});

/// Cancels overdue orders until the tasks stop.
pub(crate) fn start(timeout: Duration, outbox: Outbox, health: &Health, tasks: &Tasks) {
    let part = health.part("deadlines");
    part.up();
    let pool = outbox.pool().clone();
    tasks.spawn_essential("deadlines", watch(timeout, outbox, part, tasks.stopping()));
    tasks.spawn_every(MEASURE_INTERVAL, "deadline gauge", move || {
        let pool = pool.clone();
        async move {
            // Orders that can't be counted keep their last measure; the database's health says why.
            if let Ok(count) = store::count_overdue(&pool, timeout).await {
                OVERDUE.record(count, &[]);
            }
        }
    });
}

async fn watch(timeout: Duration, outbox: Outbox, health: HealthPart, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let cancelled = match outbox.transact(&health, &stopping, &CancelOverdue { timeout }).await {
            Ok(0) => 0,
            Ok(cancelled) => {
                warn!(orders = cancelled, "cancelled orders that had no payment result in time");
                cancelled
            }
            Err(GaveUp::Stopping) => return,
            Err(GaveUp::Failed(error)) => {
                error!(%error, "overdue orders could not be cancelled");
                0
            }
        };
        if cancelled == BATCH {
            continue;
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Cancels up to [`BATCH`] overdue orders; returns how many.
struct CancelOverdue {
    timeout: Duration,
}

impl Work for CancelOverdue {
    type Output = usize;

    async fn run(&self, unit: &mut UnitOfWork) -> Result<usize, sqlx::Error> {
        let overdue = store::overdue(unit.connection(), self.timeout, BATCH).await?;
        if overdue.is_empty() {
            return Ok(0);
        }
        let ids: Vec<_> = overdue.iter().map(|(id, _)| *id).collect();
        let before = store::load(unit.connection(), &ids).await?;
        let mut after = before.clone();
        let mut steps = Vec::new();
        for (id, cause) in &overdue {
            let saga = after.entry(*id).or_insert(Saga::Unknown);
            // An order that is overdue exists, and a deadline is no contract that anybody could break.
            let Ok(transition) = domain::transition(*id, saga, &Trigger::DeadlinePassed, Timestamp::now())
            else {
                continue;
            };
            *saga = transition.next;
            if let Some(event) = transition.emit {
                let correlation_id = cause.correlation_id.as_deref();
                info!(order.id = %id, correlation.id = correlation_id, "no payment result in time; cancelled");
                steps.push(Step::new(*id, unit.emit(event, cause)?, saga));
            }
        }
        store::save(unit.connection(), &before, &after, &std::collections::HashMap::new()).await?;
        store::record(unit.connection(), &steps).await?;
        Ok(overdue.len())
    }
}
