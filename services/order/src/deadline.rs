//! The saga's deadline: an order whose payment has no result in time is cancelled.

use std::sync::LazyLock;
use std::time::Duration;

use chassis::aggregate::{Applier, IfLocked, Outcome, Stopping, Triggered};
use chassis::participant::Running;
use chassis::tasks::Task;
use chassis::telemetry::METER;
use opentelemetry::metrics::Gauge;
use sqlx::PgPool;
use tracing::{debug, error, warn};

use crate::domain::Trigger;
use crate::handlers::Orders;
use crate::store::orders;

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

/// Cancels overdue orders until the service stops.
pub(crate) fn start(timeout: Duration, running: Running<Orders>) {
    let Running { applier, pool, lifecycle } = running;
    let deadline = Deadline { timeout, applier, pool: pool.clone() };
    lifecycle.intake.spawn_monitored("deadlines", &lifecycle.health, |task| deadline.run(task));
    lifecycle.intake.spawn_every(MEASURE_INTERVAL, "deadline gauge", move || {
        let pool = pool.clone();
        async move {
            // Orders that can't be counted keep their last measure; the database's health reports why.
            if let Ok(count) = orders::count_overdue(&pool, timeout).await {
                OVERDUE.record(count, &[]);
            }
        }
    });
}

struct Deadline {
    /// How long an order may wait for its payment.
    timeout: Duration,
    applier: Applier<Orders>,
    pool: PgPool,
}

impl Deadline {
    async fn run(self, task: Task) {
        task.health.up();
        loop {
            let Ok(cancelled) = self.cancel_overdue(&task).await else { return };
            let wait = if cancelled == BATCH { Duration::ZERO } else { INTERVAL };
            if task.unless_stopping(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// Cancels up to [`BATCH`] overdue orders. Returns how many.
    async fn cancel_overdue(&self, task: &Task) -> Result<usize, Stopping> {
        let overdue = match orders::overdue(&self.pool, self.timeout, BATCH).await {
            Ok(overdue) => overdue,
            Err(error) => {
                // The database's health has it at warning level, once.
                debug!(%error, "overdue orders can't be looked for");
                return Ok(0);
            }
        };
        let triggers: Vec<_> =
            overdue.into_iter().map(|id| Triggered::by_time(id, Trigger::DeadlinePassed)).collect();
        let outcomes = self.applier.apply(&triggers, IfLocked::Skip, task).await?;
        let mut cancelled = 0;
        for outcome in outcomes {
            match outcome {
                Outcome::Applied(_) => cancelled += 1,
                Outcome::Rejected(rejection) => error!(%rejection, "an overdue order can't be cancelled"),
            }
        }
        if cancelled > 0 {
            warn!(orders = cancelled, "orders cancelled that had no payment result in time");
        }
        Ok(cancelled)
    }
}
