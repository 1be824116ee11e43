//! How replays get on: what is to be done for which, wave after wave, to the end. Any replica does it.

use contracts::Word;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::database::StoreError;

/// A replay that has not ended.
#[derive(FromRow)]
pub(crate) struct Unfinished {
    pub(crate) id: Uuid,
    pub(crate) is_running: bool,
    /// Seconds until its rate allows for another message.
    pub(crate) due_in: f64,
}

/// The replays that have not ended.
pub(crate) async fn unfinished(pool: &PgPool) -> Result<Vec<Unfinished>, StoreError> {
    let unfinished = sqlx::query_as::<_, Unfinished>(
        "SELECT id, status = 'RUNNING' AS is_running,
                greatest(extract(epoch FROM next_at - clock_timestamp()), 0)::float8 AS due_in
         FROM replays WHERE finished_at IS NULL ORDER BY created_at",
    );
    Ok(unfinished.fetch_all(pool).await?)
}

/// Goes on to the first wave with a message that has no outcome. Returns for how many replays. Two replicas at once come to the
/// same wave: which one it is follows from the messages alone.
pub(crate) async fn next_waves(pool: &PgPool) -> Result<u64, StoreError> {
    let next = sqlx::query(
        "UPDATE replays
         SET wave = (SELECT min(waiting.wave) FROM replay_members AS waiting
                     WHERE waiting.replay_id = replays.id AND waiting.outcome IS NULL)
         WHERE finished_at IS NULL AND status = 'RUNNING'
           AND wave < (SELECT min(waiting.wave) FROM replay_members AS waiting
                       WHERE waiting.replay_id = replays.id AND waiting.outcome IS NULL)",
    );
    Ok(next.execute(pool).await?.rows_affected())
}

/// A replay that has come to its end.
#[derive(FromRow)]
pub(crate) struct Ended {
    pub(crate) id: Uuid,
    pub(crate) status: Word,
}

/// Ends the replays of which every message has an outcome.
pub(crate) async fn end(pool: &PgPool) -> Result<Vec<Ended>, StoreError> {
    let ended = sqlx::query_as::<_, Ended>(
        "UPDATE replays
         SET finished_at = now(),
             status = CASE WHEN status = 'CANCELLED' THEN status
                           WHEN failed_again > 0 THEN 'COMPLETED_WITH_FAILURES'
                           ELSE 'COMPLETED' END
         WHERE finished_at IS NULL AND handled + failed_again + skipped + already_handled = members
         RETURNING id, status",
    );
    Ok(ended.fetch_all(pool).await?)
}
