//! Takes due steps, as many as there are free slots, and has the provider called.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::aggregate::{Applier, MAX_BATCH, Outcome, Stopping};
use chassis::crash_here;
use chassis::database::Frontier;
use chassis::tasks::{TaskContext, Tasks};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::error;

use super::Answer;
use super::load::StepLoad;
use super::provider_client::ProviderClient;
use crate::domain::{ProviderCall, Trigger};
use crate::handlers::Payments;
use crate::provider::PaymentProvider;
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

pub(super) struct StepTaker<P> {
    pub(super) applier: Applier<Payments>,
    pub(super) client: Arc<ProviderClient<P>>,
    pub(super) load: StepLoad,
    /// One permit a call to the provider.
    pub(super) slots: Arc<Semaphore>,
    pub(super) lease: Duration,
    pub(super) answers: mpsc::Sender<Answer>,
    pub(super) wake_up: Arc<Notify>,
    /// From when on steps may be due.
    pub(super) frontier: Frontier,
    /// Where calls that were begun are finished when no more steps are taken.
    pub(super) work: Tasks,
}

impl<P: PaymentProvider> StepTaker<P> {
    pub(super) async fn run(self, task: TaskContext) {
        task.health.up();
        while let Some(Ok(slot)) = task.unless_stopping(Arc::clone(&self.slots).acquire_owned()).await {
            let Ok(found) = self.take(self.with_free_slots(slot), &task).await else { return };
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

    /// The slot and the others that are free, up to a batch of them.
    fn with_free_slots(&self, mut slot: OwnedSemaphorePermit) -> OwnedSemaphorePermit {
        // Only this task takes slots, so those that are free stay free until they are taken here.
        let others = self.slots.available_permits().min(MAX_BATCH - 1);
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        if let Ok(others) = Arc::clone(&self.slots).try_acquire_many_owned(others) {
            slot.merge(others);
        }
        slot
    }

    /// Takes due steps, one a slot at most, and begins their calls.
    async fn take(&self, mut slots: OwnedSemaphorePermit, task: &TaskContext) -> Result<Found, Stopping> {
        let limit = self.client.breaker.allowance(slots.num_permits(), Instant::now());
        if limit == 0 {
            return Ok(Found::Nothing);
        }
        let find = || payments::due(self.applier.pool(), &self.frontier, limit);
        let outcomes = self.applier.apply_due(&Trigger::StepDue { lease: self.lease }, find, task).await?;
        self.load.found(outcomes.len() >= limit);
        let mut found = Found::Nothing;
        for (order_id, outcome) in outcomes {
            match outcome {
                Some(Outcome::Applied(Some(call))) => {
                    found = Found::Taken;
                    crash_here!("after-lease-before-provider-call");
                    // No more steps are looked for than there are slots.
                    if let Some(slot) = slots.split(1) {
                        self.begin(call, slot);
                    }
                }
                Some(Outcome::Rejected(rejection)) => {
                    error!(order.id = %order_id, %rejection, "a due step can't be taken");
                }
                None | Some(Outcome::Applied(None) | Outcome::Newer) if found == Found::Nothing => {
                    found = Found::InOtherHands;
                }
                None | Some(Outcome::Applied(None) | Outcome::Newer) => {}
            }
        }
        Ok(found)
    }

    fn begin(&self, call: ProviderCall, slot: OwnedSemaphorePermit) {
        let (client, answers) = (Arc::clone(&self.client), self.answers.clone());
        client.breaker.calling(Instant::now());
        self.work.spawn(async move {
            let answer = client.call(call).await;
            drop(slot);
            crash_here!("after-provider-call-before-commit");
            // The receiver ends after the last sender.
            answers.send(answer).await.ok();
        });
    }
}
