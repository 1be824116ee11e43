//! Takes due steps, as many as there are free slots, and sends them off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::crash_here;
use chassis::tasks::Tasks;
use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Answer;
use super::asker::Asker;
use crate::provider::PaymentProvider;
use crate::store::{self, TakenStep};

/// Most steps taken in one transaction.
const BATCH: usize = 200;

/// How often due steps are looked for when nobody says that there are some: retries, and what other replicas left.
const INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Taker<P> {
    pub(super) pool: PgPool,
    pub(super) asker: Arc<Asker<P>>,
    /// One permit a call to the provider.
    pub(super) slots: Arc<Semaphore>,
    pub(super) lease: Duration,
    pub(super) arrival: Duration,
    pub(super) answers: mpsc::Sender<Answer>,
    pub(super) steps_due: Arc<Notify>,
    pub(super) stopping: CancellationToken,
    /// Where calls that were begun are finished when the taker stops.
    pub(super) work: Tasks,
}

impl<P: PaymentProvider> Taker<P> {
    pub(super) async fn run(self) {
        while !self.stopping.is_cancelled() {
            let taken = match self.take().await {
                Ok(taken) => taken,
                Err(error) => {
                    // The database's health says so at warning level, once.
                    debug!(%error, "due steps can't be taken");
                    Vec::new()
                }
            };
            let found_some = !taken.is_empty();
            for step in taken {
                self.send_off(step).await;
            }
            if !found_some {
                tokio::select! {
                    () = self.stopping.cancelled() => {}
                    () = self.steps_due.notified() => {}
                    () = tokio::time::sleep(INTERVAL) => {}
                }
            }
        }
    }

    async fn take(&self) -> Result<Vec<TakenStep>, sqlx::Error> {
        let free = tokio::select! {
            () = self.stopping.cancelled() => return Ok(Vec::new()),
            // Waits for a slot, and gives it back at once: only this task takes slots.
            slot = self.slots.acquire() => { drop(slot); self.slots.available_permits() }
        };
        let limit = self.asker.breaker.allowance(free.clamp(1, BATCH), Instant::now());
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut transaction = self.pool.begin().await?;
        let taken = store::take_due_steps(&mut transaction, limit, self.lease, self.arrival).await?;
        if !taken.is_empty() {
            transaction.commit().await?;
            crash_here!("after-lease-before-provider-call");
        }
        Ok(taken)
    }

    async fn send_off(&self, step: TakenStep) {
        // Never waits: no more steps are taken than there are free slots.
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return;
        };
        let (asker, answers) = (Arc::clone(&self.asker), self.answers.clone());
        self.work.spawn(async move {
            let answer = asker.ask(step).await;
            drop(slot);
            crash_here!("after-provider-call-before-commit");
            // The settler ends after the last asker.
            answers.send(answer).await.ok();
        });
    }
}
