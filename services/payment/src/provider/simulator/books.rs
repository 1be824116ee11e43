//! The simulated provider's books: the table `provider_simulator.charges`.

use std::future::Future;
use std::time::Duration;

use chassis::database::{StoreError, in_time};
use chassis::tasks::Tasks;
use contracts::PaymentId;
use sqlx::{FromRow, PgPool};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::decision::Outcome;
use super::recorder::{NewCharge, Recorder, Recording};
use crate::provider::{Charge, Refund, Unanswered};

/// Charges that wait to be recorded; more make their callers wait.
const WAITING: usize = 1024;

/// What the provider knows of its charges. Cheap to clone.
#[derive(Clone)]
pub(super) struct Books {
    pool: PgPool,
    recorder: mpsc::Sender<Recording>,
}

#[derive(FromRow)]
struct Row {
    outcome: String,
    transaction_id: String,
}

impl TryFrom<Row> for Charge {
    type Error = StoreError;

    fn try_from(Row { outcome, transaction_id }: Row) -> Result<Self, StoreError> {
        let outcome = outcome.parse::<Outcome>().map_err(|error| StoreError::Encoding(error.into()))?;
        Ok(outcome.into_charge(transaction_id))
    }
}

/// A charge that was asked for.
pub(super) struct Recorded {
    /// What became of it: now, or when it was asked for first.
    pub(super) charge: Charge,
    /// Whether it was asked for now for the first time.
    pub(super) is_new: bool,
}

impl Books {
    /// Opens the books. Charges are recorded until the tasks stop.
    pub(super) fn open(pool: PgPool, tasks: &Tasks) -> Self {
        let (recorder, recordings) = mpsc::channel(WAITING);
        let writer = Recorder { recordings, pool: pool.clone() };
        tasks.spawn_essential("provider simulator", writer.run(tasks.stopping()));
        Self { pool, recorder }
    }

    /// Records a charge unless there is one under this key, or it is too late; returns the one that is there.
    pub(super) async fn record(&self, asked: NewCharge) -> Result<Option<Recorded>, Unanswered> {
        let (payment, charge) = (asked.payment_id(), asked.charge());
        let (reply, inserted) = oneshot::channel();
        self.recorder.send(Recording { asked, reply }).await.map_err(|_| closed())?;
        if inserted.await.map_err(|_| closed())? {
            return Ok(Some(Recorded { charge, is_new: true }));
        }
        Ok(self.find(payment).await?.map(|charge| Recorded { charge, is_new: false }))
    }

    /// The charge under a key.
    pub(super) async fn find(&self, payment: PaymentId) -> Result<Option<Charge>, Unanswered> {
        let charge = sqlx::query_as::<_, Row>(
            "SELECT outcome, transaction_id FROM provider_simulator.charges WHERE payment_id = $1",
        );
        let charge = charge.bind(payment);
        answered(async { charge.fetch_optional(&self.pool).await?.map(Charge::try_from).transpose() }).await
    }

    /// Gives the money back, once; but not within `refuses_for` of being asked first.
    pub(super) async fn refund(
        &self,
        payment: PaymentId,
        refuses_for: Duration,
    ) -> Result<Refund, Unanswered> {
        let refunded = sqlx::query_scalar::<_, bool>(
            "UPDATE provider_simulator.charges
             SET refund_refused_at = CASE WHEN $2::interval > '0' THEN coalesce(refund_refused_at, now()) END,
                 refunded_at = CASE WHEN coalesce(refund_refused_at, now()) <= now() - $2::interval
                                    THEN coalesce(refunded_at, now()) ELSE refunded_at END
             WHERE payment_id = $1 AND outcome = 'APPROVED'
             RETURNING refunded_at IS NOT NULL",
        );
        let refunded = refunded.bind(payment).bind(refuses_for);
        let refused = |reason: &str| Refund::Refused { reason: reason.to_owned() };
        Ok(match answered(async { Ok(refunded.fetch_optional(&self.pool).await?) }).await? {
            Some(true) => Refund::Done,
            Some(false) => refused("the customer's account is closed"),
            None => refused("there is no approved charge to refund"),
        })
    }
}

/// Waits for the books; reports why they can't be used.
pub(super) async fn answered<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, Unanswered> {
    in_time(asked).await.map_err(|error| {
        warn!(%error, "the simulated provider's books can't be used");
        Unanswered(error.to_string())
    })
}

fn closed() -> Unanswered {
    Unanswered("the provider's books can't be used".to_owned())
}
