//! A payment provider that moves no money.
//!
//! It keeps books of its own (the schema `provider_simulator`), so that it remembers its charges as another company
//! would, whatever happens to the payment service.

mod books;
mod decision;
mod recorder;

use std::time::Duration;

use chassis::tasks::Tasks;
use contracts::{Money, PaymentId, Timestamp};
use sqlx::PgPool;
use tokio::sync::oneshot;

pub use decision::{SimulatorConfig, SimulatorVariables};

use super::{Charge, PaymentProvider, Refund, Unanswered};
use books::{Books, Recorded};
use recorder::NewCharge;

/// The simulated provider.
pub struct Simulator {
    config: SimulatorConfig,
    books: Books,
    /// The provider's own work. It goes on when a caller stops waiting for its answer, as it would elsewhere.
    tasks: Tasks,
}

impl Simulator {
    /// A provider whose books are kept through `pool`, on disk before it answers: the payment service may hold an
    /// answer in memory while PostgreSQL crashes, and write it down afterwards.
    #[must_use]
    pub fn new(config: SimulatorConfig, pool: PgPool, tasks: Tasks) -> Self {
        Self { config, books: Books::open(pool, &tasks), tasks }
    }

    /// Carries work out as another company would: unaffected by a caller that gives up.
    async fn elsewhere<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Unanswered>> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.tasks.spawn(async move {
            // A caller that has given up loses the answer; what was done stays done.
            answer.send(work.await).ok();
        });
        answered.await.unwrap_or_else(|_| Err(Unanswered("the provider was stopped".to_owned())))
    }
}

impl PaymentProvider for Simulator {
    async fn charge(
        &self,
        payment: PaymentId,
        amount: Money,
        not_after: Timestamp,
    ) -> Result<Charge, Unanswered> {
        let decision = self.config.decide(payment, amount);
        let charge = NewCharge::new(payment, amount, decision.outcome, not_after);
        let books = self.books.clone();
        let recorded = self
            .elsewhere(async move {
                // Half of the time passes before the money moves, half after it: a crash meets both.
                pass(decision.latency / 2).await;
                let recorded = books.record(charge).await?;
                pass(decision.latency / 2).await;
                Ok(recorded)
            })
            .await?;
        let Some(Recorded { charge, is_new }) = recorded else {
            return Err(Unanswered("the charge arrived too late".to_owned()));
        };
        if decision.answer_is_lost && is_new {
            std::future::pending::<()>().await;
        }
        Ok(charge)
    }

    async fn refund(&self, payment: PaymentId, amount: Money) -> Result<Refund, Unanswered> {
        let latency = Duration::from_millis(self.config.draw_latency(payment));
        let refuses_for = decision::refuses_refund_for(amount);
        let books = self.books.clone();
        self.elsewhere(async move {
            pass(latency / 2).await;
            let refund = books.refund(payment, refuses_for).await?;
            pass(latency / 2).await;
            Ok(refund)
        })
        .await
    }

    async fn lookup(&self, payment: PaymentId) -> Result<Option<Charge>, Unanswered> {
        let books = self.books.clone();
        self.elsewhere(async move { books.find(payment).await }).await
    }
}

/// A pause of nothing is none: the runtime's timer would make a millisecond or two of it.
async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
