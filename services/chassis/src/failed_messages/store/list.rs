//! The table `failed_messages`, as operators see it.

use contracts::Timestamp;
use contracts::failed_message::{
    FailedMessage, FailedMessageDetails, FailedMessageFilter, FailedMessageStatus,
};
use contracts::page::{Page, PageMeta, PageRequest};
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::audit;
use super::filter::{arguments, matches_filter};
use crate::database::StoreError;
use crate::telemetry::TraceContext;

#[derive(FromRow)]
struct Row {
    id: Uuid,
    queue: String,
    exchange: String,
    routing_key: String,
    status: FailedMessageStatus,
    reason: String,
    attempts: i32,
    first_seen: Timestamp,
    last_seen: Timestamp,
    event_type: Option<String>,
    message_id: Option<String>,
    correlation_id: Option<String>,
    #[sqlx(json)]
    trace_context: TraceContext,
}

impl From<Row> for FailedMessage {
    fn from(row: Row) -> Self {
        Self {
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
        }
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
) -> Result<Page<FailedMessage>, StoreError> {
    let total = count(pool, filter).await?;
    let rows = sqlx::query_as_with::<_, Row, _>(
        concat!(
            "SELECT id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                    event_type, message_id, correlation_id, trace_context
             FROM failed_messages
             WHERE ",
            matches_filter!(),
            " ORDER BY last_seen DESC, id DESC LIMIT $7 OFFSET $8"
        ),
        arguments(filter)?,
    )
    .bind(i64::from(page.limit()))
    .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let data = rows.into_iter().map(FailedMessage::from).collect();
    Ok(Page { data, meta: PageMeta::new(page, total) })
}

#[derive(FromRow)]
struct DetailsRow {
    #[sqlx(flatten)]
    message: Row,
    headers: Value,
    body: Vec<u8>,
}

/// One message, with its body and what was done about it.
pub(crate) async fn find(pool: &PgPool, id: Uuid) -> Result<Option<FailedMessageDetails>, StoreError> {
    let row = sqlx::query_as::<_, DetailsRow>(
        "SELECT id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                event_type, message_id, correlation_id, trace_context, headers, body
         FROM failed_messages WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    let Some(DetailsRow { message, headers, body }) = row else { return Ok(None) };
    Ok(Some(FailedMessageDetails {
        message: message.into(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        audit: audit::of_message(pool, id).await?,
    }))
}
