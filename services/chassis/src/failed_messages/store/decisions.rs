//! The table `failed_messages`, as operators decide about it.

use contracts::failed_message::{AuditAction, FailedMessageFilter, FailedMessageStatus};
use sqlx::PgPool;
use uuid::Uuid;

use super::audit::{self, Action};
use super::filter::{arguments, matches_filter};
use crate::database::StoreError;

/// What became of an operator's decision about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is carried out.
    Taken,
    /// There is no such message.
    Unknown,
    /// The message is in this state, which does not allow it.
    Refused(FailedMessageStatus),
}

/// Lets one message be handled again as soon as possible. One that was replayed or discarded can be replayed as well:
/// handling it twice changes nothing.
pub(crate) async fn replay(pool: &PgPool, id: Uuid, actor: &str) -> Result<Decision, StoreError> {
    let mut transaction = pool.begin().await?;
    let updated =
        sqlx::query("UPDATE failed_messages SET status = 'REPLAYING', replay_at = now() WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
    if updated.rows_affected() == 0 {
        return Ok(Decision::Unknown);
    }
    let requested = Action { action: AuditAction::ReplayRequested, actor, note: None };
    audit::insert(&mut transaction, id, requested).await?;
    transaction.commit().await?;
    Ok(Decision::Taken)
}

/// Lets all open messages that the filter means be handled again, `rate_per_second` of them at most. Returns how many.
pub(crate) async fn replay_matching(
    pool: &PgPool,
    filter: &FailedMessageFilter,
    rate_per_second: Option<u32>,
    actor: &str,
) -> Result<u64, StoreError> {
    // The rate is a timetable: it holds across replicas, and survives a restart.
    let interval = rate_per_second.map_or(0.0, |rate| 1.0 / f64::from(rate.max(1)));
    let scheduled = sqlx::query_with(
        concat!(
            "WITH chosen AS (
                 SELECT id, row_number() OVER (ORDER BY first_seen, id) - 1 AS turn
                 FROM failed_messages WHERE ",
            matches_filter!(),
            "), scheduled AS (
                 UPDATE failed_messages
                 SET status = 'REPLAYING', replay_at = now() + chosen.turn * $7::float8 * interval '1 second'
                 FROM chosen
                 WHERE failed_messages.id = chosen.id AND failed_messages.status = 'FAILED'
                 RETURNING failed_messages.id
             )
             INSERT INTO failed_message_audit (failed_message_id, action, actor)
             SELECT id, 'REPLAY_REQUESTED', $8 FROM scheduled"
        ),
        arguments(filter)?,
    )
    .bind(interval)
    .bind(actor)
    .execute(pool)
    .await?;
    Ok(scheduled.rows_affected())
}

/// What an operator gives up, and why.
pub(crate) struct Discard<'a> {
    pub(crate) id: Uuid,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
}

/// Gives a message up; it must wait for a decision.
pub(crate) async fn discard(pool: &PgPool, discard: Discard<'_>) -> Result<Decision, StoreError> {
    let Discard { id, actor, reason } = discard;
    let mut transaction = pool.begin().await?;
    let status = sqlx::query_scalar::<_, FailedMessageStatus>(
        "SELECT status FROM failed_messages WHERE id = $1 FOR UPDATE",
    )
    .bind(id)
    .fetch_optional(&mut *transaction)
    .await?;
    match status {
        None => return Ok(Decision::Unknown),
        Some(FailedMessageStatus::Failed) => {}
        Some(status) => return Ok(Decision::Refused(status)),
    }
    sqlx::query("UPDATE failed_messages SET status = 'DISCARDED' WHERE id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    let discarded = Action { action: AuditAction::Discarded, actor, note: Some(reason) };
    audit::insert(&mut transaction, id, discarded).await?;
    transaction.commit().await?;
    Ok(Decision::Taken)
}
