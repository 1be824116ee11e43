//! Applies the provider's answers to their payments, a batch at a time.

use std::iter;
use std::time::Instant;

use chassis::aggregate::{Applier, Cause, MAX_BATCH, Outcome, Stopping, Triggered};
use chassis::cadence::Cadence;
use chassis::tasks::TaskContext;
use chassis::telemetry::{TraceContext, mark_failed};
use tokio::sync::mpsc;
use tracing::{Span, debug, error, field, info, info_span, warn};

use super::Answer;
use super::load::StepLoad;
use crate::domain::{Trigger, retry_delay};
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
        let triggers: Vec<Triggered<Trigger>> = answers.iter().map(Answer::triggered).collect();
        let outcomes = self.applier.apply(&triggers, task).await?;
        for ((answer, triggered), outcome) in answers.iter().zip(&triggers).zip(outcomes) {
            triggered.span.in_scope(|| answer.log(&outcome));
        }
        Ok(())
    }
}

impl Answer {
    /// What the answer is to the payment, with a span of its settling in the trace of the call.
    fn triggered(&self) -> Triggered<Trigger> {
        let Self { call, trigger, trace } = self;
        let span = info_span!(
            "settle answer",
            order.id = %call.order_id,
            payment.id = %call.payment_id,
            payment.attempt = call.attempt,
            step = <&str>::from(call.step),
            answer = <&str>::from(trigger),
            correlation.id = call.cause.correlation_id,
            error.r#type = field::Empty,
        );
        trace.make_parent_of(&span);
        let cause =
            Cause { correlation_id: call.cause.correlation_id.clone(), trace: TraceContext::of(&span) };
        let (order_id, trigger) = (call.order_id, trigger.clone());
        Triggered { order_id, trigger, cause: Some(cause), event: None, span }
    }

    /// Says what became of the answer, where its span says about what.
    fn log<Call>(&self, outcome: &Outcome<Call>) {
        match (outcome, &self.trigger) {
            (Outcome::Applied { .. }, Trigger::Unanswered { error, attempt }) => {
                let delay = retry_delay(self.call.order_id, *attempt);
                let retry_in_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                warn!(error, retry_in_ms, "the payment provider did not answer; it is asked again");
            }
            (Outcome::Applied { .. }, trigger) => {
                debug!(error = trigger.error(), "answer of the payment provider applied");
            }
            (Outcome::Newer, _) => {
                info!(
                    "answer of the payment provider left to a newer version, which wrote the payment since and asks again"
                );
            }
            (Outcome::Rejected(rejection), _) => {
                mark_failed(&Span::current(), rejection.error_type(), &rejection.to_string());
                error!(
                    error = %rejection,
                    "answer of the payment provider can't be stored; the provider is asked again"
                );
            }
        }
    }
}
