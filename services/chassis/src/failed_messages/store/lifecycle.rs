//! The table `failed_messages`, as messages fail and are handled again.

use std::collections::HashMap;

use contracts::failed_message::AuditAction;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::audit::{self, Action, SERVICE};
use crate::consumer::rejection;
use crate::database::StoreError;
use crate::failed_messages::dead_letter::DeadLetter;
use crate::telemetry::TraceContext;

/// Stores a dead letter; one that failed before is the same row, and waits for a decision again.
pub(crate) async fn insert(pool: &PgPool, letter: &DeadLetter<'_>) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let noted = rejection::take_reason(&mut transaction, letter.id).await?;
    // The same message rejected several times at once has noted its reason only once.
    let reason = noted.as_ref().or(letter.death.as_ref());
    let reason = sqlx::query_scalar::<_, String>(
        "INSERT INTO failed_messages AS known
             (id, queue, exchange, routing_key, message_id, event_type, correlation_id, trace_context, headers,
              body, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11, 'rejected'))
         ON CONFLICT (id) DO UPDATE
         SET status = 'FAILED', replay_at = NULL, attempts = known.attempts + 1,
             reason = coalesce($11, known.reason), last_seen = now()
         RETURNING reason",
    )
    .bind(letter.id)
    .bind(letter.queue.name())
    .bind(&letter.exchange)
    .bind(&letter.routing_key)
    .bind(&letter.message_id)
    .bind(&letter.event_type)
    .bind(&letter.correlation_id)
    .bind(Json(&letter.trace))
    .bind(&letter.headers)
    .bind(letter.body)
    .bind(reason)
    .fetch_one(&mut *transaction)
    .await?;
    let failed = Action { action: AuditAction::Failed, actor: SERVICE, note: Some(&reason) };
    audit::insert(&mut transaction, letter.id, failed).await?;
    transaction.commit().await?;
    Ok(())
}

/// A message that is to be handled again now.
#[derive(FromRow)]
pub(crate) struct Due {
    pub(crate) id: Uuid,
    pub(crate) queue: String,
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) correlation_id: Option<String>,
    #[sqlx(json)]
    pub(crate) trace_context: TraceContext,
    pub(crate) body: Vec<u8>,
}

/// The next message that is to be handled again, if there is one.
pub(crate) async fn next_due(pool: &PgPool) -> Result<Option<Due>, StoreError> {
    let due = sqlx::query_as::<_, Due>(
        "SELECT id, queue, exchange, routing_key, correlation_id, trace_context, body
         FROM failed_messages
         WHERE replay_at <= now()
         ORDER BY replay_at, id
         LIMIT 1",
    );
    Ok(due.fetch_optional(pool).await?)
}

/// Marks a message that was handled again, unless another replica has.
pub(crate) async fn mark_replayed(pool: &PgPool, id: Uuid) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let marked = sqlx::query(
        "UPDATE failed_messages SET status = 'REPLAYED', replay_at = NULL WHERE id = $1 AND status = 'REPLAYING'",
    )
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    if marked.rows_affected() > 0 {
        let replayed = Action { action: AuditAction::Replayed, actor: SERVICE, note: None };
        audit::insert(&mut transaction, id, replayed).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Marks a message that failed again when it was handled again, unless another replica has.
pub(crate) async fn mark_failed(pool: &PgPool, id: Uuid, reason: &str) -> Result<(), StoreError> {
    let reason = reason.replace('\0', "\u{fffd}");
    let mut transaction = pool.begin().await?;
    let marked = sqlx::query(
        "UPDATE failed_messages
         SET status = 'FAILED', replay_at = NULL, attempts = attempts + 1, reason = $2, last_seen = now()
         WHERE id = $1 AND status = 'REPLAYING'",
    )
    .bind(id)
    .bind(&reason)
    .execute(&mut *transaction)
    .await?;
    if marked.rows_affected() > 0 {
        let failed = Action { action: AuditAction::Failed, actor: SERVICE, note: Some(&reason) };
        audit::insert(&mut transaction, id, failed).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// How many messages wait for a decision, by the queue that they failed on.
pub(crate) async fn open_by_queue(pool: &PgPool) -> Result<HashMap<String, i64>, StoreError> {
    let rows = sqlx::query_as::<_, (String, i64)>(
        "SELECT queue, count(*) AS open FROM failed_messages WHERE status = 'FAILED' GROUP BY queue",
    );
    Ok(rows.fetch_all(pool).await?.into_iter().collect())
}
