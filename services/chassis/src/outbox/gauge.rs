//! How much the outbox holds, and for how long.

use std::sync::LazyLock;

use opentelemetry::metrics::Gauge;
use sqlx::PgPool;

use super::store::{self, Backlog};
use crate::database::measure;
use crate::samples::Latest;
use crate::tasks::Tasks;
use crate::telemetry::METER;

/// How much it held last.
pub(crate) static DEPTH_NOW: Latest = Latest::new();

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

pub(super) fn start(pool: &PgPool, tasks: &Tasks) {
    let record = |backlog: Backlog| {
        DEPTH.record(backlog.depth.unsigned_abs(), &[]);
        DEPTH_NOW.set(backlog.depth.unsigned_abs());
        AGE.record(backlog.age.max(0.0), &[]);
    };
    measure("outbox gauge", pool, tasks, |pool| async move { store::backlog(&pool).await }, record);
}
