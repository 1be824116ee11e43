//! What operators decide about failed messages.

use contracts::Word;
use contracts::failed_message::{AuditAction, FailedMessageFilter, FailedMessageStatus};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::audit::{self, Action};
use super::filter::{arguments, matches_filter};
use super::members;
use crate::database::StoreError;
use crate::failed_messages::subject::Subject;

/// What became of an operator's decision about a message, or a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is carried out.
    Taken,
    /// There is no such thing.
    Unknown,
    /// It is in this state, which does not allow it.
    Refused(Word),
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
    audit::insert(&mut transaction, &[id], requested).await?;
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
    let mut transaction = pool.begin().await?;
    let scheduled = sqlx::query_scalar_with::<_, Uuid, _>(
        concat!(
            "WITH chosen AS (
                 SELECT id, row_number() OVER (ORDER BY first_seen, id) - 1 AS turn
                 FROM failed_messages WHERE ",
            matches_filter!(),
            ")
             UPDATE failed_messages
             SET status = 'REPLAYING', replay_at = now() + chosen.turn * $8::float8 * interval '1 second'
             FROM chosen
             WHERE failed_messages.id = chosen.id AND failed_messages.status = 'FAILED'
             RETURNING failed_messages.id"
        ),
        arguments(filter)?,
    )
    .bind(interval)
    .fetch_all(&mut *transaction)
    .await?;
    let requested = Action { action: AuditAction::ReplayRequested, actor, note: None };
    audit::insert(&mut transaction, &scheduled, requested).await?;
    transaction.commit().await?;
    Ok(scheduled.len() as u64)
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
    let membership = members::lock_replay_of(&mut transaction, id).await?;
    if let Some(decision) = unless_open(&mut transaction, id).await? {
        return Ok(decision);
    }
    sqlx::query("UPDATE failed_messages SET status = 'DISCARDED' WHERE id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    let discarded = Action { action: AuditAction::Discarded, actor, note: Some(reason) };
    audit::insert(&mut transaction, &[id], discarded).await?;
    if let Some(membership) = membership {
        members::settle(&mut transaction, &membership, id).await?;
    }
    transaction.commit().await?;
    Ok(Decision::Taken)
}

/// Locks a message; what there is to answer if it does not wait for a decision.
async fn unless_open(connection: &mut PgConnection, id: Uuid) -> Result<Option<Decision>, StoreError> {
    let status = sqlx::query_scalar::<_, Word>("SELECT status FROM failed_messages WHERE id = $1 FOR UPDATE");
    Ok(match status.bind(id).fetch_optional(connection).await? {
        None => Some(Decision::Unknown),
        Some(status) if status == <&str>::from(FailedMessageStatus::Failed) => None,
        Some(status) => Some(Decision::Refused(status)),
    })
}

/// What a message came with.
#[derive(FromRow)]
pub(crate) struct Original {
    pub(crate) queue: String,
    pub(crate) user_id: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What a message came with; `None` if there is no such message.
pub(crate) async fn original(pool: &PgPool, id: Uuid) -> Result<Option<Original>, StoreError> {
    let original = sqlx::query_as::<_, Original>(
        "SELECT queue, user_id, message_id, coalesce(original_body, body) AS body FROM failed_messages WHERE id = $1",
    );
    Ok(original.bind(id).fetch_optional(pool).await?)
}

/// Another body for a message, and why.
pub(crate) struct Edit<'a> {
    pub(crate) id: Uuid,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) body: &'a str,
    /// What it is about with that body.
    pub(crate) subject: Subject,
}

/// Gives a message another body; it must wait for a decision. The one that it came with stays beside it: a service of the version
/// before handles what is in `body`.
pub(crate) async fn edit(pool: &PgPool, edit: Edit<'_>) -> Result<Decision, StoreError> {
    let Edit { id, actor, reason, body, subject } = edit;
    let mut transaction = pool.begin().await?;
    if let Some(decision) = unless_open(&mut transaction, id).await? {
        return Ok(decision);
    }
    sqlx::query(
        "UPDATE failed_messages
         SET original_body = coalesce(original_body, body), body = $2, order_id = coalesce($3, order_id),
             amount = coalesce($4, amount)
         WHERE id = $1",
    )
    .bind(id)
    .bind(body.as_bytes())
    .bind(subject.order_id)
    .bind(subject.amount)
    .execute(&mut *transaction)
    .await?;
    let edited = Action { action: AuditAction::Edited, actor, note: Some(reason) };
    audit::insert(&mut transaction, &[id], edited).await?;
    transaction.commit().await?;
    Ok(Decision::Taken)
}
