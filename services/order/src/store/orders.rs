//! The table `orders`.

use std::collections::HashMap;
use std::time::Duration;

use chassis::aggregate::{Cause, Stored, Updated};
use chassis::database::{Connections, Frontier, StoreError};
use contracts::{CancelReason, Money, OrderId, OrderStatus, Owner, OwnerFilter, UserId, Word, order};
use serde::Serialize;
use sqlx::types::Json;
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgConnection, PgPool};
use strum::VariantArray;

use crate::domain::Order;

/// An order as clients see it, whichever version wrote it.
pub(crate) type ClientOrder = order::Order<Word, Word>;

#[derive(FromRow)]
struct Row {
    id: OrderId,
    owner: Owner,
    user_id: UserId,
    total: Money,
    status: Word,
    cancel_reason: Option<Word>,
    #[sqlx(flatten)]
    cause: Cause,
}

/// Those of `orders` that exist, as the saga knows them. A reason of a newer version changes nothing: cancelled is cancelled.
pub(crate) async fn load(
    connection: &mut PgConnection,
    orders: &[OrderId],
) -> Result<Vec<(OrderId, Stored<Order>)>, StoreError> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT id, owner, user_id, total, status, cancel_reason, correlation_id, trace_context
         FROM orders WHERE id = ANY($1)",
    )
    .bind(orders)
    .fetch_all(connection)
    .await?;
    let order = |Row { id, owner, user_id, total, status, cancel_reason, cause }: Row| match status.parse() {
        Ok(status) => {
            let cancel_reason = cancel_reason.and_then(|reason| reason.parse().ok());
            (id, Stored::Known(Order { owner, user_id, total, status, cancel_reason, cause }))
        }
        Err(_) => (id, Stored::Newer),
    };
    Ok(rows.into_iter().map(order).collect())
}

#[derive(Serialize)]
struct NewRow<'a> {
    id: OrderId,
    owner: &'a Owner,
    user_id: UserId,
    total: Money,
    status: OrderStatus,
    cancel_reason: Option<CancelReason>,
    #[serde(flatten)]
    cause: &'a Cause,
}

/// Adds orders that don't exist yet.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    placed: &[(OrderId, Order)],
) -> Result<(), StoreError> {
    let rows = placed.iter().map(|(id, order)| NewRow {
        id: *id,
        owner: &order.owner,
        user_id: order.user_id,
        total: order.total,
        status: order.status,
        cancel_reason: order.cancel_reason,
        cause: &order.cause,
    });
    let inserted = sqlx::query(
        "INSERT INTO orders (id, owner, user_id, total, status, cancel_reason, correlation_id, trace_context)
         SELECT id, owner, user_id, total, status, cancel_reason, correlation_id, trace_context
         FROM jsonb_to_recordset($1) AS new (id uuid, owner text, user_id uuid, total numeric, status text, cancel_reason text,
                                             correlation_id text, trace_context jsonb)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(Json(rows.collect::<Vec<_>>()))
    .execute(connection)
    .await?;
    StoreError::expect_rows(&inserted, placed.len())
}

#[derive(Serialize)]
struct StatusChange {
    id: OrderId,
    before: OrderStatus,
    after: OrderStatus,
    cancel_reason: Option<CancelReason>,
}

/// Changes the status of orders, each of which must still have the one before. Returns for how long they have existed.
pub(crate) async fn update(
    connection: &mut PgConnection,
    updated: &[Updated<Order>],
) -> Result<HashMap<OrderId, Duration>, StoreError> {
    let changes = updated.iter().map(|Updated { order_id, before, after }| StatusChange {
        id: *order_id,
        before: before.status,
        after: after.status,
        cancel_reason: after.cancel_reason,
    });
    let ages = sqlx::query_as::<_, (OrderId, f64)>(
        "UPDATE orders
         SET status = change.after, cancel_reason = change.cancel_reason, updated_at = now()
         FROM jsonb_to_recordset($1) AS change (id uuid, before text, after text, cancel_reason text)
         WHERE orders.id = change.id AND orders.status = change.before
         RETURNING orders.id, extract(epoch FROM now() - orders.created_at)::double precision",
    )
    .bind(Json(changes.collect::<Vec<_>>()))
    .fetch_all(connection)
    .await?;
    if ages.len() != updated.len() {
        return Err(StoreError::Conflict);
    }
    // The database's clock may have been set back.
    let age = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Ok(ages.into_iter().map(|(order_id, seconds)| (order_id, age(seconds))).collect())
}

/// Orders that are overdue.
#[derive(FromRow)]
struct Overdue {
    orders: Vec<OrderId>,
    /// When the last of them was placed; all that were placed before are among them.
    last: Option<OffsetDateTime>,
    /// Orders that were placed before this time were looked for; none if results were not heard for long enough.
    until: Option<OffsetDateTime>,
}

/// Orders that have waited for their payment for longer than `timeout`, up to `limit` of them, oldest first. Only time in
/// which its result could be heard counts.
pub(crate) async fn overdue(
    pool: &PgPool,
    frontier: &Frontier,
    timeout: Duration,
    limit: usize,
) -> Result<Vec<OrderId>, StoreError> {
    let start = frontier.start();
    let overdue = sqlx::query_as::<_, Overdue>(
        "SELECT coalesce(array_agg(id ORDER BY created_at), '{}') AS orders, max(created_at) AS last,
                overdue_before($2::interval) AS until
         FROM (SELECT id, created_at FROM orders
               WHERE status = 'PENDING_PAYMENT' AND created_at >= $1 AND created_at < overdue_before($2::interval)
               ORDER BY created_at
               LIMIT $3) AS overdue",
    );
    let limited = i64::try_from(limit).unwrap_or(i64::MAX);
    let overdue = overdue.bind(start).bind(timeout).bind(limited).fetch_one(pool).await?;
    let all = overdue.orders.len() < limit;
    if let Some(reached) = overdue.last.filter(|_| !all).or(overdue.until) {
        frontier.looked(start, reached);
    }
    Ok(overdue.orders)
}

/// When the order that has been overdue for the longest time was placed.
pub(crate) async fn first_overdue(
    pool: &PgPool,
    timeout: Duration,
) -> Result<Option<OffsetDateTime>, StoreError> {
    let first = sqlx::query_scalar::<_, OffsetDateTime>(
        "SELECT created_at FROM orders
         WHERE status = 'PENDING_PAYMENT' AND created_at < overdue_before($1::interval)
         ORDER BY created_at
         LIMIT 1",
    );
    Ok(first.bind(timeout).fetch_optional(pool).await?)
}

/// How many orders have waited for their payment for longer than `timeout`, of time in which its result could be heard.
pub(crate) async fn count_overdue(pool: &PgPool, timeout: Duration) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM orders WHERE status = 'PENDING_PAYMENT' AND created_at < overdue_before($1::interval)",
    );
    Ok(count.bind(timeout).fetch_one(pool).await?.unsigned_abs())
}

