//! How many orders are on their way, and for how long.

use std::sync::LazyLock;

use chassis::database::measure;
use chassis::samples::Latest;
use chassis::tasks::Tasks;
use chassis::telemetry::METER;
use opentelemetry::metrics::Gauge;
use sqlx::PgPool;

use crate::store::orders::{self, Pending};

/// How many there were last.
pub(crate) static COUNT_NOW: Latest = Latest::new();

static PENDING: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.orders.pending")
        .with_description("Orders that wait for the result of their payment.")
        .build()
});

static PENDING_AGE: LazyLock<Gauge<f64>> = LazyLock::new(|| {
    METER
        .f64_gauge("paysaga.orders.pending_oldest_age")
        .with_unit("s")
        .with_description("Age of the oldest order that waits for the result of its payment.")
        .build()
});

/// Measures until the tasks stop.
pub(crate) fn start(pool: &PgPool, tasks: &Tasks) {
    let read = |pool| async move { orders::pending(&pool).await };
    measure("pending gauge", pool, tasks, read, |pending: Pending| {
        PENDING.record(pending.count.unsigned_abs(), &[]);
        COUNT_NOW.set(pending.count.unsigned_abs());
        PENDING_AGE.record(pending.oldest_age.max(0.0), &[]);
    });
}
