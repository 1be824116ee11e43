//! Takes due steps, as many as there are free slots, and has the provider called.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::aggregate::{Applier, IfLocked, Outcome, Stopping, Triggered};
use chassis::crash_here;
use chassis::tasks::{Task, Tasks};
use sqlx::PgPool;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{debug, error};

use super::Answer;
use super::provider_client::ProviderClient;
use crate::domain::{ProviderCall, Trigger};
use crate::handlers::Payments;
use crate::provider::PaymentProvider;
use crate::store::payments;

/// Most steps taken in one transaction.
const BATCH: usize = 200;

/// How often due steps are looked for without being told that there are some: retries, and what other replicas left.
const INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Steps<P> {
    pub(super) applier: Applier<Payments>,
    pub(super) pool: PgPool,
    pub(super) client: Arc<ProviderClient<P>>,
    /// One permit a call to the provider.
    pub(super) slots: Arc<Semaphore>,
    pub(super) lease: Duration,
    pub(super) answers: mpsc::Sender<Answer>,
    pub(super) wake_up: Arc<Notify>,
    /// Where calls that were begun are finished when no more steps are taken.
    pub(super) work: Tasks,
}

impl<P: PaymentProvider> Steps<P> {
    pub(super) async fn run(self, task: Task) {
        task.health.up();
        while let Some(Ok(slot)) = task.unless_stopping(Arc::clone(&self.slots).acquire_owned()).await {
            let Ok(taken) = self.take(self.with_free_slots(slot), &task).await else { return };
            if taken > 0 {
                continue;
            }
            let due = async {
                tokio::select! {
                    () = self.wake_up.notified() => {}
                    () = tokio::time::sleep(INTERVAL) => {}
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
        let others = self.slots.available_permits().min(BATCH - 1);
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        if let Ok(others) = Arc::clone(&self.slots).try_acquire_many_owned(others) {
            slot.merge(others);
        }
        slot
    }

    /// Takes due steps, one a slot at most, and begins their calls. Returns how many.
    async fn take(&self, mut slots: OwnedSemaphorePermit, task: &Task) -> Result<usize, Stopping> {
        let limit = self.client.breaker.allowance(slots.num_permits(), Instant::now());
        if limit == 0 {
            return Ok(0);
        }
        let due = match payments::due(&self.pool, limit).await {
            Ok(due) => due,
            Err(error) => {
                // The database's health has it at warning level, once.
                debug!(%error, "due steps can't be looked for");
                return Ok(0);
            }
        };
        let triggers: Vec<_> = due
            .into_iter()
            .map(|order_id| Triggered::by_time(order_id, Trigger::StepDue { lease: self.lease }))
            .collect();
        let outcomes = self.applier.apply(&triggers, IfLocked::Skip, task).await?;
        if !outcomes.is_empty() {
            crash_here!("after-lease-before-provider-call");
        }
        let mut taken = 0;
        for outcome in outcomes {
            match outcome {
                Outcome::Applied(Some(call)) => {
                    taken += 1;
                    // No more steps are looked for than there are slots.
                    if let Some(slot) = slots.split(1) {
                        self.begin(call, slot);
                    }
                }
                // Another replica took it first.
                Outcome::Applied(None) => {}
                Outcome::Rejected(rejection) => error!(%rejection, "a due step can't be taken"),
            }
        }
        Ok(taken)
    }

    fn begin(&self, call: ProviderCall, slot: OwnedSemaphorePermit) {
        let (client, answers) = (Arc::clone(&self.client), self.answers.clone());
        self.work.spawn(async move {
            let answer = client.call(call).await;
            drop(slot);
            crash_here!("after-provider-call-before-commit");
            // The receiver ends after the last sender.
            answers.send(answer).await.ok();
        });
    }
}
