//! How many messages wait for an operator's decision.

use std::sync::LazyLock;
use std::time::Duration;

use contracts::topology::Queue;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Gauge;
use sqlx::PgPool;

use super::store;
use crate::database::in_time;
use crate::tasks::Tasks;
use crate::telemetry::METER;

const INTERVAL: Duration = Duration::from_secs(10);

static COUNT: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.failed_messages")
        .with_description(
            "Failed messages that wait for an operator's decision, by the queue that they failed on.",
        )
        .build()
});

/// Counts the messages that wait for a decision, for each of these queues.
pub(super) fn start(pool: PgPool, queues: Vec<Queue>, tasks: &Tasks) {
    tasks.spawn_every(INTERVAL, "failed message gauge", move || {
        let (pool, queues) = (pool.clone(), queues.clone());
        async move {
            // A table that can't be read keeps its last measure; the database's health reports why.
            let Ok(open) = in_time(store::open_by_queue(&pool)).await else { return };
            for queue in queues {
                let count = open.get(queue.name()).copied().unwrap_or_default().unsigned_abs();
                COUNT.record(count, &[KeyValue::new("messaging.destination.name", queue.name())]);
            }
        }
    });
}
