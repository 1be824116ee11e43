//! What operators ask about failed messages.

use contracts::Timestamp;
use contracts::failed_message::{AuditEntry, FailedMessage, FailedMessageDetails, FailedMessageFilter};
use contracts::page::{Page, PageMeta, PageRequest};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::types::time::OffsetDateTime;
use sqlx::{PgPool, Postgres, QueryBuilder, Row};
use uuid::Uuid;

use crate::database;
use crate::telemetry::TraceContext;

/// The columns of the list.
const COLUMNS: &str = "id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                       event_type, message_id, correlation_id, trace_context";

/// Adds a filter's conditions to a query that has a WHERE clause already.
pub(super) fn restrict(query: &mut QueryBuilder<Postgres>, filter: &FailedMessageFilter) {
    if let Some(queue) = &filter.queue {
        query.push(" AND queue = ").push_bind(queue.clone());
    }
    if let Some(event_type) = &filter.event_type {
        query.push(" AND event_type = ").push_bind(event_type.clone());
    }
    if let Some(reason) = &filter.reason {
        query.push(" AND strpos(lower(reason), lower(").push_bind(reason.clone()).push(")) > 0");
    }
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(<&str>::from(status));
    }
    if let Some(from) = filter.from {
        query.push(" AND last_seen >= ").push_bind(from.as_datetime());
    }
    if let Some(to) = filter.to {
        query.push(" AND last_seen < ").push_bind(to.as_datetime());
    }
}

/// How many messages a filter means.
pub(super) async fn count(pool: &PgPool, filter: &FailedMessageFilter) -> Result<u64, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM failed_messages WHERE true");
    restrict(&mut query, filter);
    let count: i64 = query.build_query_scalar().fetch_one(pool).await?;
    Ok(count.unsigned_abs())
}

/// A page of the messages that a filter means, the one that failed last first.
pub(super) async fn list(
    pool: &PgPool,
    filter: &FailedMessageFilter,
    page: PageRequest,
) -> Result<Page<FailedMessage>, sqlx::Error> {
    let total = count(pool, filter).await?;
    let mut query = QueryBuilder::new("SELECT ");
    query.push(COLUMNS).push(" FROM failed_messages WHERE true");
    restrict(&mut query, filter);
    query.push(" ORDER BY last_seen DESC, id DESC LIMIT ").push_bind(i64::from(page.limit()));
    query.push(" OFFSET ").push_bind(i64::try_from(page.offset()).unwrap_or(i64::MAX));
    let rows = query.build().fetch_all(pool).await?;
    Ok(Page { data: rows.iter().map(read).collect::<Result<_, _>>()?, meta: PageMeta::new(page, total) })
}

/// One message, with its body and what was done about it.
pub(super) async fn find(pool: &PgPool, id: Uuid) -> Result<Option<FailedMessageDetails>, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(COLUMNS).push(", headers, body FROM failed_messages WHERE id = ").push_bind(id);
    let Some(row) = query.build().fetch_optional(pool).await? else { return Ok(None) };
    let audit = sqlx::query(
        "SELECT action, actor, at, note FROM failed_message_audit WHERE failed_message_id = $1 ORDER BY id",
    )
    .bind(id)
    .fetch_all(pool)
    .await?;
    Ok(Some(FailedMessageDetails {
        message: read(&row)?,
        headers: row.try_get("headers")?,
        body: String::from_utf8_lossy(row.try_get::<&[u8], _>("body")?).into_owned(),
        audit: audit.iter().map(read_audit).collect::<Result<_, _>>()?,
    }))
}

fn read(row: &PgRow) -> Result<FailedMessage, sqlx::Error> {
    let trace: Json<TraceContext> = row.try_get("trace_context")?;
    Ok(FailedMessage {
        id: row.try_get("id")?,
        queue: row.try_get("queue")?,
        exchange: row.try_get("exchange")?,
        routing_key: row.try_get("routing_key")?,
        status: database::decode(row.try_get::<&str, _>("status")?.parse())?,
        reason: row.try_get("reason")?,
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
        first_seen: read_time(row, "first_seen")?,
        last_seen: read_time(row, "last_seen")?,
        event_type: row.try_get("event_type")?,
        message_id: row.try_get("message_id")?,
        correlation_id: row.try_get("correlation_id")?,
        trace_id: trace.0.trace_id(),
    })
}

fn read_audit(row: &PgRow) -> Result<AuditEntry, sqlx::Error> {
    Ok(AuditEntry {
        action: database::decode(row.try_get::<&str, _>("action")?.parse())?,
        actor: row.try_get("actor")?,
        at: read_time(row, "at")?,
        note: row.try_get("note")?,
    })
}

fn read_time(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    Ok(row.try_get::<OffsetDateTime, _>(column)?.into())
}
