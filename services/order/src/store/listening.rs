//! The table `listening`: when the results of payments could be heard.

use std::time::Duration;

use chassis::database::StoreError;
use sqlx::PgPool;

/// Records that everything was heard that had been sent until `ago`. That prolongs the last period, unless more than `gap`
/// lies between; then a new one begins.
pub(crate) async fn heard(pool: &PgPool, ago: Duration, gap: Duration) -> Result<(), StoreError> {
    sqlx::query(
        "WITH prolonged AS (
             UPDATE listening SET heard_until = greatest(heard_until, now() - $1::interval)
             WHERE started_at = (SELECT max(started_at) FROM listening)
               AND heard_until >= now() - $1::interval - $2::interval
             RETURNING started_at
         )
         INSERT INTO listening (started_at, heard_until)
         SELECT now() - $1::interval, now() - $1::interval
         WHERE NOT EXISTS (SELECT FROM prolonged)
         ON CONFLICT DO NOTHING",
    )
    .bind(ago)
    .bind(gap)
    .execute(pool)
    .await?;
    Ok(())
}
