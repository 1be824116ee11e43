//! The table `outbox`. Rows are inserted and deleted, never updated.

use std::time::Duration;

use contracts::{EventId, EventType};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor, Row};
use uuid::Uuid;

use crate::broker::Message;
use crate::telemetry::TraceContext;

/// Writes messages down, in the transaction that they belong to.
pub(super) async fn insert(connection: &mut PgConnection, messages: &[Message]) -> Result<(), sqlx::Error> {
    let column = |get: fn(&Message) -> String| messages.iter().map(get).collect::<Vec<_>>();
    let event_ids: Vec<Uuid> = messages.iter().map(|message| message.event_id.as_uuid()).collect();
    let order_ids: Vec<Uuid> = messages.iter().map(|message| message.order_id.as_uuid()).collect();
    let correlation_ids: Vec<Option<&str>> =
        messages.iter().map(|message| message.correlation_id.as_deref()).collect();
    let traces: Vec<_> = messages.iter().map(|message| Json(&message.trace)).collect();
    sqlx::query(
        "INSERT INTO outbox (event_id, event_type, order_id, correlation_id, trace_context, body)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::jsonb[], $6::text[])",
    )
    .bind(event_ids)
    .bind(column(|message| message.event_type.to_string()))
    .bind(order_ids)
    .bind(correlation_ids)
    .bind(traces)
    .bind(column(|message| message.body.clone()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Locks up to `limit` rows that are older than `age`, from the first after `cursor` on, passing over those that
/// another replica has locked and events of the types `without`.
pub(super) async fn claim_left_behind(
    connection: &mut PgConnection,
    cursor: Uuid,
    age: Duration,
    without: &[EventType],
    limit: usize,
) -> Result<Vec<Message>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT event_id, event_type, order_id, correlation_id, trace_context, body
         FROM outbox
         WHERE event_id > $1 AND created_at < now() - $2 AND event_type <> ALL($4)
         ORDER BY event_id
         LIMIT $3
         FOR UPDATE SKIP LOCKED",
    )
    .bind(cursor)
    .bind(age)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .bind(without.iter().map(ToString::to_string).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let event_type: String = row.try_get("event_type")?;
            Ok(Message {
                event_id: row.try_get::<Uuid, _>("event_id")?.into(),
                event_type: event_type
                    .parse()
                    .map_err(|error: strum::ParseError| sqlx::Error::Decode(error.into()))?,
                order_id: row.try_get::<Uuid, _>("order_id")?.into(),
                correlation_id: row.try_get("correlation_id")?,
                trace: row.try_get::<Json<TraceContext>, _>("trace_context")?.0,
                body: row.try_get("body")?,
            })
        })
        .collect()
}

/// Forgets messages that the broker has.
pub(super) async fn delete(executor: impl PgExecutor<'_>, events: &[EventId]) -> Result<(), sqlx::Error> {
    let events: Vec<Uuid> = events.iter().map(|event| event.as_uuid()).collect();
    sqlx::query("DELETE FROM outbox WHERE event_id = ANY($1)").bind(events).execute(executor).await?;
    Ok(())
}

/// How many rows there are, and how many seconds ago the oldest was written.
pub(super) async fn backlog(executor: impl PgExecutor<'_>) -> Result<(u64, f64), sqlx::Error> {
    let row = sqlx::query(
        "SELECT count(*) AS depth,
                coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age
         FROM outbox",
    )
    .fetch_one(executor)
    .await?;
    let depth: i64 = row.try_get("depth")?;
    Ok((depth.unsigned_abs(), row.try_get::<f64, _>("age")?.max(0.0)))
}
