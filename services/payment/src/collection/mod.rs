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
mod calls;
mod config;
mod load;
mod provider_client;
mod steps;

use std::sync::{Arc, LazyLock};

use chassis::database::{Frontier, measure};
use chassis::load::Stage;
use chassis::participant::RunningService;
use chassis::telemetry::{METER, TraceContext};
use opentelemetry::metrics::Gauge;
use tokio::sync::mpsc;

pub(crate) use calls::{BegunCall, ProviderCalls, Slots};
pub(crate) use config::{CollectionConfig, CollectionVariables};

use crate::domain::{ProviderCall, Trigger};
use crate::handlers::Payments;
use crate::provider::PaymentProvider;
use crate::samples::UNKNOWN_NOW;
use crate::store::payments;
use answers::AnswerWorker;
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
    /// Where the call was made.
    trace: TraceContext,
}

/// Starts taking steps, calling the provider and applying its answers. Steps that are due and can't be taken yet wait in `stage`.
pub(crate) fn start(
    provider: impl PaymentProvider,
    config: &CollectionConfig,
    begun: mpsc::UnboundedReceiver<BegunCall>,
    stage: Stage,
    running: RunningService<Payments>,
) {
    let RunningService { applier, lifecycle, .. } = running;
    let Payments { calls, steps_due, .. } = applier.aggregate().clone();
    let pool = applier.pool().clone();
    let (sender, answers) = mpsc::channel(config.concurrency);
    let client = Arc::new(ProviderClient {
        provider,
        timeout: config.timeout,
        charge_deadline: config.charge_deadline(),
        breaker: Arc::clone(calls.breaker()),
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
        calls: calls.clone(),
        load: load.clone(),
        wake_up: steps_due,
        frontier,
    };
    lifecycle.intake.spawn_monitored("payment steps", &lifecycle.health, |task| taker.run(task));
    let (tasks, stopping) = (lifecycle.work.clone(), lifecycle.work.stopping());
    lifecycle.work.spawn_essential("provider calls", client.run(begun, sender, tasks, stopping));
    let worker = AnswerWorker { applier, load: load.clone() };
    lifecycle.work.spawn_monitored("payment results", &lifecycle.health, |task| worker.run(answers, task));
    let database = pool.clone();
    lifecycle.intake.spawn_every(load::INTERVAL, "waiting steps", move || {
        let (load, calls, pool, frontier) =
            (load.clone(), calls.clone(), database.clone(), looked_from.clone());
        async move { load.measure(&pool, &frontier, calls.are_made()).await }
    });
    let read = |pool| async move { payments::count_unknown(&pool).await };
    measure("unknown payment gauge", &pool, &lifecycle.intake, read, |count| {
        UNKNOWN.record(count, &[]);
        UNKNOWN_NOW.set(count);
    });
}
