//! Refunds that the provider refused: operators see them, and decide (`crate::decisions`). A decision and its record in the refund's
//! audit are one commit.

mod http;

use std::sync::LazyLock;

use chassis::database::measure;
use chassis::participant::RunningService;
use chassis::telemetry::METER;
use opentelemetry::metrics::Gauge;

pub(crate) use http::routes;

use crate::handlers::Payments;
use crate::store::refunds::{self, OwedRefunds};

static REFUSED: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.refunds.refused")
        .with_description("Refunds that the payment provider refused for good: an operator is to decide.")
        .build()
});

static OLDEST_AGE: LazyLock<Gauge<f64>> = LazyLock::new(|| {
    METER
        .f64_gauge("paysaga.refunds.oldest_age")
        .with_unit("s")
        .with_description("Age of the oldest refund that the payment provider has neither made nor refused.")
        .build()
});

/// Starts counting what is owed.
pub(crate) fn start(running: &RunningService<Payments>) {
    let RunningService { applier, lifecycle, .. } = running;
    let record = |owed: OwedRefunds| {
        REFUSED.record(owed.refused.unsigned_abs(), &[]);
        OLDEST_AGE.record(owed.oldest_age.max(0.0), &[]);
    };
    let read = |pool| async move { refunds::measure(&pool).await };
    measure("refund gauges", applier.pool(), &lifecycle.intake, read, record);
}
