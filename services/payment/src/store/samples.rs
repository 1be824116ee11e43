//! The table `samples`: what each replica counted in each ten seconds of the last hour.

use chassis::database::{Connections, StoreError};
use chassis::samples::Sample;
use contracts::OwnerFilter;
use sqlx::types::Uuid;
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgPool};

use crate::samples::PaymentCounts;

/// Adds a sample unless it is there, and deletes some that nothing shows any more. Returns how many seconds are left of the ten that
/// are under way, if it was added.
pub(crate) async fn insert(pool: &PgPool, sample: &Sample<PaymentCounts>) -> Result<Option<f64>, StoreError> {
    let inserted = sqlx::query_scalar::<_, f64>(
        "WITH old AS (
             DELETE FROM samples
             WHERE (replica, number) IN (SELECT replica, number FROM samples
                                         WHERE at < now() - interval '1 hour'
                                         ORDER BY at LIMIT 100
                                         FOR UPDATE SKIP LOCKED)
         )
         INSERT INTO samples (replica, number, at, answered, unanswered, answer_times, breaker_open, unknown, outbox, queued,
                              failed_messages)
         VALUES ($1, $2, date_bin(interval '10 seconds', now() - $3::interval, timestamptz 'epoch'), $4, $5, $6, $7, $8, $9, $10,
                 $11)
         ON CONFLICT (replica, number) DO NOTHING
         RETURNING extract(epoch FROM date_bin(interval '10 seconds', now(), timestamptz 'epoch')
                                      + interval '10 seconds' - now())::float8",
    );
    let Sample { replica, number, ago, counts, waiting } = sample;
    let inserted = inserted
        .bind(replica)
        .bind(number)
        .bind(ago)
        .bind(counts.answered)
        .bind(counts.unanswered)
        .bind(&counts.answer_times)
        .bind(counts.breaker_open)
        .bind(counts.unknown)
        .bind(waiting.outbox)
        .bind(waiting.queued)
        .bind(waiting.failed_messages);
    Ok(inserted.fetch_optional(pool).await?)
}

/// What a replica counted in ten seconds.
#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub(crate) replica: Uuid,
    pub(crate) at: OffsetDateTime,
    /// Its ten seconds, which began at `at`, ended within the last 30.
    pub(crate) is_recent: bool,
    pub(crate) answered: i64,
    pub(crate) unanswered: i64,
    pub(crate) answer_times: Vec<i64>,
    pub(crate) breaker_open: bool,
    pub(crate) unknown: Option<i64>,
    pub(crate) outbox: Option<i64>,
    pub(crate) queued: Option<i64>,
    pub(crate) failed_messages: Option<i64>,
}

/// Those of the last hour, the oldest first.
pub(crate) async fn of_last_hour(connections: &Connections) -> Result<Vec<Row>, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let rows = sqlx::query_as::<_, Row>(
        "SELECT replica, at, at > now() - interval '40 seconds' AS is_recent, answered, unanswered, answer_times,
                breaker_open, unknown, outbox, queued, failed_messages
         FROM samples
         WHERE at > date_bin(interval '10 seconds', now(), timestamptz 'epoch') - interval '1 hour'
         ORDER BY at",
    );
    let rows = rows.fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(rows)
}
