//! Which orders an id belongs to. Each statement reads one range of one index.

use chassis::database::StoreError;
use contracts::{OrderId, PaymentId};
use sqlx::PgConnection;

/// The order of this id, if it has a payment or was cancelled before it came.
pub(crate) async fn of_order(
    connection: &mut PgConnection,
    order: OrderId,
) -> Result<Vec<OrderId>, StoreError> {
    let found = sqlx::query_scalar::<_, OrderId>(
        "SELECT order_id FROM payments WHERE order_id = $1
         UNION
         SELECT order_id FROM early_cancellations WHERE order_id = $1",
    );
    Ok(found.bind(order).fetch_all(connection).await?)
}

/// The order of a payment.
pub(crate) async fn of_payment(
    connection: &mut PgConnection,
    payment: PaymentId,
) -> Result<Vec<OrderId>, StoreError> {
    let found = sqlx::query_scalar::<_, OrderId>("SELECT order_id FROM payments WHERE id = $1");
    Ok(found.bind(payment).fetch_all(connection).await?)
}

/// The orders whose charge has this reference of the provider: one, unless the provider gives the same to several.
pub(crate) async fn of_transaction(
    connection: &mut PgConnection,
    transaction_id: &str,
) -> Result<Vec<OrderId>, StoreError> {
    let found =
        sqlx::query_scalar::<_, OrderId>("SELECT order_id FROM payments WHERE transaction_id = $1 LIMIT 20");
    Ok(found.bind(transaction_id).fetch_all(connection).await?)
}
