//! Takes due steps, as many as there are free slots, and has the provider called.

use std::sync::Arc;
use std::time::Duration;

use chassis::aggregate::{Applier, MAX_BATCH, Outcome, Stopping};
use chassis::database::Frontier;
use chassis::tasks::TaskContext;
use tokio::sync::Notify;
use tracing::error;

use super::calls::{ProviderCalls, Slots};
use super::load::StepLoad;
use crate::domain::Trigger;
use crate::handlers::Payments;
use crate::store::payments;

/// How often due steps are looked for without being told that there are some: retries, and what other replicas left.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long to wait when all that was found is in the hands of other transactions.
const BRIEFLY: Duration = Duration::from_millis(20);

/// What a look for due steps came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing is due, or can be taken.
    Nothing,
    /// What is due is being worked on by other transactions.
    InOtherHands,
    /// Some steps were taken.
    Taken,
}

pub(super) struct StepTaker {
    pub(super) applier: Applier<Payments>,
    pub(super) calls: ProviderCalls,
    pub(super) load: StepLoad,
    pub(super) wake_up: Arc<Notify>,
    /// From when on steps may be due.
    pub(super) frontier: Frontier,
}

impl StepTaker {
    pub(super) async fn run(self, task: TaskContext) {
        task.health.up();
        while let Some(slots) = task.unless_stopping(self.calls.wait_for_slots(MAX_BATCH)).await {
            let Ok(found) = self.take(slots, &task).await else { return };
            let pause = match found {
                Found::Taken => continue,
                Found::InOtherHands => BRIEFLY,
                Found::Nothing => INTERVAL,
            };
            let due = async {
                tokio::select! {
                    () = self.wake_up.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            };
            if task.unless_stopping(due).await.is_none() {
                return;
            }
        }
    }

    /// Takes due steps, one a slot at most, and begins their calls.
    async fn take(&self, slots: Slots, task: &TaskContext) -> Result<Found, Stopping> {
        let limit = slots.count();
        if limit == 0 {
            return Ok(Found::Nothing);
        }
        let find = || payments::due(self.applier.pool(), &self.frontier, limit);
        let step_due = Trigger::StepDue { lease: self.calls.lease() };
        let outcomes = self.applier.apply_due(&step_due, find, task).await?;
        self.load.found(outcomes.len() >= limit);
        let (mut calls, mut passed_over) = (Vec::new(), false);
        for (order_id, outcome) in outcomes {
            match outcome {
                Some(Outcome::Applied { call: Some(call), .. }) => calls.push(call),
                Some(Outcome::Rejected(rejection)) => {
                    error!(order.id = %order_id, %rejection, "a due step can't be taken");
                }
                None | Some(Outcome::Applied { call: None, .. } | Outcome::Newer) => passed_over = true,
            }
        }
        let found = match (calls.is_empty(), passed_over) {
            (false, _) => Found::Taken,
            (true, true) => Found::InOtherHands,
            (true, false) => Found::Nothing,
        };
        self.calls.begin(calls, slots);
        Ok(found)
    }
}
