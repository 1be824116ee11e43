//! How many due steps wait for a free slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::database::{Frontier, in_time};
use chassis::load::Stage;
use sqlx::PgPool;

use crate::store::payments;

/// How often waiting steps are counted, while there are some.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// Most of them that are counted; more make no difference.
const MOST: usize = 10_000;

/// What the step taker found out about its work. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct StepLoad {
    stage: Stage,
    saturated: Arc<AtomicBool>,
}

impl StepLoad {
    pub(super) fn new(stage: Stage) -> Self {
        Self { stage, saturated: Arc::default() }
    }

    /// Records whether the last look found as many due steps as there were free slots: more may be waiting.
    pub(super) fn found(&self, saturated: bool) {
        self.saturated.store(saturated, Ordering::Relaxed);
    }

    /// Whether every slot is taken. Only then do the provider's answers tell how fast steps can be carried out.
    pub(super) fn is_saturated(&self) -> bool {
        self.saturated.load(Ordering::Relaxed)
    }

    /// Records that the provider answered so many calls within `took`, while every slot was taken.
    pub(super) fn answered(&self, count: usize, took: Duration) {
        self.stage.handled(count, took);
    }

    /// Counts what waits. Steps that are kept back because the provider does not answer wait for the provider.
    pub(super) async fn measure(&self, pool: &PgPool, frontier: &Frontier, provider_is_called: bool) {
        if !(provider_is_called && self.is_saturated()) {
            self.stage.shares(0);
        } else if let Ok(count) = in_time(payments::count_due(pool, frontier, MOST)).await {
            self.stage.shares(count);
        }
    }
}
