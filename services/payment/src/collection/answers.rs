//! Applies the provider's answers to their payments, a batch at a time.

use std::iter;
use std::time::Instant;

use chassis::aggregate::{Applier, MAX_BATCH, Outcome, Stopping, Triggered};
use chassis::cadence::Cadence;
use chassis::tasks::TaskContext;
use tokio::sync::mpsc;
use tracing::{error, info};

use super::Answer;
use super::load::StepLoad;
use crate::domain::Trigger;
use crate::handlers::Payments;

pub(super) struct AnswerWorker {
    pub(super) applier: Applier<Payments>,
    pub(super) load: StepLoad,
}

impl AnswerWorker {
    /// Applies answers until the last call has been answered. Answers that can't be stored are not lost: their leases
    /// lapse, and the provider is asked again.
    pub(super) async fn run(self, mut receiver: mpsc::Receiver<Answer>, task: TaskContext) {
        task.health.up();
        let mut answers = Vec::with_capacity(MAX_BATCH);
        let mut saturated_since: Option<Instant> = None;
        let mut cadence = Cadence::prompt();
        while receiver.recv_many(&mut answers, MAX_BATCH).await > 0 {
            if answers.len() < MAX_BATCH
                && let Some(pause) = cadence.pause(Instant::now())
            {
                tokio::time::sleep(pause).await;
                let more = iter::from_fn(|| receiver.try_recv().ok());
                answers.extend(more.take(MAX_BATCH - answers.len()));
            }
            cadence.begin(answers.len(), Instant::now());
            if self.apply(&answers, &task).await.is_err() {
                return;
            }
            let saturated = self.load.is_saturated();
            if saturated && let Some(since) = saturated_since {
                self.load.answered(answers.len(), since.elapsed());
            }
            saturated_since = saturated.then(Instant::now);
            answers.clear();
        }
        // Only so that ending is not taken for a failure: there are no more calls because the service stops.
        task.stopping.cancelled().await;
    }

    async fn apply(&self, answers: &[Answer], task: &TaskContext) -> Result<(), Stopping> {
        let triggers: Vec<Triggered<Trigger>> = answers
            .iter()
            .map(|Answer { call, trigger, cause }| Triggered {
                order_id: call.order_id,
                trigger: trigger.clone(),
                cause: Some(cause.clone()),
                event: None,
            })
            .collect();
        let outcomes = self.applier.apply(&triggers, task).await?;
        for (answer, outcome) in answers.iter().zip(outcomes) {
            answer.log(&outcome);
        }
        Ok(())
    }
}

impl Answer {
    fn log<Call>(&self, outcome: &Outcome<Call>) {
        let Self { call, trigger, cause } = self;
        let step = <&str>::from(call.step);
        let answer = <&str>::from(trigger);
        match outcome {
            Outcome::Applied { .. } => info!(
                order.id = %call.order_id,
                payment.id = %call.payment_id,
                payment.attempt = call.attempt,
                step,
                answer,
                error = trigger.error(),
                correlation.id = cause.correlation_id,
                "answer of the payment provider applied"
            ),
            Outcome::Newer => info!(
                order.id = %call.order_id,
                step,
                answer,
                "answer of the payment provider left to a newer version, which wrote the payment since and asks again"
            ),
            Outcome::Rejected(rejection) => error!(
                order.id = %call.order_id,
                payment.id = %call.payment_id,
                payment.attempt = call.attempt,
                step,
                answer,
                error = %rejection,
                correlation.id = cause.correlation_id,
                "answer of the payment provider can't be stored; the provider is asked again"
            ),
        }
    }
}
