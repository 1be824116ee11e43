//! What operators do about failed messages.

use contracts::failed_message::{AuditAction, FailedMessageFilter, FailedMessageStatus};
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{queries, store};

/// Whether a message was in a state that allows what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// There is no such message.
    Unknown,
    /// It is in this state, which does not allow it.
    Refused(FailedMessageStatus),
}

/// Lets one message be handled again as soon as possible. One that was replayed or discarded can be replayed as well:
/// handling it twice changes nothing.
pub(super) async fn replay(pool: &PgPool, id: Uuid, actor: &str) -> Result<Outcome, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let updated =
        sqlx::query("UPDATE failed_messages SET status = 'REPLAYING', replay_at = now() WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
    if updated.rows_affected() == 0 {
        return Ok(Outcome::Unknown);
    }
    store::audit(&mut transaction, id, AuditAction::ReplayRequested, actor, None).await?;
    transaction.commit().await?;
    Ok(Outcome::Done)
}

/// Lets all open messages that the filter means be handled again, `rate_per_second` of them at most. Returns how many.
pub(super) async fn replay_all(
    pool: &PgPool,
    filter: &FailedMessageFilter,
    rate_per_second: Option<u32>,
    actor: &str,
) -> Result<u64, sqlx::Error> {
    // The rate is a timetable: it holds across replicas, and survives a restart.
    let interval = rate_per_second.map_or(0.0, |rate| 1.0 / f64::from(rate.max(1)));
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(
        "WITH chosen AS (
             SELECT id, row_number() OVER (ORDER BY first_seen, id) - 1 AS turn FROM failed_messages WHERE true",
    );
    queries::restrict(&mut query, filter);
    query.push(
        "), scheduled AS (
             UPDATE failed_messages SET status = 'REPLAYING', replay_at = now() + chosen.turn * interval '1 second' * ",
    );
    query.push_bind(interval).push(
        " FROM chosen WHERE failed_messages.id = chosen.id AND failed_messages.status = 'FAILED'
             RETURNING failed_messages.id
         )
         INSERT INTO failed_message_audit (failed_message_id, action, actor)
         SELECT id, 'REPLAY_REQUESTED', ",
    );
    query.push_bind(actor.to_owned()).push(" FROM scheduled");
    Ok(query.build().execute(pool).await?.rows_affected())
}

/// Gives a message up.
pub(super) async fn discard(
    pool: &PgPool,
    id: Uuid,
    actor: &str,
    reason: &str,
) -> Result<Outcome, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(status) = lock(&mut transaction, id).await? else { return Ok(Outcome::Unknown) };
    if status != FailedMessageStatus::Failed {
        return Ok(Outcome::Refused(status));
    }
    sqlx::query("UPDATE failed_messages SET status = 'DISCARDED' WHERE id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    store::audit(&mut transaction, id, AuditAction::Discarded, actor, Some(reason)).await?;
    transaction.commit().await?;
    Ok(Outcome::Done)
}

async fn lock(connection: &mut PgConnection, id: Uuid) -> Result<Option<FailedMessageStatus>, sqlx::Error> {
    let status: Option<String> =
        sqlx::query_scalar("SELECT status FROM failed_messages WHERE id = $1 FOR UPDATE")
            .bind(id)
            .fetch_optional(connection)
            .await?;
    status.map(|status| crate::database::decode(status.parse())).transpose()
}
