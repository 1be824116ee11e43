//! The table `failed_messages`, as operators see it.

use std::collections::HashMap;

use contracts::failed_message::{FailedMessage, FailedMessageDetails, FailedMessageFilter};
use contracts::page::{Page, PageMeta, PageRequest};
use contracts::{Money, OrderId, Timestamp, Word};
use serde_json::Value;
use sqlx::{FromRow, PgExecutor, PgPool};
use uuid::Uuid;

use super::audit;
use super::filter::{arguments, matches_filter};
use crate::database::StoreError;
use crate::telemetry::TraceContext;

/// How many messages wait for a decision, by the queue that they failed on.
pub(crate) async fn open_by_queue(executor: impl PgExecutor<'_>) -> Result<HashMap<String, i64>, StoreError> {
    let rows = sqlx::query_as::<_, (String, i64)>(
        "SELECT queue, count(*) AS open FROM failed_messages WHERE status = 'FAILED' GROUP BY queue",
    );
    Ok(rows.fetch_all(executor).await?.into_iter().collect())
}

#[derive(FromRow)]
pub(super) struct Row {
    id: Uuid,
    queue: String,
    exchange: String,
    routing_key: String,
    status: Word,
    reason: String,
    attempts: i32,
    first_seen: Timestamp,
    last_seen: Timestamp,
    event_type: Option<String>,
    message_id: Option<String>,
    correlation_id: Option<String>,
    #[sqlx(json)]
    trace_context: TraceContext,
    cause: Option<String>,
    order_id: Option<OrderId>,
    amount: Option<Money>,
}

/// A row as operators see it.
pub(super) fn shown(row: Row) -> FailedMessage<Word> {
    FailedMessage {
        id: row.id,
        queue: row.queue,
        exchange: row.exchange,
        routing_key: row.routing_key,
        status: row.status,
        reason: row.reason,
        attempts: row.attempts.unsigned_abs(),
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        event_type: row.event_type,
        message_id: row.message_id,
        correlation_id: row.correlation_id,
        trace_id: row.trace_context.trace_id(),
        cause: row.cause,
        order_id: row.order_id,
        amount: row.amount,
    }
}

/// How many messages a filter means.
pub(crate) async fn count(pool: &PgPool, filter: &FailedMessageFilter) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar_with::<_, i64, _>(
        concat!("SELECT count(*) FROM failed_messages WHERE ", matches_filter!()),
        arguments(filter)?,
    );
    Ok(count.fetch_one(pool).await?.unsigned_abs())
}

/// A page of the messages that a filter means, the one that failed last first.
pub(crate) async fn list(
    pool: &PgPool,
    filter: &FailedMessageFilter,
    page: PageRequest,
) -> Result<Page<FailedMessage<Word>>, StoreError> {
    let total = count(pool, filter).await?;
    let rows = sqlx::query_as_with::<_, Row, _>(
        concat!(
            "SELECT id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                    event_type, message_id, correlation_id, trace_context, cause, order_id, amount
             FROM failed_messages
             WHERE ",
            matches_filter!(),
            " ORDER BY last_seen DESC, id DESC LIMIT $8 OFFSET $9"
        ),
        arguments(filter)?,
    )
    .bind(i64::from(page.limit()))
    .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let data = rows.into_iter().map(shown).collect();
    Ok(Page { data, meta: PageMeta::new(page, total) })
}

/// The messages about an order, the one that failed last first: 20 at most.
pub(crate) async fn of_order(pool: &PgPool, order: OrderId) -> Result<Vec<FailedMessage<Word>>, StoreError> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                event_type, message_id, correlation_id, trace_context, cause, order_id, amount
         FROM failed_messages
         WHERE order_id = $1
         ORDER BY last_seen DESC, id DESC
         LIMIT 20",
    );
    let rows = rows.bind(order).fetch_all(pool).await?;
    Ok(rows.into_iter().map(shown).collect())
}

#[derive(FromRow)]
struct DetailsRow {
    #[sqlx(flatten)]
    message: Row,
    headers: Value,
    body: Vec<u8>,
    original_body: Option<Vec<u8>>,
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// One message, with its body and what was done about it.
pub(crate) async fn find(
    pool: &PgPool,
    id: Uuid,
) -> Result<Option<FailedMessageDetails<Word, Word>>, StoreError> {
    let row = sqlx::query_as::<_, DetailsRow>(
        "SELECT id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                event_type, message_id, correlation_id, trace_context, cause, order_id, amount, headers, body, original_body
         FROM failed_messages WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    let Some(DetailsRow { message, headers, body, original_body }) = row else { return Ok(None) };
    let (came, edited) = match original_body {
        Some(original) => (original, Some(body)),
        None => (body, None),
    };
    Ok(Some(FailedMessageDetails {
        message: shown(message),
        headers,
        body: text(&came),
        edited_body: edited.as_deref().map(text),
        audit: audit::of_message(pool, id).await?,
    }))
}
