//! The table `idempotency_keys`: what each `Idempotency-Key` stands for. The order's id is derived from the key.

use chassis::database::StoreError;
use contracts::OrderId;
use sqlx::PgPool;

/// Stores what a key stands for, if it stands for nothing yet; returns what it stands for.
pub(crate) async fn claim(pool: &PgPool, order: OrderId, fingerprint: &str) -> Result<String, StoreError> {
    sqlx::query(
        "INSERT INTO idempotency_keys (order_id, fingerprint) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(order)
    .bind(fingerprint)
    .execute(pool)
    .await?;
    let stored =
        sqlx::query_scalar::<_, String>("SELECT fingerprint FROM idempotency_keys WHERE order_id = $1");
    Ok(stored.bind(order).fetch_one(pool).await?)
}
