//! How messages come into the table `failed_messages`.

use contracts::failed_message::AuditAction;
use contracts::failure_cause;
use sqlx::postgres::PgArguments;
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, query::QueryScalar};

use super::audit::{self, Action, SERVICE};
use super::members;
use crate::consumer::rejections;
use crate::database::StoreError;
use crate::failed_messages::dead_letter::DeadLetter;
use crate::failed_messages::subject::Subject;

/// Stores a dead letter; one that failed before is the same row, and waits for a decision again.
pub(crate) async fn insert(
    pool: &PgPool,
    letter: &DeadLetter<'_>,
    subject: Subject,
) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let membership = members::lock_replay_of(&mut transaction, letter.id).await?;
    let noted = rejections::take(&mut transaction, letter.id).await?;
    // The same message rejected several times at once has noted its reason only once.
    let reason = noted.as_ref().or(letter.death.as_ref());
    let inserted = sqlx::query_scalar::<_, String>(
        "INSERT INTO failed_messages AS known
             (id, queue, exchange, routing_key, message_id, event_type, user_id, correlation_id, trace_context, headers,
              body, order_id, amount, reason, cause)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, coalesce($14, 'rejected'), coalesce($15, 'rejected'))
         ON CONFLICT (id) DO UPDATE
         SET status = 'FAILED', replay_at = NULL, attempts = known.attempts + 1,
             reason = coalesce($14, known.reason), cause = coalesce($15, known.cause),
             order_id = coalesce(excluded.order_id, known.order_id), amount = coalesce(excluded.amount, known.amount),
             last_seen = now()
         RETURNING reason",
    );
    let inserted = with_letter(inserted, letter, subject);
    let cause = reason.map(|reason| failure_cause(reason));
    let reason = inserted.bind(reason).bind(cause).fetch_one(&mut *transaction).await?;
    let failed = Action { action: AuditAction::Failed, actor: SERVICE, note: Some(&reason) };
    audit::insert(&mut transaction, &[letter.id], failed).await?;
    if let Some(membership) = membership {
        members::settle(&mut transaction, &membership, letter.id).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Stores a message to be handled again in a minute, without anybody having asked for it.
pub(crate) async fn hold(pool: &PgPool, letter: &DeadLetter<'_>, subject: Subject) -> Result<(), StoreError> {
    const REASON: &str = "a newer version wrote the row of its order";
    let mut transaction = pool.begin().await?;
    let held = sqlx::query_scalar::<_, String>(
        "INSERT INTO failed_messages
             (id, queue, exchange, routing_key, message_id, event_type, user_id, correlation_id, trace_context, headers,
              body, order_id, amount, reason, cause, attempts, status, replay_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, 0, 'REPLAYING',
                 now() + interval '1 minute')
         ON CONFLICT (id) DO UPDATE
         SET status = 'REPLAYING', replay_at = excluded.replay_at, reason = excluded.reason, cause = excluded.cause,
             last_seen = now()
         RETURNING reason",
    );
    with_letter(held, letter, subject).bind(REASON).fetch_one(&mut *transaction).await?;
    let held = Action { action: AuditAction::ReplayRequested, actor: SERVICE, note: Some(REASON) };
    audit::insert(&mut transaction, &[letter.id], held).await?;
    transaction.commit().await?;
    Ok(())
}

/// Binds what is stored of a letter to `$1` and those after it; the reason is to follow.
fn with_letter<'q>(
    statement: QueryScalar<'q, Postgres, String, PgArguments>,
    letter: &'q DeadLetter<'q>,
    subject: Subject,
) -> QueryScalar<'q, Postgres, String, PgArguments> {
    statement
        .bind(letter.id)
        .bind(letter.queue.name())
        .bind(&letter.exchange)
        .bind(&letter.routing_key)
        .bind(&letter.message_id)
        .bind(&letter.event_type)
        .bind(&letter.user_id)
        .bind(&letter.correlation_id)
        .bind(Json(&letter.trace))
        .bind(&letter.headers)
        .bind(letter.body)
        .bind(subject.order_id)
        .bind(subject.amount)
}
