//! The table `outbox`. Rows are inserted and deleted, never updated.

use std::time::Duration;

use contracts::diagnosis::UnpublishedEvent;
use contracts::{EventId, EventType, OrderId};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgExecutor};

use crate::broker::Message;
use crate::database::StoreError;

/// Writes messages down, in the transaction that they belong to.
pub(super) async fn insert(connection: &mut PgConnection, messages: &[Message]) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO outbox (event_id, event_type, order_id, correlation_id, trace_context, body)
         SELECT event_id, event_type, order_id, correlation_id, trace_context, body
         FROM jsonb_to_recordset($1) AS new (event_id uuid, event_type text, order_id uuid, correlation_id text,
                                             trace_context jsonb, body text)",
    )
    .bind(Json(messages))
    .execute(connection)
    .await?;
    Ok(())
}

/// Which rows a sweep takes next.
pub(super) struct Claim<'a> {
    /// The row before the first.
    pub(super) after: EventId,
    /// Only rows older than this.
    pub(super) age: Duration,
    /// Only events of these types. Those that only a newer version knows are not among them.
    pub(super) types: &'a [EventType],
    /// Other rows than these.
    pub(super) held: &'a [EventId],
    /// So many at most.
    pub(super) limit: usize,
}

/// Locks rows in the order of their ids, passing over those that another replica has locked.
pub(super) async fn claim(
    connection: &mut PgConnection,
    claim: Claim<'_>,
) -> Result<Vec<Message>, StoreError> {
    let rows = sqlx::query_as::<_, Message>(
        "SELECT event_id, event_type, order_id, correlation_id, trace_context, body
         FROM outbox
         WHERE event_id > $1 AND created_at < now() - $2::interval AND event_type = ANY($3)
           AND event_id <> ALL($4)
         ORDER BY event_id
         LIMIT $5
         FOR UPDATE SKIP LOCKED",
    )
    .bind(claim.after)
    .bind(claim.age)
    .bind(claim.types)
    .bind(claim.held)
    .bind(i64::try_from(claim.limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Deletes messages that the broker has.
pub(super) async fn delete(executor: impl PgExecutor<'_>, events: &[EventId]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM outbox WHERE event_id = ANY($1)").bind(events).execute(executor).await?;
    Ok(())
}

/// Most events of one order that are shown. An order has a handful.
const SHOWN: i64 = 20;

/// The events of an order, the oldest first. Nearly always the table is all but empty, so it has no index for this, which would be
/// written for each event; after a long outage of the broker it is read as a whole, for as long as PostgreSQL may work on a query.
pub(super) async fn of_order(
    executor: impl PgExecutor<'_>,
    order: OrderId,
) -> Result<Vec<UnpublishedEvent>, StoreError> {
    let events = sqlx::query_as::<_, UnpublishedEvent>(
        "SELECT event_id, event_type, created_at FROM outbox WHERE order_id = $1 ORDER BY created_at, event_id LIMIT $2",
    );
    Ok(events.bind(order).bind(SHOWN).fetch_all(executor).await?)
}

/// Most rows that are counted to measure the outbox.
const COUNTED: i64 = 10_000;

/// How much the outbox holds.
#[derive(FromRow)]
pub(crate) struct Backlog {
    /// Rows: exact up to [`COUNTED`], beyond it as PostgreSQL's statistics have it.
    pub(crate) depth: i64,
    /// Seconds since the oldest was written; 0 if there is none.
    pub(crate) age: f64,
}

/// Measures the outbox, without looking at all of it.
pub(crate) async fn backlog(executor: impl PgExecutor<'_>) -> Result<Backlog, StoreError> {
    let backlog = sqlx::query_as::<_, Backlog>(
        "SELECT CASE WHEN count(*) < $1 THEN count(*)
                     ELSE greatest(count(*), pg_stat_get_live_tuples('outbox'::regclass)) END AS depth,
                coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age
         FROM (SELECT created_at FROM outbox ORDER BY event_id LIMIT $1) AS oldest",
    );
    Ok(backlog.bind(COUNTED).fetch_one(executor).await?)
}