/// Orders that wait for the result of their payment.
#[derive(FromRow)]
pub(crate) struct Pending {
    pub(crate) count: i64,
    /// In seconds; 0 if there is none.
    pub(crate) oldest_age: f64,
}

/// How many orders wait for the result of their payment, and for how long.
pub(crate) async fn pending(pool: &PgPool) -> Result<Pending, StoreError> {
    let pending = sqlx::query_as::<_, Pending>(
        "SELECT count(*) AS count, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest_age
         FROM orders WHERE status = 'PENDING_PAYMENT'",
    );
    Ok(pending.fetch_one(pool).await?)
}

/// How the orders stand.
#[derive(FromRow)]
pub(crate) struct Standing {
    /// Orders that wait for the result of their payment.
    pub(crate) pending: i64,
    /// When the oldest of those was placed.
    pub(crate) oldest_pending: Option<OffsetDateTime>,
    /// Those that have waited for longer than they may, of time in which the result could be heard.
    pub(crate) overdue: i64,
}

/// How the orders stand, which may wait for `timeout`. Reads the counts and the ends of an index.
pub(crate) async fn standing(connections: &Connections, timeout: Duration) -> Result<Standing, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let standing = sqlx::query_as::<_, Standing>(
        "SELECT (SELECT coalesce(sum(count), 0)::bigint FROM order_counts WHERE status = 'PENDING_PAYMENT') AS pending,
                (SELECT created_at FROM orders WHERE status = 'PENDING_PAYMENT' ORDER BY created_at LIMIT 1) AS oldest_pending,
                (SELECT count(*) FROM orders
                 WHERE status = 'PENDING_PAYMENT' AND created_at < overdue_before($1::interval)) AS overdue",
    );
    let standing = standing.bind(timeout).fetch_one(&mut *connection).await?;
    connection.keep();
    Ok(standing)
}

/// How many orders have a status that only a newer version knows.
pub(crate) async fn count_newer(pool: &PgPool) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar::<_, i64>(
        "SELECT coalesce(sum(count), 0)::bigint FROM order_counts WHERE status <> ALL($1)",
    );
    Ok(count.bind(OrderStatus::VARIANTS).fetch_one(pool).await?.unsigned_abs())
}

/// Those of `orders` that exist within the limit, as clients see them.
pub(crate) async fn find(
    connections: &Connections,
    within: &OwnerFilter,
    orders: &[OrderId],
) -> Result<Vec<ClientOrder>, StoreError> {
    let mut connection = connections.take_for(within).await?;
    let found = sqlx::query_as::<_, order::Order<Word, Word>>(
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at, owner
         FROM orders WHERE id = ANY($1) AND $2 IN ('*', owner)",
    );
    let found = found.bind(orders).bind(within).fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(found)
}
