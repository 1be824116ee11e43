//! The table `idempotency_keys`: what each `Idempotency-Key` stands for, and what became of the request. The id of an order, or of
//! another command, is derived from the key.

use std::time::Duration;

use chassis::database::{Connections, StoreError};
use contracts::order::{IdempotencyClaim, StoredAnswer};
use contracts::{IdempotencyKey, IdempotencySecret, OrderId, OwnerFilter};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

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
    answer_status: Option<i32>,
    answer_body: Option<String>,
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
    /// Whether another execution of the request has a lease.
    pub(crate) is_in_progress: bool,
    /// The first answer to the request.
    pub(crate) answer: Option<StoredAnswer>,
}

/// A request that is to be executed.
#[derive(Clone, Copy)]
pub(crate) struct Executing {
    /// Names the request. Its claim may be sent again, when the answer to it was lost.
    pub(crate) request: Uuid,
    /// How long it may take, before another one is executed.
    pub(crate) lease: Duration,
}

/// Stores what a key stands for, if it stands for nothing yet; returns what it stands for. A request that is to be executed is
/// from now on, unless there is an answer or another one is in progress.
///
/// The id that a service of an older version derives is taken as well, with a fingerprint that no request has: one that is put
/// back, or runs beside this one, refuses the key instead of placing a second order.
pub(crate) async fn claim(
    connections: &Connections,
    secret: &IdempotencySecret,
    claim: &IdempotencyClaim,
    executing: Option<Executing>,
) -> Result<Claimed, StoreError> {
    let key = IdempotencyKey { client: claim.owner.as_str(), key: &claim.key };
    let (order, former) = (secret.order_of(key), OrderId::from_idempotency_key(key));
    let mut connection = connections.take_for(&claim.owner.clone().into()).await?;
    let inserted = sqlx::query(
        "INSERT INTO idempotency_keys (order_id, fingerprint, executing_until, executing_request)
         SELECT order_id, fingerprint, executing_until, executing_request
         FROM (VALUES ($1::uuid, $2, now() + $4::interval, $5::uuid), ($3::uuid, '', NULL, NULL))
              AS new (order_id, fingerprint, executing_until, executing_request)
         WHERE NOT EXISTS (SELECT FROM idempotency_keys WHERE order_id = $3 AND fingerprint <> '')
         ON CONFLICT DO NOTHING",
    )
    .bind(order)
    .bind(&claim.fingerprint)
    .bind(former)
    .bind(executing.map(|executing| executing.lease))
    .bind(executing.map(|executing| executing.request))
    .execute(&mut *connection)
    .await?;
    let stored = sqlx::query_as::<_, Row>(
        "SELECT order_id, fingerprint, trace_context->>'traceparent' AS traceparent, answer_status, answer_body
         FROM idempotency_keys LEFT JOIN orders ON orders.id = order_id
         WHERE order_id IN ($1, $2) AND fingerprint <> ''
         ORDER BY order_id = $2 DESC LIMIT 1",
    );
    let stored = stored.bind(order).bind(former).fetch_one(&mut *connection).await?;
    let Row { order_id, fingerprint, traceparent, answer_status, answer_body } = stored;
    let status = answer_status.and_then(|status| u16::try_from(status).ok());
    let answer = status.map(|status| StoredAnswer { status, body: answer_body });
    let is_repeated = inserted.rows_affected() == 0;
    let is_in_progress = match executing {
        Some(executing) if is_repeated && answer.is_none() && fingerprint == claim.fingerprint => {
            !begin_again(&mut connection, order_id, executing).await?
        }
        _ => false,
    };
    connection.keep();
    Ok(Claimed { order_id, fingerprint, traceparent, is_repeated, is_in_progress, answer })
}

/// Begins another execution, unless another request has a lease, or there is an answer by now. Returns whether it did.
async fn begin_again(
    connection: &mut PgConnection,
    id: OrderId,
    Executing { request, lease }: Executing,
) -> Result<bool, sqlx::Error> {
    let begun = sqlx::query(
        "UPDATE idempotency_keys SET executing_until = now() + $2::interval, executing_request = $3
         WHERE order_id = $1 AND answer_status IS NULL
           AND (executing_until IS NULL OR executing_until <= now() OR executing_request = $3)",
    );
    Ok(begun.bind(id).bind(lease).bind(request).execute(connection).await?.rows_affected() > 0)
}

/// Stores the first answer to a request. If there is one already, it stays, and is returned.
///
/// The commit does not wait for the disk: without the answer, which a crash of PostgreSQL may undo, a duplicate is executed.
pub(crate) async fn store_answer(
    connections: &Connections,
    owner: &OwnerFilter,
    id: OrderId,
    answer: &StoredAnswer,
) -> Result<Option<StoredAnswer>, StoreError> {
    let mut connection = connections.take_for(owner).await?;
    let stored = sqlx::query(
        "UPDATE idempotency_keys SET answer_status = $2, answer_body = $3, executing_until = NULL
         WHERE order_id = $1 AND answer_status IS NULL AND set_config('synchronous_commit', 'off', true) = 'off'",
    );
    let stored = stored.bind(id).bind(i32::from(answer.status)).bind(&answer.body);
    let is_first = stored.execute(&mut *connection).await?.rows_affected() > 0;
    let first = if is_first { None } else { first_answer(&mut connection, id).await? };
    connection.keep();
    Ok(first)
}

async fn first_answer(
    connection: &mut PgConnection,
    id: OrderId,
) -> Result<Option<StoredAnswer>, sqlx::Error> {
    let answer = sqlx::query_as::<_, StoredAnswer>(
        "SELECT answer_status AS status, answer_body AS body FROM idempotency_keys
         WHERE order_id = $1 AND answer_status IS NOT NULL",
    );
    answer.bind(id).fetch_optional(connection).await
}

/// Ends the lease of an execution that came to no answer.
pub(crate) async fn end_execution(
    connections: &Connections,
    owner: &OwnerFilter,
    id: OrderId,
) -> Result<(), StoreError> {
    let mut connection = connections.take_for(owner).await?;
    let ended = sqlx::query("UPDATE idempotency_keys SET executing_until = NULL WHERE order_id = $1");
    ended.bind(id).execute(&mut *connection).await?;
    connection.keep();
    Ok(())
}
