//! The table `idempotency_keys`: what each `Idempotency-Key` stands for. The order's id is derived from the key.

use chassis::database::{Connections, StoreError};
use contracts::OrderId;

/// Stores what a key stands for, if it stands for nothing yet; returns what it stands for.
pub(crate) async fn claim(
    connections: &Connections,
    order: OrderId,
    fingerprint: &str,
) -> Result<String, StoreError> {
    let mut connection = connections.take().await?;
    sqlx::query(
        "INSERT INTO idempotency_keys (order_id, fingerprint) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(order)
    .bind(fingerprint)
    .execute(&mut *connection)
    .await?;
    let stored =
        sqlx::query_scalar::<_, String>("SELECT fingerprint FROM idempotency_keys WHERE order_id = $1");
    let stored = stored.bind(order).fetch_one(&mut *connection).await?;
    connection.keep();
    Ok(stored)
}
