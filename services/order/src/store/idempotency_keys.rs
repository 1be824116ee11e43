//! The table `idempotency_keys`: what each `Idempotency-Key` stands for. The order's id is derived from the key.

use chassis::database::{Connections, StoreError};
use contracts::order::IdempotencyClaim;
use contracts::{IdempotencyKey, IdempotencySecret, OrderId};
use sqlx::FromRow;

/// What the ids of keyed orders are derived with.
pub(crate) async fn secret(connections: &Connections) -> Result<IdempotencySecret, StoreError> {
    let mut connection = connections.take().await?;
    let secret = sqlx::query_scalar::<_, [u8; 64]>("SELECT secret FROM idempotency_secret");
    let secret = secret.fetch_one(&mut *connection).await?;
    connection.keep();
    Ok(secret.into())
}

#[derive(FromRow)]
struct Row {
    order_id: OrderId,
    fingerprint: String,
    traceparent: Option<String>,
}

/// What a key stands for.
pub(crate) struct Claimed {
    /// The order.
    pub(crate) order_id: OrderId,
    /// The request.
    pub(crate) fingerprint: String,
    /// Where the order was placed, if it is there already.
    pub(crate) traceparent: Option<String>,
    /// Whether it stood for that before.
    pub(crate) is_repeated: bool,
}

/// Stores what a key stands for, if it stands for nothing yet; returns what it stands for.
///
/// The id that a service of an older version derives is taken as well, with a fingerprint that no request has: one that is put
/// back, or runs beside this one, refuses the key instead of placing a second order.
pub(crate) async fn claim(
    connections: &Connections,
    secret: &IdempotencySecret,
    claim: &IdempotencyClaim,
) -> Result<Claimed, StoreError> {
    let key = IdempotencyKey { client: claim.owner.as_str(), key: &claim.key };
    let (order, former) = (secret.order_of(key), OrderId::from_idempotency_key(key));
    let mut connection = connections.take_for(&claim.owner.clone().into()).await?;
    let inserted = sqlx::query(
        "INSERT INTO idempotency_keys (order_id, fingerprint)
         SELECT order_id, fingerprint FROM (VALUES ($1::uuid, $2), ($3::uuid, '')) AS new (order_id, fingerprint)
         WHERE NOT EXISTS (SELECT FROM idempotency_keys WHERE order_id = $3 AND fingerprint <> '')
         ON CONFLICT DO NOTHING",
    )
    .bind(order)
    .bind(&claim.fingerprint)
    .bind(former)
    .execute(&mut *connection)
    .await?;
    let stored = sqlx::query_as::<_, Row>(
        "SELECT order_id, fingerprint, trace_context->>'traceparent' AS traceparent
         FROM idempotency_keys LEFT JOIN orders ON orders.id = order_id
         WHERE order_id IN ($1, $2) AND fingerprint <> ''
         ORDER BY order_id = $2 DESC LIMIT 1",
    );
    let stored = stored.bind(order).bind(former).fetch_one(&mut *connection).await?;
    connection.keep();
    let Row { order_id, fingerprint, traceparent } = stored;
    Ok(Claimed { order_id, fingerprint, traceparent, is_repeated: inserted.rows_affected() == 0 })
}
