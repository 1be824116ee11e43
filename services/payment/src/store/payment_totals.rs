//! The table `payment_totals`, which triggers keep in step with `payments`.

use chassis::database::{Connections, StoreError};
use contracts::payment::{PaymentStats, StatusStats};
use contracts::{OwnerFilter, PaymentStatus, Word};
use sqlx::PgConnection;

/// How many payments within the limit have each status, and what they come to.
pub(crate) async fn stats(
    connections: &Connections,
    within: &OwnerFilter,
) -> Result<PaymentStats<Word>, StoreError> {
    let mut connection = connections.take_for(within).await?;
    let by_status = sqlx::query_as::<_, StatusStats<Word>>(
        "SELECT status, sum(count)::bigint AS count, sum(amount) AS total_amount
         FROM payment_totals WHERE $1 IN ('*', owner) GROUP BY status HAVING sum(count) > 0 ORDER BY status",
    );
    let by_status = by_status.bind(within).fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(PaymentStats { by_status })
}

/// How many payments within the limit have this status, or are there.
pub(crate) async fn count(
    connection: &mut PgConnection,
    within: &OwnerFilter,
    status: Option<PaymentStatus>,
) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar::<_, i64>(
        "SELECT coalesce(sum(count), 0)::bigint FROM payment_totals
         WHERE $1 IN ('*', owner) AND ($2::text IS NULL OR status = $2)",
    );
    Ok(count.bind(within).bind(status).fetch_one(connection).await?.unsigned_abs())
}
