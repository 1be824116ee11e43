//! The table `payment_totals`, which triggers keep in step with `payments`.

use chassis::database::{Connections, StoreError};
use contracts::Word;
use contracts::payment::{PaymentStats, StatusStats};
use sqlx::PgConnection;

/// How many payments have each status, and what they come to.
pub(crate) async fn stats(connections: &Connections) -> Result<PaymentStats<Word>, StoreError> {
    let mut connection = connections.take().await?;
    let by_status = sqlx::query_as::<_, StatusStats<Word>>(
        "SELECT status, sum(count)::bigint AS count, sum(amount) AS total_amount
         FROM payment_totals GROUP BY status HAVING sum(count) > 0 ORDER BY status",
    );
    let by_status = by_status.fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(PaymentStats { by_status })
}

/// How many payments there are.
pub(crate) async fn count(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar::<_, i64>("SELECT coalesce(sum(count), 0)::bigint FROM payment_totals");
    Ok(count.fetch_one(connection).await?.unsigned_abs())
}
