//! The saga's deadline: an order whose payment has no result in time is cancelled.
//!
//! Only time in which a result could have been heard counts. A payment is not late because this service was away, or
//! because the broker was.

use std::sync::LazyLock;
use std::time::Duration;

use chassis::aggregate::{Applier, MAX_BATCH, Outcome, Stopping};
use chassis::consumer::Hearing;
use chassis::database::{Frontier, in_time, measure};
use chassis::participant::RunningService;
use chassis::tasks::TaskContext;
use chassis::telemetry::METER;
use contracts::topology::Queue;
use opentelemetry::metrics::Gauge;
use tracing::error;

use crate::domain::Trigger;
use crate::handlers::Orders;
use crate::store::{listening, orders};

/// How often overdue orders are looked for, and recorded that results can be heard.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long nothing may be heard before that counts as an absence: longer than a busy consumer needs for a batch.
pub(crate) const GAP: Duration = Duration::from_secs(5);

static OVERDUE: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.orders.overdue")
        .with_description("Pending orders that are past the saga's deadline and not cancelled yet.")
        .build()
});

/// Cancels overdue orders until the service stops.
pub(crate) fn start(timeout: Duration, running: RunningService<Orders>) {
    let hearing = running.hearing(Queue::OrderPaymentResult);
    let RunningService { applier, lifecycle, .. } = running;
    let pool = applier.pool().clone();
    let (frontier, list) = (Frontier::default(), pool.clone());
    frontier.watch(
        "overlooked deadlines",
        &lifecycle.intake,
        move || {
            let list = list.clone();
            async move { orders::first_overdue(&list, timeout).await }
        },
        // The next look is soon enough.
        || {},
    );
    let deadlines = Deadlines { timeout, frontier, applier, hearing };
    lifecycle.intake.spawn_monitored("deadlines", &lifecycle.health, |task| deadlines.run(task));
    let read = move |pool| async move { orders::count_overdue(&pool, timeout).await };
    measure("deadline gauge", &pool, &lifecycle.intake, read, |count| OVERDUE.record(count, &[]));
}

struct Deadlines {
    timeout: Duration,
    frontier: Frontier,
    applier: Applier<Orders>,
    hearing: Hearing,
}

impl Deadlines {
    async fn run(mut self, task: TaskContext) {
        task.health.up();
        while let Ok(more) = self.look(&task).await {
            let wait = if more { Duration::ZERO } else { INTERVAL };
            if task.unless_stopping(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// Cancels overdue orders. Returns whether there may be more.
    async fn look(&mut self, task: &TaskContext) -> Result<bool, Stopping> {
        if let Some(heard) = self.hearing.heard().await {
            let ago = Duration::from_millis(heard.elapsed().as_millis().try_into().unwrap_or(u64::MAX));
            if let Err(error) = in_time(listening::heard(self.applier.pool(), ago, GAP)).await {
                // What is not recorded does not count, and then nothing is late either.
                task.health.down(format!("it can't be recorded that results are heard: {error}"));
                return Ok(false);
            }
        }
        let find = || orders::overdue(self.applier.pool(), &self.frontier, self.timeout, MAX_BATCH);
        let outcomes = self.applier.apply_due(&Trigger::DeadlinePassed, find, task).await?;
        for (order_id, outcome) in &outcomes {
            if let Some(Outcome::Rejected(rejection)) = outcome {
                error!(order.id = %order_id, %rejection, "an overdue order can't be cancelled");
            }
        }
        let progress = outcomes.iter().any(|(_, outcome)| matches!(outcome, Some(Outcome::Applied { .. })));
        Ok(progress && outcomes.len() == MAX_BATCH)
    }
}
