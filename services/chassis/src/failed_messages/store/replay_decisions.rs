//! The table `replay_decisions`: what was decided about replays, by whom, and why.

use contracts::Timestamp;
use contracts::replay::ReplayDecision;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::database::StoreError;

/// What was decided.
#[derive(Clone, Copy)]
pub(super) struct Decided<'a> {
    pub(super) action: &'a str,
    pub(super) actor: &'a str,
    pub(super) reason: &'a str,
}

/// Writes a decision down.
pub(super) async fn insert(
    connection: &mut PgConnection,
    replay: Uuid,
    decided: Decided<'_>,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO replay_decisions (replay_id, action, actor, reason) VALUES ($1, $2, $3, $4)")
        .bind(replay)
        .bind(decided.action)
        .bind(decided.actor)
        .bind(decided.reason)
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    replay_id: Uuid,
    action: String,
    actor: String,
    at: Timestamp,
    reason: String,
}

/// The decisions about these replays, oldest first.
pub(super) async fn of_replays(
    pool: &PgPool,
    replays: &[Uuid],
) -> Result<Vec<(Uuid, ReplayDecision)>, StoreError> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT replay_id, action, actor, at, reason FROM replay_decisions
         WHERE replay_id = ANY($1) ORDER BY replay_id, id",
    );
    let rows = rows.bind(replays).fetch_all(pool).await?;
    let decision = |Row { replay_id, action, actor, at, reason }| {
        (replay_id, ReplayDecision { action, actor, at, reason })
    };
    Ok(rows.into_iter().map(decision).collect())
}
