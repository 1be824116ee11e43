//! Operators' decisions on their way to the payments.
//!
//! ```text
//! POST /refunds/{paymentId}/retry, …/settle, /payments/order/{orderId}/ask-now → Decisions ─→ DecisionWorker ─→ Applier
//!        ↑ committed, or why not ──────────────────────────────────────────────────────┘
//! ```

use std::time::Duration;

use chassis::aggregate::{Applier, Outcome, Rejection, Stopping, Triggered};
use chassis::participant::RunningService;
use chassis::tasks::TaskContext;
use contracts::problem::InvalidMember;
use contracts::{OrderId, Problem, ProblemType};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use crate::domain::Trigger;
use crate::handlers::Payments;

/// Decisions that wait to be applied. Operators make a few a minute.
const QUEUE: usize = 16;

/// How long an operator waits for the decision to be stored; less than the gateway waits for its answer.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Longest text that an operator gives, in characters.
const MAX_TEXT: usize = 1000;

/// Takes decisions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Decisions(mpsc::Sender<Pending>);

/// Where the decisions arrive.
pub(crate) type DecisionReceiver = mpsc::Receiver<Pending>;

/// A decision that is not applied yet.
pub(crate) struct Pending {
    order_id: OrderId,
    trigger: Trigger,
    applied: oneshot::Sender<Result<(), Undecided>>,
}

/// Why a decision was not carried out.
#[derive(Debug, Error)]
pub(crate) enum Undecided {
    /// The payment has nothing to decide about, or it can't be stored.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The payment is of a newer version.
    #[error("a newer version wrote this payment")]
    Newer,
    /// It may still be applied.
    #[error("the decision could not be stored in time")]
    Late,
}

impl From<Undecided> for Problem {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Rejected(Rejection::Violation(reason)) => {
                Self::new(ProblemType::StateConflict, capitalized(&reason))
            }
            Undecided::Rejected(Rejection::Store(_)) => {
                Self::new(ProblemType::InternalError, "The decision can't be stored.")
            }
            Undecided::Newer => Self::new(
                ProblemType::StateConflict,
                "A newer version wrote this payment. Decide when it is back.",
            ),
            Undecided::Late => Self::new(
                ProblemType::OutcomeUnknown,
                "The decision was not stored in time, and may be yet. Look at the payment before you repeat it.",
            ),
        }
    }
}

impl Decisions {
    /// A way for decisions, and its other end.
    pub(crate) fn channel() -> (Self, DecisionReceiver) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Waits until a decision about the payment of an order is committed.
    pub(crate) async fn apply(&self, order_id: OrderId, trigger: Trigger) -> Result<(), Undecided> {
        let (applied, outcome) = oneshot::channel();
        let decided = async {
            self.0.send(Pending { order_id, trigger, applied }).await.map_err(|_| Undecided::Late)?;
            outcome.await.unwrap_or(Err(Undecided::Late))
        };
        tokio::time::timeout(TIMEOUT, decided).await.unwrap_or(Err(Undecided::Late))
    }
}

/// Starts applying decisions.
pub(crate) fn start(decisions: DecisionReceiver, running: &RunningService<Payments>) {
    let RunningService { applier, lifecycle, .. } = running;
    let worker = DecisionWorker { applier: applier.clone() };
    lifecycle.work.spawn_monitored("decisions", &lifecycle.health, |task| worker.run(decisions, task));
}

/// Applies decisions as everything else that happens to a payment.
struct DecisionWorker {
    applier: Applier<Payments>,
}

impl DecisionWorker {
    async fn run(self, mut decisions: DecisionReceiver, task: TaskContext) {
        task.health.up();
        while let Some(Some(decision)) = task.unless_stopping(decisions.recv()).await {
            if self.apply(decision, &task).await.is_err() {
                return;
            }
        }
        // Only so that ending is not taken for a failure: there is no more HTTP because the service stops.
        task.stopping.cancelled().await;
    }

    async fn apply(&self, decision: Pending, task: &TaskContext) -> Result<(), Stopping> {
        let Pending { order_id, trigger, applied } = decision;
        let decided = <&str>::from(&trigger);
        // What follows belongs to the order's saga.
        let triggered = Triggered::of_order(order_id, trigger);
        let outcome = match self.applier.apply(&[triggered], task).await?.into_iter().next() {
            Some(Outcome::Rejected(rejection)) => Err(rejection.into()),
            Some(Outcome::Newer) => Err(Undecided::Newer),
            Some(Outcome::Applied { .. }) | None => {
                info!(order.id = %order_id, decided, "an operator decided about a payment");
                Ok(())
            }
        };
        // An operator who has given up looks at the payment again.
        applied.send(outcome).ok();
        Ok(())
    }
}

/// A text that an operator must give.
pub(crate) fn text(member: &str, what: &str, given: &str) -> Result<String, Problem> {
    let given = given.trim();
    if given.is_empty() || given.contains('\0') || given.chars().count() > MAX_TEXT {
        let rule = format!("must say {what}, in at most {MAX_TEXT} characters");
        return Err(Problem::invalid(vec![InvalidMember::new(member, rule)]));
    }
    Ok(given.to_owned())
}

/// As a sentence.
fn capitalized(reason: &str) -> String {
    let mut letters = reason.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}
