//! The saga's deadline: an order whose payment has no result in time is cancelled.

use std::sync::LazyLock;
use std::time::Duration;

use chassis::aggregate::{Applier, MAX_BATCH, Outcome};
use chassis::database::{Frontier, in_time};
use chassis::participant::RunningService;
use chassis::tasks::TaskContext;
use chassis::telemetry::METER;
use opentelemetry::metrics::Gauge;
use tracing::error;

use crate::domain::Trigger;
use crate::handlers::Orders;
use crate::store::orders;

/// How often overdue orders are looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often overdue orders are counted.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

static OVERDUE: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.orders.overdue")
        .with_description("Pending orders that are past the saga's deadline and not cancelled yet.")
        .build()
});

/// Cancels overdue orders until the service stops.
pub(crate) fn start(timeout: Duration, running: RunningService<Orders>) {
    let RunningService { applier, lifecycle } = running;
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
    lifecycle
        .intake
        .spawn_monitored("deadlines", &lifecycle.health, move |task| run(timeout, frontier, applier, task));
    lifecycle.intake.spawn_every(MEASURE_INTERVAL, "deadline gauge", move || {
        let pool = pool.clone();
        async move {
            // Orders that can't be counted keep their last measure; the database's health reports why.
            if let Ok(count) = in_time(orders::count_overdue(&pool, timeout)).await {
                OVERDUE.record(count, &[]);
            }
        }
    });
}

async fn run(timeout: Duration, frontier: Frontier, applier: Applier<Orders>, task: TaskContext) {
    task.health.up();
    let find = || orders::overdue(applier.pool(), &frontier, timeout, MAX_BATCH);
    while let Ok(outcomes) = applier.apply_due(&Trigger::DeadlinePassed, find, &task).await {
        for (order_id, outcome) in &outcomes {
            if let Some(Outcome::Rejected(rejection)) = outcome {
                error!(order.id = %order_id, %rejection, "an overdue order can't be cancelled");
            }
        }
        let progress = outcomes.iter().any(|(_, outcome)| matches!(outcome, Some(Outcome::Applied(_))));
        let more = progress && outcomes.len() == MAX_BATCH;
        let wait = if more { Duration::ZERO } else { INTERVAL };
        if task.unless_stopping(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}
