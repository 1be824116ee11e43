//! Failed messages whose turn to be handled again has come, and what became of them.

use contracts::failed_message::AuditAction;
use contracts::{Timestamp, failure_cause};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::audit::{self, Action, SERVICE};
use super::members;
use crate::database::StoreError;
use crate::telemetry::TraceContext;
use crate::text::storable;

/// A message that is to be handled again now, and is this replica's to handle for a minute.
#[derive(FromRow)]
pub(crate) struct Turn {
    pub(crate) id: Uuid,
    pub(crate) queue: String,
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) user_id: Option<String>,
    pub(crate) correlation_id: Option<String>,
    #[sqlx(json)]
    pub(crate) trace_context: TraceContext,
    pub(crate) body: Vec<u8>,
    /// When another replica may take it, should this one die.
    leased_until: Timestamp,
}

/// Takes the next message whose own turn has come, if there is one. Of a replay that is held up, only what a replica that died had
/// begun waits here; it goes on with the replay.
pub(crate) async fn take(pool: &PgPool) -> Result<Option<Turn>, StoreError> {
    let turn = sqlx::query_as::<_, Turn>(
        "UPDATE failed_messages
         SET replay_at = date_trunc('milliseconds', now()) + interval '1 minute'
         WHERE id = (SELECT id FROM failed_messages
                     WHERE replay_at <= now()
                       AND NOT EXISTS (SELECT FROM replay_members JOIN replays ON replays.id = replay_id
                                       WHERE failed_message_id = failed_messages.id AND outcome IS NULL
                                         AND begun_at IS NOT NULL AND replays.status IN ('PAUSED', 'STOPPED'))
                     ORDER BY replay_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, queue, exchange, routing_key, user_id, correlation_id, trace_context,
                   body, replay_at AS leased_until",
    );
    Ok(turn.fetch_optional(pool).await?)
}

/// Takes this message, if it waits for a decision.
pub(super) async fn take_open(connection: &mut PgConnection, id: Uuid) -> Result<Option<Turn>, StoreError> {
    let turn = sqlx::query_as::<_, Turn>(
        "UPDATE failed_messages
         SET status = 'REPLAYING', replay_at = date_trunc('milliseconds', now()) + interval '1 minute'
         WHERE id = $1 AND status = 'FAILED'
         RETURNING id, queue, exchange, routing_key, user_id, correlation_id, trace_context,
                   body, replay_at AS leased_until",
    );
    Ok(turn.bind(id).fetch_optional(connection).await?)
}

/// Marks a message that was handled again, if it is still this replica's.
pub(crate) async fn mark_replayed(pool: &PgPool, turn: &Turn) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let membership = members::lock_replay_of(&mut transaction, turn.id).await?;
    let marked = sqlx::query(
        "UPDATE failed_messages SET status = 'REPLAYED', replay_at = NULL WHERE id = $1 AND replay_at = $2",
    )
    .bind(turn.id)
    .bind(turn.leased_until)
    .execute(&mut *transaction)
    .await?;
    if marked.rows_affected() > 0 {
        let replayed = Action { action: AuditAction::Replayed, actor: SERVICE, note: None };
        audit::insert(&mut transaction, &[turn.id], replayed).await?;
        if let Some(membership) = membership {
            members::settle(&mut transaction, &membership, turn.id).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// Marks a message that failed again when it was handled again, if it is still this replica's.
pub(crate) async fn mark_failed(pool: &PgPool, turn: &Turn, reason: &str) -> Result<(), StoreError> {
    let reason = storable(reason);
    let mut transaction = pool.begin().await?;
    let membership = members::lock_replay_of(&mut transaction, turn.id).await?;
    let marked = sqlx::query(
        "UPDATE failed_messages
         SET status = 'FAILED', replay_at = NULL, attempts = attempts + 1, reason = $3, cause = $4, last_seen = now()
         WHERE id = $1 AND replay_at = $2",
    )
    .bind(turn.id)
    .bind(turn.leased_until)
    .bind(&reason)
    .bind(failure_cause(&reason))
    .execute(&mut *transaction)
    .await?;
    if marked.rows_affected() > 0 {
        let failed = Action { action: AuditAction::Failed, actor: SERVICE, note: Some(&reason) };
        audit::insert(&mut transaction, &[turn.id], failed).await?;
        if let Some(membership) = membership {
            members::settle(&mut transaction, &membership, turn.id).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// Lets a message wait that can't be applied before a newer version is back. Of a replay it is a member that was not begun, and
/// is tried again in a minute; one that is not keeps its lease, which is the pause until then.
pub(crate) async fn put_off(pool: &PgPool, turn: &Turn) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    if let Some(membership) = members::lock_replay_of(&mut transaction, turn.id).await? {
        let put_off = sqlx::query(
            "UPDATE failed_messages SET status = 'FAILED', replay_at = NULL
             WHERE id = $1 AND replay_at = $2
               AND EXISTS (SELECT FROM replay_members
                           WHERE failed_message_id = $1 AND outcome IS NULL AND begun_at IS NOT NULL)",
        );
        let put_off = put_off.bind(turn.id).bind(turn.leased_until).execute(&mut *transaction).await?;
        if put_off.rows_affected() > 0 {
            members::put_off(&mut transaction, &membership, turn.id).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}
