//! What the order service answers about orders.

use chassis::database;
use contracts::order::{Order, Timeline, TimelineEntry};
use contracts::page::{Page, PageMeta, PageRequest};
use contracts::{OrderId, Timestamp};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::types::time::OffsetDateTime;
use sqlx::{PgPool, Row};
use uuid::Uuid;

/// One order.
pub(crate) async fn order(pool: &PgPool, id: OrderId) -> Result<Option<Order>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at
         FROM orders WHERE id = $1",
    )
    .bind(id.as_uuid())
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(read_order).transpose()
}

/// A page of the orders, newest first.
pub(crate) async fn orders(pool: &PgPool, request: PageRequest) -> Result<Page<Order>, sqlx::Error> {
    let total: i64 = sqlx::query_scalar("SELECT coalesce(sum(count), 0)::bigint FROM order_counts")
        .fetch_one(pool)
        .await?;
    let total = total.unsigned_abs();
    let meta = PageMeta::new(request, total);
    if request.offset() >= total {
        // OFFSET walks over every row that it skips; beyond the end it would walk over all of them.
        return Ok(Page { data: Vec::new(), meta });
    }
    let rows = sqlx::query(
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at
         FROM orders
         ORDER BY created_at DESC, id DESC
         LIMIT $1 OFFSET $2",
    )
    .bind(i64::from(request.limit()))
    .bind(i64::try_from(request.offset()).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    Ok(Page { data: rows.iter().map(read_order).collect::<Result<_, _>>()?, meta })
}

/// The order's saga, step by step. `None` if nothing was ever heard of the order.
pub(crate) async fn timeline(pool: &PgPool, id: OrderId) -> Result<Option<Timeline>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT event_id, event_type, occurred_at, recorded_at, status, payload
         FROM order_events WHERE order_id = $1 ORDER BY position",
    )
    .bind(id.as_uuid())
    .fetch_all(pool)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let events = rows.iter().map(read_entry).collect::<Result<_, _>>()?;
    Ok(Some(Timeline { order_id: id, events }))
}

/// Remembers what an idempotency key stands for, if it stands for nothing yet; returns what it stands for.
pub(crate) async fn claim_key(pool: &PgPool, id: OrderId, fingerprint: &str) -> Result<String, sqlx::Error> {
    sqlx::query(
        "INSERT INTO idempotency_keys (order_id, fingerprint) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(id.as_uuid())
    .bind(fingerprint)
    .execute(pool)
    .await?;
    sqlx::query_scalar("SELECT fingerprint FROM idempotency_keys WHERE order_id = $1")
        .bind(id.as_uuid())
        .fetch_one(pool)
        .await
}

fn read_order(row: &PgRow) -> Result<Order, sqlx::Error> {
    let reason: Option<&str> = row.try_get("cancel_reason")?;
    Ok(Order {
        id: row.try_get::<Uuid, _>("id")?.into(),
        user_id: row.try_get::<Uuid, _>("user_id")?.into(),
        total: database::decode(row.try_get::<Decimal, _>("total")?.try_into())?,
        status: database::decode(row.try_get::<&str, _>("status")?.parse())?,
        cancel_reason: reason.map(|reason| database::decode(reason.parse())).transpose()?,
        created_at: read_time(row, "created_at")?,
        updated_at: read_time(row, "updated_at")?,
    })
}

fn read_entry(row: &PgRow) -> Result<TimelineEntry, sqlx::Error> {
    let status: Option<&str> = row.try_get("status")?;
    Ok(TimelineEntry {
        event_id: row.try_get::<Uuid, _>("event_id")?.into(),
        event_type: database::decode(row.try_get::<&str, _>("event_type")?.parse())?,
        occurred_at: read_time(row, "occurred_at")?,
        recorded_at: read_time(row, "recorded_at")?,
        status: status.map(|status| database::decode(status.parse())).transpose()?,
        payload: row.try_get::<Json<_>, _>("payload")?.0,
    })
}

fn read_time(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    Ok(row.try_get::<OffsetDateTime, _>(column)?.into())
}
