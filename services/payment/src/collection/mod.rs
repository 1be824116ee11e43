//! Carries out what payments are due for: charges, lookups, refunds.
//!
//! ```text
//! steps: due → taken, with a lease (committed) → provider client (many calls at a time, outside of any transaction)
//!     ↑                                                  ↓
//!     └──────────────── answers: applied (committed) ←───┘
//! ```
//!
//! The provider is never called inside a transaction, and never before it is committed that it will be. A replica that
//! dies during a call leaves a lease that lapses; the replica that takes the step then looks the charge up first.

mod answers;
mod breaker;
mod config;
mod load;
mod provider_client;
mod steps;

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use chassis::aggregate::Cause;
use chassis::database::{Frontier, measure};
use chassis::load::Stage;
use chassis::participant::RunningService;
use chassis::telemetry::METER;
use opentelemetry::metrics::Gauge;
use tokio::sync::{Notify, Semaphore, mpsc};

pub(crate) use config::{CollectionConfig, CollectionVariables};

use crate::domain::{ProviderCall, Trigger};
use crate::handlers::Payments;
use crate::provider::PaymentProvider;
use crate::store::payments;
use answers::AnswerWorker;
use breaker::Breaker;
use load::StepLoad;
use provider_client::ProviderClient;
use steps::StepTaker;

static UNKNOWN: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.payments.unknown")
        .with_description(
            "Payments of which it is not known whether money was taken: the provider did not answer.",
        )
        .build()
});

/// What the provider answered to a call.
struct Answer {
    call: ProviderCall,
    trigger: Trigger,
    cause: Cause,
}

/// Starts taking steps, calling the provider and applying its answers. `steps_due` wakes it; it looks by itself as well.
/// Steps that are due and can't be taken yet wait in `stage`.
pub(crate) fn start(
    provider: impl PaymentProvider,
    config: &CollectionConfig,
    steps_due: Arc<Notify>,
    stage: Stage,
    running: RunningService<Payments>,
) {
    let RunningService { applier, lifecycle, .. } = running;
    let pool = applier.pool().clone();
    let (sender, answers) = mpsc::channel(config.concurrency);
    let client = Arc::new(ProviderClient {
        provider,
        timeout: config.timeout,
        charge_deadline: config.charge_deadline(),
        breaker: Breaker::new(),
    });
    let load = StepLoad::new(stage);
    let frontier = Frontier::default();
    let (list, taker_waits) = (pool.clone(), Arc::clone(&steps_due));
    frontier.watch(
        "overlooked steps",
        &lifecycle.intake,
        move || {
            let list = list.clone();
            async move { payments::first_due(&list).await }
        },
        move || taker_waits.notify_one(),
    );
    let looked_from = frontier.clone();
    let taker = StepTaker {
        applier: applier.clone(),
        client: Arc::clone(&client),
        load: load.clone(),
        slots: Arc::new(Semaphore::new(config.concurrency)),
        lease: config.lease(),
        answers: sender,
        wake_up: steps_due,
        frontier,
        work: lifecycle.work.clone(),
    };
    lifecycle.intake.spawn_monitored("payment steps", &lifecycle.health, |task| taker.run(task));
    let worker = AnswerWorker { applier, load: load.clone() };
    lifecycle.work.spawn_monitored("payment results", &lifecycle.health, |task| worker.run(answers, task));
    let database = pool.clone();
    lifecycle.intake.spawn_every(load::INTERVAL, "waiting steps", move || {
        let (load, client, pool, frontier) =
            (load.clone(), Arc::clone(&client), database.clone(), looked_from.clone());
        async move {
            let provider_is_called = client.breaker.allowance(1, Instant::now()) > 0;
            load.measure(&pool, &frontier, provider_is_called).await;
        }
    });
    let read = |pool| async move { payments::count_unknown(&pool).await };
    measure("unknown payment gauge", &pool, &lifecycle.intake, read, |count| UNKNOWN.record(count, &[]));
}
