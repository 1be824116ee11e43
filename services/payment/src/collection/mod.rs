//! Carries out what payments are due for: charges, lookups, refunds.
//!
//! ```text
//! taker: due steps → lease committed → asker: provider (many at a time, outside of any transaction) → settler: transition → commit
//! ```
//!
//! The provider is never called inside a transaction, and never before it is committed that it will be. An asker that
//! dies leaves a lease that lapses; whoever takes the step then looks the charge up first.

mod asker;
mod breaker;
mod config;
mod settler;
mod taker;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chassis::health::Health;
use chassis::outbox::Outbox;
use chassis::tasks::Tasks;
use chassis::telemetry::METER;
use opentelemetry::metrics::Gauge;
use tokio::sync::{Notify, Semaphore, mpsc};
use tracing::info;

pub(crate) use config::{CollectionConfig, CollectionVariables};

use crate::domain::Trigger;
use crate::provider::PaymentProvider;
use crate::store::{self, Note, TakenStep};
use asker::Asker;
use breaker::Breaker;
use settler::Settler;
use taker::Taker;

/// How often payments whose outcome is unknown are counted.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

static UNKNOWN: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.payments.unknown")
        .with_description(
            "Payments of which it is not known whether money was taken: the provider did not answer.",
        )
        .build()
});

/// What the provider answered to a step, as the saga sees it.
struct Answer {
    step: TakenStep,
    trigger: Trigger,
    note: Note,
}

impl Answer {
    /// Says in the log that the answer was written down.
    fn settled(&self) {
        info!(
            order.id = %self.step.order_id,
            payment.id = %self.step.payment_id,
            payment.attempt = self.step.attempt,
            step = <&str>::from(self.step.step),
            answer = <&str>::from(&self.trigger),
            error = self.note.error,
            correlation.id = self.note.cause.correlation_id,
            "answer of the provider settled"
        );
    }
}

/// Starts taking, asking and settling. `steps_due` wakes the taker; it looks by itself as well.
pub(crate) fn start(
    provider: impl PaymentProvider,
    config: &CollectionConfig,
    outbox: Outbox,
    steps_due: Arc<Notify>,
    health: &Health,
    intake: &Tasks,
    work: &Tasks,
) {
    let pool = outbox.pool().clone();
    let (answers, answered) = mpsc::channel(config.concurrency);
    let asker = Arc::new(Asker { provider, timeout: config.timeout, breaker: Breaker::new() });
    let taker = Taker {
        pool: pool.clone(),
        asker,
        slots: Arc::new(Semaphore::new(config.concurrency)),
        lease: config.lease(),
        arrival: config.arrival(),
        answers,
        steps_due: Arc::clone(&steps_due),
        stopping: intake.stopping(),
        work: work.clone(),
    };
    let settler =
        Settler { outbox, health: health.part("payment results"), steps_due, stopping: work.stopping() };
    intake.spawn_every(MEASURE_INTERVAL, "unknown payment gauge", move || {
        let pool = pool.clone();
        async move {
            // Payments that can't be counted keep their last measure; the database's health says why.
            if let Ok(count) = store::count_unknown(&pool).await {
                UNKNOWN.record(count, &[]);
            }
        }
    });
    intake.spawn_essential("step taker", taker.run());
    work.spawn_essential("settler", settler.run(answered));
}
