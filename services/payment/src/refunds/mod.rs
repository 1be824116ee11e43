//! Refunds that the provider refused: operators see them, and decide.
//!
//! ```text
//! POST /refunds/{paymentId}/retry, …/settle → Decisions ─→ DecisionWorker ─→ Applier → payment + audit, one commit
//!        ↑ done, or why not ──────────────────────────────────┘
//! ```

mod decisions;
mod http;

use std::sync::LazyLock;
use std::time::Duration;

use chassis::database::in_time;
use chassis::participant::RunningService;
use chassis::telemetry::METER;
use opentelemetry::metrics::Gauge;

pub(crate) use decisions::{DecisionReceiver, Decisions};
pub(crate) use http::routes;

use crate::handlers::Payments;
use crate::store::refunds;
use decisions::DecisionWorker;

/// How often refunds that are owed are counted.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

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

/// Starts applying operators' decisions, and counting what is owed.
pub(crate) fn start(decisions: DecisionReceiver, running: &RunningService<Payments>) {
    let RunningService { applier, lifecycle, .. } = running;
    let worker = DecisionWorker { applier: applier.clone() };
    lifecycle.work.spawn_monitored("refund decisions", &lifecycle.health, |task| worker.run(decisions, task));
    let pool = applier.pool().clone();
    lifecycle.intake.spawn_every(MEASURE_INTERVAL, "refund gauges", move || {
        let pool = pool.clone();
        async move {
            // Refunds that can't be counted keep their last measure; the database's health reports why.
            if let Ok(owed) = in_time(refunds::measure(&pool)).await {
                REFUSED.record(owed.refused.unsigned_abs(), &[]);
                OLDEST_AGE.record(owed.oldest_age.max(0.0), &[]);
            }
        }
    });
}
