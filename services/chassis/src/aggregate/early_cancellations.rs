//! The table `early_cancellations`, which every service with an aggregate has: cancellations that overtook their orders.

use std::collections::HashSet;

use contracts::OrderId;
use sqlx::PgConnection;

use crate::database::StoreError;

/// Those of `orders` that are cancelled early. An order that is `known` was not.
pub async fn find<T: Sync>(
    connection: &mut PgConnection,
    orders: &[OrderId],
    known: &[(OrderId, T)],
) -> Result<Vec<OrderId>, StoreError> {
    let known: HashSet<OrderId> = known.iter().map(|(order, _)| *order).collect();
    let unknown: Vec<OrderId> = orders.iter().copied().filter(|order| !known.contains(order)).collect();
    if unknown.is_empty() {
        return Ok(unknown);
    }
    let found =
        sqlx::query_scalar::<_, OrderId>("SELECT order_id FROM early_cancellations WHERE order_id = ANY($1)");
    Ok(found.bind(unknown).fetch_all(connection).await?)
}

/// Adds cancellations.
pub async fn insert(connection: &mut PgConnection, orders: &[OrderId]) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO early_cancellations (order_id) SELECT * FROM UNNEST($1::uuid[]) ON CONFLICT DO NOTHING",
    )
    .bind(orders)
    .execute(connection)
    .await?;
    Ok(())
}
