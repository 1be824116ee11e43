//! How many messages wait for an operator's decision.

use std::collections::HashMap;
use std::sync::LazyLock;

use contracts::topology::Queue;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Gauge;
use sqlx::PgPool;

use super::store;
use crate::database::measure;
use crate::samples::Latest;
use crate::tasks::Tasks;
use crate::telemetry::METER;

/// How many waited last.
pub(crate) static OPEN_NOW: Latest = Latest::new();

static COUNT: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.failed_messages")
        .with_description(
            "Failed messages that wait for an operator's decision, by the queue that they failed on.",
        )
        .build()
});

/// Counts the messages that wait for a decision, for each of these queues.
pub(super) fn start(pool: &PgPool, queues: Vec<Queue>, tasks: &Tasks) {
    let record = move |open: HashMap<String, i64>| {
        for queue in &queues {
            let count = open.get(queue.name()).copied().unwrap_or_default().unsigned_abs();
            COUNT.record(count, &[KeyValue::new("messaging.destination.name", queue.name())]);
        }
        OPEN_NOW.set(open.values().sum::<i64>().unsigned_abs());
    };
    let read = |pool| async move { store::open_by_queue(&pool).await };
    measure("failed message gauge", pool, tasks, read, record);
}
