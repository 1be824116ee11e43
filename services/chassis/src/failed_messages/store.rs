//! The tables `failed_messages` and `failed_message_audit`, as messages fail and are handled again.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use contracts::failed_message::AuditAction;
use contracts::topology::Queue;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Gauge;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use super::dead_letter::DeadLetter;
use crate::consumer::rejection;
use crate::tasks::Tasks;
use crate::telemetry::METER;

/// Who did what nobody asked for.
pub(super) const SERVICE: &str = "service";

static COUNT: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.failed_messages")
        .with_description(
            "Failed messages that wait for somebody to decide, by the queue that they failed on.",
        )
        .build()
});

/// Stores a dead letter; one that failed before is the same row, and waits for a decision again.
pub(super) async fn insert(connection: &mut PgConnection, letter: &DeadLetter) -> Result<(), sqlx::Error> {
    let noted = rejection::take_reason(connection, letter.id).await?;
    // The same message rejected several times at once has noted its reason only once.
    let reason = noted.as_ref().or(letter.death.as_ref());
    let reason: String = sqlx::query_scalar(
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
    .bind(&letter.body)
    .bind(reason)
    .fetch_one(&mut *connection)
    .await?;
    audit(connection, letter.id, AuditAction::Failed, SERVICE, Some(&reason)).await
}

/// Marks a message that was handled again.
pub(super) async fn mark_replayed(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE failed_messages SET status = 'REPLAYED', replay_at = NULL WHERE id = $1")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    audit(connection, id, AuditAction::Replayed, SERVICE, None).await
}

/// Marks a message that failed again when it was handled again.
pub(super) async fn mark_failed(
    connection: &mut PgConnection,
    id: Uuid,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let reason = reason.replace('\0', "\u{fffd}");
    sqlx::query(
        "UPDATE failed_messages
         SET status = 'FAILED', replay_at = NULL, attempts = attempts + 1, reason = $2, last_seen = now()
         WHERE id = $1",
    )
    .bind(id)
    .bind(&reason)
    .execute(&mut *connection)
    .await?;
    audit(connection, id, AuditAction::Failed, SERVICE, Some(&reason)).await
}

/// Writes down what was done about a message, and by whom.
pub(super) async fn audit(
    connection: &mut PgConnection,
    id: Uuid,
    action: AuditAction,
    actor: &str,
    note: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO failed_message_audit (failed_message_id, action, actor, note) VALUES ($1, $2, $3, $4)",
    )
    .bind(id)
    .bind(<&str>::from(action))
    .bind(actor)
    .bind(note)
    .execute(connection)
    .await?;
    Ok(())
}

/// Counts the messages that wait for a decision, every ten seconds, each of these queues for itself.
pub(super) fn measure(pool: PgPool, queues: Vec<Queue>, tasks: &Tasks) {
    tasks.spawn_every(Duration::from_secs(10), "failed message gauge", move || {
        let (pool, queues) = (pool.clone(), queues.clone());
        async move {
            // A table that can't be read keeps its last measure; the database's health says why.
            let Ok(open) = open_by_queue(&pool).await else { return };
            for queue in queues {
                let count = open.get(queue.name()).copied().unwrap_or_default();
                COUNT.record(count, &[KeyValue::new("messaging.destination.name", queue.name())]);
            }
        }
    });
}

async fn open_by_queue(pool: &PgPool) -> Result<HashMap<String, u64>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT queue, count(*) AS open FROM failed_messages WHERE status = 'FAILED' GROUP BY queue",
    )
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("queue")?, row.try_get::<i64, _>("open")?.unsigned_abs())))
        .collect()
}
