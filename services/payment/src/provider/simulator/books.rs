//! The simulated provider's books: the table `provider_simulator.charges`.

use std::time::Duration;

use chassis::database::StoreError;
use contracts::{Money, PaymentId, Timestamp};
use sqlx::{FromRow, PgPool};

use super::decision::Outcome;
use crate::provider::{Charge, Refund};

/// What the provider knows of its charges.
#[derive(Clone)]
pub(super) struct Books(pub(super) PgPool);

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
    /// Writes a charge down unless there is one under this key, or it is too late; returns the one that is there.
    pub(super) async fn record(
        &self,
        payment: PaymentId,
        amount: Money,
        outcome: Outcome,
        not_after: Timestamp,
    ) -> Result<Option<Recorded>, StoreError> {
        let transaction_id = format!("sim_{}", payment.as_uuid().simple());
        let inserted = sqlx::query(
            "INSERT INTO provider_simulator.charges (payment_id, amount, outcome, transaction_id)
             SELECT $1, $2, $3, $4 WHERE clock_timestamp() < $5
             ON CONFLICT (payment_id) DO NOTHING",
        )
        .bind(payment)
        .bind(amount)
        .bind(<&str>::from(outcome))
        .bind(&transaction_id)
        .bind(not_after)
        .execute(&self.0)
        .await?;
        if inserted.rows_affected() == 1 {
            return Ok(Some(Recorded { charge: outcome.into_charge(transaction_id), is_new: true }));
        }
        Ok(self.find(payment).await?.map(|charge| Recorded { charge, is_new: false }))
    }

    /// The charge under a key.
    pub(super) async fn find(&self, payment: PaymentId) -> Result<Option<Charge>, StoreError> {
        let charge = sqlx::query_as::<_, Row>(
            "SELECT outcome, transaction_id FROM provider_simulator.charges WHERE payment_id = $1",
        );
        charge.bind(payment).fetch_optional(&self.0).await?.map(Charge::try_from).transpose()
    }

    /// Gives the money back, once; but not within `refuses_for` of being asked first.
    pub(super) async fn refund(
        &self,
        payment: PaymentId,
        refuses_for: Duration,
    ) -> Result<Refund, StoreError> {
        let refunded = sqlx::query_scalar::<_, bool>(
            "UPDATE provider_simulator.charges
             SET refund_refused_at = CASE WHEN $2::interval > '0' THEN coalesce(refund_refused_at, now()) END,
                 refunded_at = CASE WHEN coalesce(refund_refused_at, now()) <= now() - $2::interval
                                    THEN coalesce(refunded_at, now()) ELSE refunded_at END
             WHERE payment_id = $1 AND outcome = 'APPROVED'
             RETURNING refunded_at IS NOT NULL",
        );
        let refunded = refunded.bind(payment).bind(refuses_for).fetch_optional(&self.0).await?;
        let refused = |reason: &str| Refund::Refused { reason: reason.to_owned() };
        Ok(match refunded {
            Some(true) => Refund::Done,
            Some(false) => refused("the customer's account is closed"),
            None => refused("there is no approved charge to refund"),
        })
    }
}
