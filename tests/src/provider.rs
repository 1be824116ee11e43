//! The simulated payment provider's books, and a way to block them.

use contracts::{OrderId, PaymentId};
use sqlx::{FromRow, Postgres, Transaction};

use crate::Stack;

/// A charge in the provider's books.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Charge {
    /// How much, in whole cents.
    pub cents: i64,
    /// `APPROVED`, `DECLINED` or `FAILED`.
    pub outcome: String,
    /// Whether the money went back.
    pub refunded: bool,
}

/// A provider that answers no charge and no refund until it is released.
pub struct BlockedProvider(Transaction<'static, Postgres>);

impl BlockedProvider {
    /// Lets it answer again.
    pub async fn release(self) {
        self.0.rollback().await.expect("the database answers");
    }
}

impl Stack {
    /// What the provider has in its books about an order.
    pub async fn charge_of(&self, order: OrderId) -> Option<Charge> {
        sqlx::query_as::<_, Charge>(
            "SELECT (amount * 100)::bigint AS cents, outcome, refunded_at IS NOT NULL AS refunded
             FROM provider_simulator.charges WHERE payment_id = $1",
        )
        .bind(PaymentId::of_order(order).as_uuid())
        .fetch_optional(&self.payment_database)
        .await
        .expect("the database answers")
    }

    /// How many charges the provider has in its books.
    pub async fn charge_count(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM provider_simulator.charges");
        count.fetch_one(&self.payment_database).await.expect("the database answers")
    }

    /// Blocks the provider: it answers no charge and no refund. Looking up a charge still works.
    pub async fn block_provider(&self) -> BlockedProvider {
        let mut transaction = self.payment_database.begin().await.expect("the database answers");
        sqlx::query("LOCK TABLE provider_simulator.charges IN EXCLUSIVE MODE")
            .execute(&mut *transaction)
            .await
            .expect("the books can be locked");
        BlockedProvider(transaction)
    }
}
