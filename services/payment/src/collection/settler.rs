//! Writes the provider's answers down, a batch at a time.

use std::collections::HashMap;
use std::sync::Arc;

use chassis::health::HealthPart;
use chassis::outbox::{GaveUp, Outbox, UnitOfWork, Work};
use contracts::OrderId;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::Answer;
use crate::domain::{Saga, transition};
use crate::store::{self, Note};

/// Most answers in one transaction.
const BATCH: usize = 200;

pub(super) struct Settler {
    pub(super) outbox: Outbox,
    pub(super) health: HealthPart,
    pub(super) steps_due: Arc<Notify>,
    pub(super) stopping: CancellationToken,
}

impl Settler {
    /// Settles until the last asker is gone. Answers that can't be written down are not lost: their leases lapse, and
    /// the provider is asked again.
    pub(super) async fn run(self, mut answered: mpsc::Receiver<Answer>) {
        self.health.up();
        let mut answers = Vec::with_capacity(BATCH);
        while answered.recv_many(&mut answers, BATCH).await > 0 {
            match self.outbox.transact(&self.health, &self.stopping, &Settle(&answers)).await {
                // A refund may have become due, or a charge again.
                Ok(()) => {
                    answers.iter().for_each(Answer::settled);
                    self.steps_due.notify_one();
                }
                Err(GaveUp::Stopping) => return,
                Err(GaveUp::Failed(error)) => {
                    error!(%error, "answers of the provider could not be written down");
                }
            }
            answers.clear();
        }
        // Only so that ending is not taken for a failure: the askers are gone because the service stops.
        self.stopping.cancelled().await;
    }
}

/// A batch of answers.
struct Settle<'a>(&'a [Answer]);

impl Work for Settle<'_> {
    type Output = ();

    async fn run(&self, unit: &mut UnitOfWork) -> Result<(), sqlx::Error> {
        let orders: Vec<OrderId> = self.0.iter().map(|answer| answer.step.order_id).collect();
        let before = store::load(unit.connection(), &orders).await?;
        let mut after = before.clone();
        let mut notes = HashMap::new();
        for Answer { step, trigger, note } in self.0 {
            let saga = after.entry(step.order_id).or_insert(Saga::Unknown);
            let transition = transition(step.order_id, saga, trigger.clone());
            *saga = transition.next;
            if let Some(event) = transition.emit {
                unit.emit(event, &note.cause)?;
            }
            notes.insert(step.order_id, Note { wait: transition.wait, ..note.clone() });
        }
        store::save(unit.connection(), &before, &after, &notes).await
    }
}
