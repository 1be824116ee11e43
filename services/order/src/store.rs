//! Orders in PostgreSQL, as the saga changes them: set by set, each change guarded by the state that it starts from.

use std::collections::HashMap;
use std::time::Duration;

use chassis::database;
use chassis::outbox::Cause;
use chassis::telemetry::TraceContext;
use contracts::{Envelope, OrderId, OrderStatus};
use rust_decimal::Decimal;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::domain::{Order, Saga};

/// One line of an order's timeline.
pub(crate) struct Step {
    order_id: OrderId,
    envelope: Envelope,
    status: Option<OrderStatus>,
}

impl Step {
    /// The event in `envelope`, after which the order stands as `saga`.
    pub(crate) fn new(order_id: OrderId, envelope: Envelope, saga: &Saga) -> Self {
        let status = match saga {
            Saga::Placed(order) => Some(order.status),
            Saga::Unknown | Saga::CancelledEarly => None,
        };
        Self { order_id, envelope, status }
    }
}

/// Locks the orders against every other transaction that loads them, and reads what is known of each.
///
/// Orders that don't exist yet are locked as well: a cancellation and the placing that it overtook must see each other.
pub(crate) async fn load(
    connection: &mut PgConnection,
    ids: &[OrderId],
) -> Result<HashMap<OrderId, Saga>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    database::lock_aggregates(connection, &ids).await?;
    let rows = sqlx::query(
        "SELECT wanted.id, o.user_id, o.total, o.status, o.cancel_reason, c.order_id IS NOT NULL AS cancelled_early
         FROM (SELECT DISTINCT id FROM UNNEST($1::uuid[]) AS id) AS wanted
         LEFT JOIN orders AS o ON o.id = wanted.id
         LEFT JOIN early_cancellations AS c ON c.order_id = wanted.id",
    )
    .bind(&ids)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let saga = match row.try_get::<Option<Uuid>, _>("user_id")? {
                Some(user_id) => Saga::Placed(Order {
                    user_id: user_id.into(),
                    total: database::decode(row.try_get::<Decimal, _>("total")?.try_into())?,
                    status: database::decode(row.try_get::<&str, _>("status")?.parse())?,
                    cancel_reason: row
                        .try_get::<Option<&str>, _>("cancel_reason")?
                        .map(|reason| database::decode(reason.parse()))
                        .transpose()?,
                }),
                None if row.try_get("cancelled_early")? => Saga::CancelledEarly,
                None => Saga::Unknown,
            };
            Ok((row.try_get::<Uuid, _>("id")?.into(), saga))
        })
        .collect()
}

/// Writes down what changed between `before` and `after`. `causes` tell where new orders came from.
pub(crate) async fn save(
    connection: &mut PgConnection,
    before: &HashMap<OrderId, Saga>,
    after: &HashMap<OrderId, Saga>,
    causes: &HashMap<OrderId, Cause>,
) -> Result<(), sqlx::Error> {
    let nowhere = Cause::default();
    let mut placed = Vec::new();
    let mut moved = Vec::new();
    let mut cancelled_early = Vec::new();
    for (id, saga) in after {
        match (before.get(id), saga) {
            (Some(before), after) if before == after => {}
            (Some(Saga::Placed(from)), Saga::Placed(to)) => moved.push((*id, from.status, to)),
            (_, Saga::Placed(order)) => placed.push((*id, order, causes.get(id).unwrap_or(&nowhere))),
            (_, Saga::CancelledEarly) => cancelled_early.push(id.as_uuid()),
            (_, Saga::Unknown) => {}
        }
    }
    if !placed.is_empty() {
        insert(connection, &placed).await?;
    }
    if !moved.is_empty() {
        update(connection, &moved).await?;
    }
    if !cancelled_early.is_empty() {
        insert_early_cancellations(connection, cancelled_early).await?;
    }
    Ok(())
}

