//! Payments with the provider's charges, as the running check of the books compares them.
//!
//! The simulated provider's books stand beside the service's, so both are read in one snapshot. Nothing else of the service reads them
//! but through the provider's interface.

use chassis::database::{Connections, StoreError};
use contracts::books::exchange::RecordsAfter;
use contracts::books::rows::PaymentRow;
use contracts::{OrderId, OwnerFilter};

/// The payments of those of `orders` that have one.
pub(crate) async fn records_of(
    connections: &Connections,
    orders: &[OrderId],
) -> Result<Vec<PaymentRow>, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let rows = sqlx::query_as::<_, PaymentRow>(
        "SELECT order_id, id, payments.amount, status, next_step,
                CASE WHEN due_at IS NOT NULL THEN greatest(extract(epoch FROM now() - due_at), 0)::float8 END
                    AS step_overdue,
                attempts, last_error, refund_refusal, refund_reference,
                extract(epoch FROM now() - updated_at)::float8 AS age,
                charges.amount AS charged, outcome, refunded_at IS NOT NULL AS refunded,
                coalesce(updated_at < (SELECT before FROM provider_simulator.forgotten), false) AS charge_forgotten
         FROM payments LEFT JOIN provider_simulator.charges ON payment_id = id
         WHERE order_id = ANY($1)
         ORDER BY order_id",
    );
    let rows = rows.bind(orders).fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(rows)
}

/// The next payments by their orders' ids.
pub(crate) async fn records_after(
    connections: &Connections,
    RecordsAfter { after, limit }: RecordsAfter,
) -> Result<Vec<PaymentRow>, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let rows = sqlx::query_as::<_, PaymentRow>(
        "SELECT order_id, id, payments.amount, status, next_step,
                CASE WHEN due_at IS NOT NULL THEN greatest(extract(epoch FROM now() - due_at), 0)::float8 END
                    AS step_overdue,
                attempts, last_error, refund_refusal, refund_reference,
                extract(epoch FROM now() - updated_at)::float8 AS age,
                charges.amount AS charged, outcome, refunded_at IS NOT NULL AS refunded,
                coalesce(updated_at < (SELECT before FROM provider_simulator.forgotten), false) AS charge_forgotten
         FROM payments LEFT JOIN provider_simulator.charges ON payment_id = id
         WHERE order_id > $1
         ORDER BY order_id
         LIMIT $2",
    );
    let rows = rows.bind(after).bind(i64::from(limit)).fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(rows)
}
