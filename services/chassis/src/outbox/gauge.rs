//! How much the outbox holds, and for how long.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::metrics::Gauge;
use sqlx::PgPool;

use super::store;
use crate::database::in_time;
use crate::tasks::Tasks;
use crate::telemetry::METER;

const INTERVAL: Duration = Duration::from_secs(10);

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

pub(super) fn start(pool: PgPool, tasks: &Tasks) {
    tasks.spawn_every(INTERVAL, "outbox gauge", move || measure(pool.clone()));
}

async fn measure(pool: PgPool) {
    // An outbox that can't be read keeps its last measure; the database's health reports why.
    if let Ok(backlog) = in_time(store::backlog(&pool)).await {
        DEPTH.record(backlog.depth.unsigned_abs(), &[]);
        AGE.record(backlog.age.max(0.0), &[]);
    }
}