async fn insert(
    connection: &mut PgConnection,
    placed: &[(OrderId, &Order, &Cause)],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = placed.iter().map(|(id, ..)| id.as_uuid()).collect();
    let user_ids: Vec<Uuid> = placed.iter().map(|(_, order, _)| order.user_id.as_uuid()).collect();
    let totals: Vec<Decimal> = placed.iter().map(|(_, order, _)| order.total.as_decimal()).collect();
    let statuses: Vec<&str> = placed.iter().map(|(_, order, _)| order.status.into()).collect();
    let reasons: Vec<Option<&str>> =
        placed.iter().map(|(_, order, _)| order.cancel_reason.map(Into::into)).collect();
    let correlation_ids: Vec<Option<&str>> =
        placed.iter().map(|(.., cause)| cause.correlation_id.as_deref()).collect();
    let traces: Vec<_> = placed.iter().map(|(.., cause)| Json(&cause.trace)).collect();
    let inserted = sqlx::query(
        "INSERT INTO orders (id, user_id, total, status, cancel_reason, correlation_id, trace_context)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::numeric[], $4::text[], $5::text[], $6::text[], $7::jsonb[])
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(ids)
    .bind(user_ids)
    .bind(totals)
    .bind(statuses)
    .bind(reasons)
    .bind(correlation_ids)
    .bind(traces)
    .execute(connection)
    .await?;
    database::expect_rows(&inserted, placed.len())
}

async fn update(
    connection: &mut PgConnection,
    moved: &[(OrderId, OrderStatus, &Order)],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = moved.iter().map(|(id, ..)| id.as_uuid()).collect();
    let from: Vec<&str> = moved.iter().map(|(_, from, _)| (*from).into()).collect();
    let to: Vec<&str> = moved.iter().map(|(_, _, order)| order.status.into()).collect();
    let reasons: Vec<Option<&str>> =
        moved.iter().map(|(.., order)| order.cancel_reason.map(Into::into)).collect();
    let updated = sqlx::query(
        "UPDATE orders
         SET status = change.after, cancel_reason = change.reason, updated_at = now()
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[]) AS change (id, before, after, reason)
         WHERE orders.id = change.id AND orders.status = change.before",
    )
    .bind(ids)
    .bind(from)
    .bind(to)
    .bind(reasons)
    .execute(connection)
    .await?;
    database::expect_rows(&updated, moved.len())
}

async fn insert_early_cancellations(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO early_cancellations (order_id)
         SELECT * FROM UNNEST($1::uuid[])
         ON CONFLICT DO NOTHING",
    )
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}

/// Orders that wait for their payment for longer than `timeout`, with where they came from.
pub(crate) async fn overdue(
    connection: &mut PgConnection,
    timeout: Duration,
    limit: usize,
) -> Result<Vec<(OrderId, Cause)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT id, correlation_id, trace_context
         FROM orders
         WHERE status = 'PENDING_PAYMENT' AND created_at < now() - $1
         ORDER BY created_at
         LIMIT $2",
    )
    .bind(timeout)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let trace: Json<TraceContext> = row.try_get("trace_context")?;
            let cause = Cause { correlation_id: row.try_get("correlation_id")?, trace: trace.0 };
            Ok((row.try_get::<Uuid, _>("id")?.into(), cause))
        })
        .collect()
}

/// How many orders wait for their payment for longer than `timeout`.
pub(crate) async fn count_overdue(pool: &PgPool, timeout: Duration) -> Result<u64, sqlx::Error> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM orders WHERE status = 'PENDING_PAYMENT' AND created_at < now() - $1",
    )
    .bind(timeout)
    .fetch_one(pool)
    .await?;
    Ok(count.unsigned_abs())
}

/// Adds to the orders' timelines. An event that is there already stays as it was first seen.
pub(crate) async fn record(connection: &mut PgConnection, steps: &[Step]) -> Result<(), sqlx::Error> {
    let order_ids: Vec<Uuid> = steps.iter().map(|step| step.order_id.as_uuid()).collect();
    let event_ids: Vec<Uuid> = steps.iter().map(|step| step.envelope.event_id.as_uuid()).collect();
    let types: Vec<&str> = steps.iter().map(|step| step.envelope.event.event_type().into()).collect();
    let times: Vec<_> = steps.iter().map(|step| step.envelope.occurred_at.as_datetime()).collect();
    let statuses: Vec<Option<&str>> = steps.iter().map(|step| step.status.map(Into::into)).collect();
    let payloads: Vec<_> = steps.iter().map(|step| Json(&step.envelope.event)).collect();
    sqlx::query(
        "INSERT INTO order_events (order_id, event_id, event_type, occurred_at, status, payload)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::jsonb[])
         ON CONFLICT (order_id, event_id) DO NOTHING",
    )
    .bind(order_ids)
    .bind(event_ids)
    .bind(types)
    .bind(times)
    .bind(statuses)
    .bind(payloads)
    .execute(connection)
    .await?;
    Ok(())
}
